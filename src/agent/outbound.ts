/**
 * The way out: from content and options to a frame on a connection. Each step is a line that calls one room. Between
 * encoding and routing there is room for authorising, numbering and sealing, and for the outbox.
 */

import { abortable, following, within } from '../common/abort.ts'
import { AfpError, type AfpTimeoutError } from '../common/errors.ts'
import type { KeptReply } from '../delivery/processing-state.ts'
import type { Requests } from '../delivery/requests.ts'
import { type BuildContext, buildMessage, respondTo } from '../message/build.ts'
import { encodeMessage, type MessageKind } from '../message/envelope.ts'
import { type Content, DEFAULT_TTL, type Guarantee, Message } from '../message/message.ts'
import { type Hooks, MAX_TTL, runHook, validateGuarantee, validateTopic } from '../message/validate.ts'
import type { Addressed } from './addressing.ts'
import { BROADCAST_TOPIC } from './inbound.ts'
import { keptReceipt } from './kept-receipt.ts'
import { type Lost, Once, type OnceParts, type Patience } from './once.ts'
import type { MessageOptions, Published, Receipt, RequestOptions, SendOptions, Target } from './options.ts'
import { failureOf, hookLate } from './outbound-errors.ts'

/** How long a message may take until it is handed over, or a request until its reply is there, unless the caller says, ms. */
export const DEFAULT_TIMEOUT = 5_000

/** How much longer than its reply is waited for a request may take to leave, ms: timers are not exact. */
const GRACE = 100

/** A message with whom it is for. */
interface ToSend {
  readonly message: Message
  readonly lost: Lost
}

/** What the way out needs. */
export interface OutboundParts extends OnceParts {
  build: BuildContext
  hooks: Hooks
  guarantee: Guarantee
  /** How long the hook may take, ms. */
  handlerTimeout: number
  requests: Requests
}

/** See the head of this file. */
export class Outbound {
  readonly #parts: OutboundParts
  readonly #once: Once
  readonly #sending = new Set<Promise<unknown>>()
  /** Requests, until their reply is there or they are called off. */
  readonly #asking = new Set<Promise<unknown>>()
  /** Fires when the agent has waited for hooks for long enough, and closes. */
  readonly #closing = new AbortController()
  /** Fires when the end of the agent waits no longer for the disk. */
  readonly #over = new AbortController()
  /** What a hook holds up, by recipient or topic: what is sent there later waits for it, so that order holds. */
  readonly #ahead = new Map<string, Promise<unknown>>()

  constructor(parts: OutboundParts) {
    this.#parts = parts
    this.#once = new Once(parts)
  }

  /** @throws what is wrong with the message or its options, before anything is done */
  send(target: Target, content: Content, options: SendOptions): Promise<Receipt> {
    const { timeout = DEFAULT_TIMEOUT, signal } = options
    const start = this.#parts.clock.monotonic()
    const draft = this.#draft(target, content, options)
    const dispatch = ({ message, lost }: ToSend): Promise<Receipt> => {
      const left = timeout - (this.#parts.clock.monotonic() - start)
      return this.#dispatch(message, 'message', { timeout, left, signal }, options, lost)
    }
    const addressed = this.#address(draft, target, timeout, signal)
    return this.#track(addressed instanceof Promise ? addressed.then(dispatch) : dispatch(addressed))
  }

  request<C extends Content>(target: Target, content: Content, options: RequestOptions): Promise<Message<C>> {
    return this.#track(this.#request<C>(target, content, options), this.#asking)
  }

  async #request<C extends Content>(target: Target, content: Content, options: RequestOptions): Promise<Message<C>> {
    const { timeout = DEFAULT_TIMEOUT, signal } = options
    const start = this.#parts.clock.monotonic()
    // Whoever gets it later answers nobody.
    const ttl = options.ttl ?? Math.min(MAX_TTL, Math.max(1, Math.ceil(timeout)) / 1_000)
    const draft = this.#draft(target, content, { ...options, ttl })
    if (draft.recipients.length > 1) {
      throw new AfpError('INVALID_OPTION', 'a request has one recipient')
    }
    const addressed = this.#address(draft, target, timeout, signal)
    const { message } = addressed instanceof Promise ? await addressed : addressed
    const elapsed = Math.min(timeout, this.#parts.clock.monotonic() - start)
    const recipient = message.recipients[0] as string
    const { requests, delivery, breakers } = this.#parts
    const kept = message.guarantee !== 'at-most-once'
    const refusal = kept ? breakers.refusal(recipient, timeout - elapsed) : undefined
    if (refusal !== undefined) throw refusal
    const reply = requests.wait(message.id, recipient, timeout, elapsed, signal)
    // What is kept must not be written once nobody waits for its reply, whatever a hook does to it meanwhile.
    const ended = kept ? following(signal) : undefined
    const given = ended?.controller.signal ?? signal
    // Its time ends first: what it says then is that no reply came, whatever was in the way.
    const left = timeout - elapsed + GRACE
    const sent = this.#track(this.#dispatch(message, 'request', { timeout, left, signal: given }, options))
    sent.catch(error => requests.cancel(message.id, error))
    const callOff = async (error: unknown): Promise<never> => {
      ended?.controller.abort(error)
      // Whoever hears that it has ended may stop the process: by then the disk has to know, unless it fails, which is told
      // and tried again. Also where it is still being written; and only what was taken: another one may have this id.
      const calledOff = kept && sent.then(() => delivery.callOff(message.id, recipient))
      const told = signal?.aborted ? error : breakers.explain(error, recipient)
      if (calledOff) await abortable(calledOff, this.#over.signal).catch(() => {})
      throw told
    }
    const { message: answer, failed } = await reply.catch(callOff).finally(() => ended?.release())
    if (failed) throw failureOf(answer, message)
    return answer as Message<C>
  }

  /** Answers a request, or sends an answer to a message. */
  async respond(
    to: Message,
    kind: Exclude<MessageKind, 'request'>,
    content: Content,
    options: SendOptions,
  ): Promise<Receipt> {
    const { timeout = DEFAULT_TIMEOUT, signal } = options
    // Who asked with less waits for no more: a reply that is kept would be stored, and acknowledged, for nobody.
    const inherits = kind !== 'message' && options.guarantee === undefined
    const guarantee = inherits ? to.guarantee : this.#guarantee(options.guarantee)
    // What is no reply is a message of its own, however old the other is.
    const ttl = options.ttl ?? (kind === 'message' ? DEFAULT_TTL : undefined)
    const message = respondTo(to, content, { ...options, guarantee, ttl }, this.#parts.build)
    return this.#track(this.#dispatch(message, kind, { timeout, left: timeout, signal }, options))
  }

  /**
   * The answer to a request that is kept. One for which less was asked is sent at once.
   * @throws AfpMessageError for one that cannot be sent: once it is to be committed there is nobody to tell
   */
  async prepare(
    to: Message,
    kind: 'reply' | 'failure',
    content: Content,
    options: SendOptions,
  ): Promise<KeptReply | undefined> {
    const message = respondTo(to, content, options, this.#parts.build)
    if (message.guarantee === 'at-most-once') {
      await this.respond(to, kind, content, options)
      return undefined
    }
    const { length } = encodeMessage(message, kind, this.#parts.build.limits)
    await this.#hooked(message, message.recipients, undefined, async () => {})
    this.#parts.onSent(message, length)
    return { message, kind }
  }

  async publish(topic: string, content: Content, options: MessageOptions): Promise<Published> {
    validateTopic(topic)
    return this.#track(this.#publish(topic, buildMessage({ topic }, content, options, this.#parts.build), options))
  }

  async broadcast(content: Content, options: MessageOptions): Promise<Published> {
    const message = buildMessage({ recipients: ['*'] }, content, options, this.#parts.build)
    return this.#track(this.#publish(BROADCAST_TOPIC, message, options))
  }

  /** Resolves when everything that was sent is handed over or dropped. */
  async idle(): Promise<void> {
    while (this.#sending.size > 0) await Promise.allSettled(this.#sending)
  }

  /** Ends every wait for a hook and for a reply. Resolves when the disk knows of it; with its signal it is not waited for any longer. */
  async callOff(error: unknown, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#over.abort(), { once: true })
    this.#closing.abort(error)
    this.#parts.requests.close(error)
    while (this.#asking.size > 0) await Promise.allSettled(this.#asking)
  }

  /** The message with names for recipients: everything that can be wrong with it is, before anybody is looked for. */
  #draft(target: Target, content: Content, options: SendOptions): Message {
    const guarantee = this.#guarantee(options.guarantee)
    const recipients = this.#parts.addressing.named(target)
    return buildMessage({ recipients }, content, { ...options, guarantee }, this.#parts.build)
  }

  /**
   * The message to those whom its names stand for, and the names that stand for nobody. At once where that is known: its
   * place among those to one recipient is that of the call, whatever it names.
   */
  #address(draft: Message, target: Target, timeout: number, signal: AbortSignal | undefined): ToSend | Promise<ToSend> {
    const { addressing } = this.#parts
    const to = ({ ids, lost }: Addressed): ToSend => ({ message: addressedTo(draft, ids), lost })
    const now = signal?.aborted ? undefined : addressing.now(target)
    return now === undefined ? addressing.resolve(target, timeout, signal).then(to) : to(now)
  }

  #dispatch(
    message: Message,
    kind: MessageKind,
    patience: Patience,
    { retry, id }: Pick<SendOptions, 'retry' | 'id'>,
    lost: Lost = new Map(),
  ): Promise<Receipt> {
    const { delivery, onSent } = this.#parts
    const { signal } = patience
    if (message.guarantee !== 'at-most-once') {
      const keep = async (): Promise<Receipt> => {
        const draft = delivery.draft(message, kind, retry)
        const tracking = await delivery.send(draft, message.recipients, lost)
        onSent(message, draft.payload.length)
        return keptReceipt(tracking)
      }
      // One that was made here is new.
      const unused = id === undefined ? undefined : (): Promise<void> => delivery.unused(id)
      return this.#hooked(message, message.recipients, signal, keep, unused)
    }
    return this.#hooked(message, message.recipients, signal, () =>
      this.#once.send(message, delivery.draft(message, kind), patience, lost),
    )
  }

  /** Lets the hook see a message, then, and after `first`, does `go`, in the order of the calls for each place it goes to. */
  #hooked<T>(
    message: Message,
    places: readonly string[],
    signal: AbortSignal | undefined,
    go: () => Promise<T>,
    first?: () => Promise<void>,
  ): Promise<T> {
    try {
      signal?.throwIfAborted()
      const hook = this.#hook(message)
      const hooked = first === undefined ? hook : Promise.all([hook, first()])
      const ahead = this.#ahead.size === 0 ? [] : places.flatMap(place => this.#ahead.get(place) ?? [])
      if (hooked !== undefined || ahead.length > 0) return this.#inOrder(places, signal, go, [hooked, ...ahead])
      signal?.throwIfAborted()
      return go()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #inOrder<T>(
    places: readonly string[],
    signal: AbortSignal | undefined,
    go: () => Promise<T>,
    [hooked, ...ahead]: readonly unknown[],
  ): Promise<T> {
    const own = Promise.withResolvers<void>()
    const gone = Promise.all([own.promise, ...ahead]).then(() => {
      for (const place of places) if (this.#ahead.get(place) === gone) this.#ahead.delete(place)
    })
    for (const place of places) this.#ahead.set(place, gone)
    try {
      await abortable(Promise.all([hooked, ...ahead]), signal)
      return go()
    } finally {
      own.resolve()
    }
  }

  /** Runs the hook. One that waits for what it sends to where its message goes would wait for itself: it has its time. */
  #hook(message: Message): void | Promise<void> {
    const { hooks, clock, handlerTimeout } = this.#parts
    const running = runHook(hooks.beforeSend, message)
    if (running === undefined) return
    const waited = abortable(running, this.#closing.signal)
    const late = (): AfpTimeoutError => hookLate(message, handlerTimeout)
    return within(clock, handlerTimeout, late, undefined, given => abortable(waited, given))
  }

  async #publish(topic: string, message: Message, { signal }: MessageOptions): Promise<Published> {
    const { network, build, onSent } = this.#parts
    return this.#hooked(message, [topic], signal, async () => {
      const bytes = encodeMessage(message, 'message', build.limits)
      const peers = await network.publish(topic, bytes)
      onSent(message, bytes.length)
      return { id: message.id, peers }
    })
  }

  #guarantee(wanted: Guarantee | 'best-effort' | undefined): Guarantee {
    return wanted === undefined ? this.#parts.guarantee : validateGuarantee(wanted)
  }

  #track<T>(work: Promise<T>, all: Set<Promise<unknown>> = this.#sending): Promise<T> {
    all.add(work)
    const done = (): void => void all.delete(work)
    work.then(done, done)
    return work
  }
}

/** Most are for an id, which is what they say already. */
const addressedTo = (draft: Message, ids: readonly string[]): Message =>
  ids.length === draft.recipients.length && ids.every((id, i) => id === draft.recipients[i])
    ? draft
    : new Message({ ...draft, recipients: ids })
