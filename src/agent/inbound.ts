/**
 * The way in: what happens to bytes from the network until a handler, a subscription or the inbox has the message. Each
 * step is a line that calls one room.
 */

import type { Clock } from '../common/clock.ts'
import { AfpMessageError } from '../common/errors.ts'
import type { BoundedQueue } from '../common/queue.ts'
import type { Requests } from '../delivery/requests.ts'
import type { DuplicateWindow } from '../delivery/window.ts'
import { decodeMessage, type MessageKind } from '../message/envelope.ts'
import { type Failure, toFailure } from '../message/failure.ts'
import type { Content, Message, MessageSecurity } from '../message/message.ts'
import { type Hooks, type Limits, runHook, validateTime } from '../message/validate.ts'
import type { RefusalReason } from '../network/network.ts'
import type { SubscriptionManager } from '../topics/subscriptions.ts'
import { type Handlers, Reply } from './handlers.ts'
import type { Handler, MessageOptions } from './options.ts'

/** The topic that every agent joins; applications cannot name it. */
export const BROADCAST_TOPIC = '$broadcast'

/** Handlers of one sender's messages at work, above which further ones hold its connection back. */
const MAX_AT_EASE = 256
/**
 * Handlers at work at a time; what comes beyond them is dropped with an event. What a connection brings in one piece is
 * not held back, and it can be some thousand small messages.
 */
const MAX_RUNNING = 16_384
/** Topic messages that hooks may be at work on, and requests that wait for `respond`. */
const MAX_WAITING = 1_024

/** Proved by the peer's own connection, readable by nobody else on the way but not sealed to the recipient. */
const BY_CONNECTION: MessageSecurity = Object.freeze({ level: 'low', authenticatedBy: 'connection', roles: [] })
/** Proved by the author's signature, readable by the mesh. */
const BY_SIGNATURE: MessageSecurity = Object.freeze({ level: 'low', authenticatedBy: 'signature', roles: [] })

/** What the way in needs. */
export interface InboundParts {
  self: string
  clock: Clock
  limits: Limits
  hooks: Hooks
  requests: Requests
  window: DuplicateWindow
  handlers: Handlers
  subscriptions: SubscriptionManager
  /** What nobody else took. */
  inbox: BoundedQueue<Message>
  /** Fires when the agent closes. */
  signal: AbortSignal
  /** Answers a request. */
  answer: (request: Message, kind: 'reply' | 'failure', content: Content, options: MessageOptions) => Promise<void>
  onReceived: (message: Message, bytes: number) => void
  onRefused: (peer: string, reason: RefusalReason, detail: string) => void
  onDropped: (message: Message, reason: string, error?: unknown) => void
  /** A handler, or this side's own work on a message, failed. */
  onHandlerError: (id: string, error: unknown) => void
}

/** See the head of this file. */
export class Inbound {
  readonly #parts: InboundParts
  readonly #running = new Set<Promise<void>>()
  /** Handlers at work by sender: how many, and the one that began last. */
  readonly #busy = new Map<string, { count: number; last: Promise<void> }>()
  /** What is still being checked, by sender: the next of the same sender waits for it, so that order holds. */
  readonly #checking = new Map<string, Promise<void>>()
  #checkingTopics = 0

  /** Requests that a subscription or `receive` took: `respond` answers them. The oldest give way. */
  readonly #unanswered = new Set<string>()

  constructor(parts: InboundParts) {
    this.#parts = parts
  }

  /** Bytes that `from` sent over its own connection. */
  direct(from: string, bytes: Uint8Array): void | Promise<void> {
    const work = this.#receive(from, undefined, BY_CONNECTION, bytes)
    const busy = this.#busy.get(from)
    if (busy === undefined || busy.count <= MAX_AT_EASE) return work
    const { last } = busy
    return work === undefined ? last : work.then(() => last)
  }

  /** Bytes that `from` signed and published on a topic. */
  topic(topic: string, from: string, bytes: Uint8Array): void {
    // A connection holds its sender back while hooks are at work; gossip cannot.
    if (this.#checkingTopics >= MAX_WAITING) {
      return this.#parts.onRefused(from, 'overflow', 'too many messages are being checked')
    }
    const work = this.#receive(from, topic, BY_SIGNATURE, bytes)
    if (work === undefined) return
    this.#checkingTopics++
    void work.finally(() => this.#checkingTopics--)
  }

  /** Whether a message is a request that nobody has answered yet; from now on it counts as answered. */
  takeRequest(message: Message): boolean {
    return this.#unanswered.delete(keyOf(message))
  }

  /** Resolves when every handler that was called has finished. */
  async idle(): Promise<void> {
    while (this.#checking.size + this.#running.size > 0) {
      await Promise.all([...this.#checking.values(), ...this.#running])
    }
  }

  #receive(
    from: string,
    topic: string | undefined,
    security: MessageSecurity,
    bytes: Uint8Array,
  ): void | Promise<void> {
    const earlier = this.#checking.get(from)
    if (earlier !== undefined)
      return this.#check(
        from,
        earlier.then(() => this.#take(from, topic, security, bytes)),
      )
    const work = this.#take(from, topic, security, bytes)
    if (work !== undefined) return this.#check(from, work)
  }

  #check(from: string, work: Promise<void>): Promise<void> {
    const checked = work.finally(() => {
      if (this.#checking.get(from) === checked) this.#checking.delete(from)
    })
    this.#checking.set(from, checked)
    return checked
  }

  /** The journey. Asynchronous only where a hook or a pattern is. */
  #take(from: string, topic: string | undefined, security: MessageSecurity, bytes: Uint8Array): void | Promise<void> {
    const { clock, limits, hooks, window, onReceived } = this.#parts
    let id = ''
    const finish = (error: unknown): void => this.#refuse(from, id, error)
    try {
      const { message, kind } = this.#decode(from, topic, security, bytes)
      id = message.id
      validateTime(message, limits, clock.now())
      if (!window.note(from, id)) return this.#parts.onRefused(from, 'duplicate', id)
      onReceived(message, bytes.length)
      const hooked = runHook(hooks.afterReceive, message)
      const dispatch = (): void | Promise<void> => this.#dispatch(message, kind, bytes.length)
      if (hooked !== undefined) return hooked.then(dispatch).catch(finish)
      return dispatch()?.catch(finish)
    } catch (error) {
      finish(error)
    }
  }

  #decode(
    from: string,
    topic: string | undefined,
    security: MessageSecurity,
    bytes: Uint8Array,
  ): { message: Message; kind: MessageKind } {
    const { self, limits } = this.#parts
    const named = topic === BROADCAST_TOPIC ? undefined : topic
    const decoded = decodeMessage(bytes, { sender: from, topic: named, security, limits })
    const { message, kind } = decoded
    const forUs =
      topic === BROADCAST_TOPIC ? message.isBroadcast : topic !== undefined || message.recipients.includes(self)
    if (!forUs || (topic !== undefined && kind !== 'message')) throw new NotForUs(message.id)
    return decoded
  }

  #dispatch(message: Message, kind: MessageKind, bytes: number): void | Promise<void> {
    if (kind === 'reply' || kind === 'failure') {
      if (!this.#parts.requests.settle({ message, failed: kind === 'failure' })) {
        this.#parts.onRefused(message.sender, 'unsolicited', message.parentId ?? '')
      }
      return
    }
    if (message.topic !== undefined || message.isBroadcast) return this.#offer(message, kind, bytes, undefined)
    const handler = this.#parts.handlers.find(message)
    if (handler instanceof Promise) return handler.then(found => this.#offer(message, kind, bytes, found))
    this.#offer(message, kind, bytes, handler)
  }

  #offer(message: Message, kind: MessageKind, bytes: number, handler: Handler | undefined): void {
    const { subscriptions, inbox, onDropped } = this.#parts
    const taken = subscriptions.deliver(message, bytes)
    if (handler !== undefined) return this.#start(message, kind, handler)
    if (kind === 'request') {
      if (taken === 0 && inbox.waiting === 0) return this.#answerNoHandler(message)
      this.#unanswered.add(keyOf(message))
      if (this.#unanswered.size > MAX_WAITING) this.#unanswered.delete(this.#unanswered.keys().next().value as string)
    }
    if (taken > 0 || message.topic !== undefined) return
    if (!inbox.push(message, bytes)) onDropped(message, 'inbox-full')
  }

  #start(message: Message, kind: MessageKind, handler: Handler): void {
    if (this.#running.size >= MAX_RUNNING) return this.#parts.onDropped(message, 'handlers-busy')
    const { sender } = message
    const running = this.#run(message, kind, handler).finally(() => {
      this.#running.delete(running)
      if (--busy.count === 0) this.#busy.delete(sender)
    })
    this.#running.add(running)
    const busy = this.#busy.get(sender) ?? { count: 0, last: running }
    this.#busy.set(sender, Object.assign(busy, { count: busy.count + 1, last: running }))
  }

  async #run(message: Message, kind: MessageKind, handler: Handler): Promise<void> {
    const expectsReply = kind === 'request'
    try {
      const result = await handler(message, { signal: this.#parts.signal, expectsReply })
      if (!expectsReply) return
      const { content, options } = result instanceof Reply ? result : new Reply((result ?? null) as Content, {})
      await this.#parts.answer(message, 'reply', content, options)
    } catch (error) {
      this.#parts.onHandlerError(message.id, error)
      if (expectsReply) await this.#answer(message, 'failure', failureOf(error), {})
    }
  }

  #answerNoHandler(message: Message): void {
    void this.#answer(message, 'failure', { code: 'NO_HANDLER', message: 'no handler takes this request' }, {})
    this.#parts.onDropped(message, 'no-handler')
  }

  async #answer(message: Message, kind: 'reply' | 'failure', content: Content, options: MessageOptions): Promise<void> {
    try {
      await this.#parts.answer(message, kind, content, options)
    } catch (error) {
      this.#parts.onDropped(message, 'answer-failed', error)
    }
  }

  #refuse(from: string, id: string, error: unknown): void {
    const { onRefused, onHandlerError } = this.#parts
    const reason = reasonOf(error)
    onRefused(from, reason, error instanceof Error ? error.message : '')
    if (reason === 'internal') onHandlerError(id, error)
  }
}

class NotForUs extends Error {}

/** Ids are the sender's choice: by themselves they would let one sender's message pass for another's. */
const keyOf = ({ sender, id }: Message): string => `${sender} ${id}`

/** What a handler threw. That there was no handler is not for a handler to say: its own requests may end so. */
function failureOf(error: unknown): Failure {
  const failure = toFailure(error)
  return failure.code === 'NO_HANDLER' ? { ...failure, code: 'HANDLER_FAILED' } : failure
}

function reasonOf(error: unknown): RefusalReason {
  if (error instanceof NotForUs) return 'not-for-us'
  // Nothing that comes from outside may end the process: what nobody thought of drops the message, and is not the sender's
  // fault. Everything that is throws this one class.
  if (!(error instanceof AfpMessageError)) return 'internal'
  if (error.code === 'MESSAGE_EXPIRED') return 'expired'
  if (error.code === 'HOOK_REFUSED') return 'hook'
  const { reason } = error.details
  return reason === 'too-deep' || reason === 'too-large' || reason === 'clock-skew' ? reason : 'malformed'
}
