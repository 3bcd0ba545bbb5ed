/**
 * The way in: what happens to bytes from the network until a handler, a subscription or the inbox has the message. Each
 * step is a line that calls one room.
 */

import type { Clock } from '../common/clock.ts'
import type { BoundedQueue } from '../common/queue.ts'
import type { Arrived } from '../delivery/arrived.ts'
import type { Untaken } from '../delivery/processing.ts'
import type { KeptReply } from '../delivery/processing-state.ts'
import type { Requests } from '../delivery/requests.ts'
import type { Reservations } from '../delivery/reservations.ts'
import type { BufferedTransaction } from '../delivery/transaction.ts'
import type { DuplicateWindow } from '../delivery/window.ts'
import { decodeMessage, type MessageKind } from '../message/envelope.ts'
import type { Content, Message, MessageSecurity } from '../message/message.ts'
import { type Hooks, type Limits, runHook, validateTime } from '../message/validate.ts'
import type { RefusalReason } from '../network/network.ts'
import type { Store } from '../store/store.ts'
import type { SubscriptionManager } from '../topics/subscriptions.ts'
import { handleUnkept } from './handle-unkept.ts'
import { runHandler } from './handler-run.ts'
import type { Handlers } from './handlers.ts'
import { Leases } from './leases.ts'
import type { Handler, HandlerContext, MessageOptions } from './options.ts'
import { failureOf, NotForUs, reasonOf, replyOf } from './outcomes.ts'

/** The topic that every agent joins; applications cannot name it. */
export const BROADCAST_TOPIC = '$broadcast'

/** Handlers of one sender's messages at work, above which further ones hold its connection back. */
const MAX_AT_EASE = 256
/**
 * Handlers at work at a time; what comes beyond them is dropped with an event. What a connection brings in one piece is
 * not held back, and it can be some thousand small messages.
 */
const MAX_RUNNING = 16_384
/** Topic messages that hooks may be at work on. */
const MAX_CHECKING = 1_024

/** Proved by the author's signature, readable by the mesh. */
const BY_SIGNATURE: MessageSecurity = Object.freeze({ level: 'low', authenticatedBy: 'signature', roles: [] })

/** What the way in needs. */
export interface InboundParts {
  self: string
  clock: Clock
  store: Store
  limits: Limits
  hooks: Hooks
  requests: Requests
  reservations: Reservations
  window: DuplicateWindow
  handlers: Handlers
  subscriptions: SubscriptionManager
  /** What nobody else took. */
  inbox: BoundedQueue<Message>
  /** How long a handler may take, ms. */
  handlerTimeout: number
  /** Fires when the agent closes. */
  signal: AbortSignal
  /** Answers a request. */
  answer: (request: Message, kind: 'reply' | 'failure', content: Content, options: MessageOptions) => Promise<void>
  /** The answer to a request that is kept, to be committed with what its handler wrote. */
  prepare: (
    request: Message,
    kind: 'reply' | 'failure',
    content: Content,
    options: MessageOptions,
  ) => Promise<KeptReply | undefined>
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
  readonly leases: Leases
  /** Kept messages that count as received. */
  readonly #received = new WeakSet<Message>()
  /** Requests that a subscription or `receive` took: `respond` answers them, as long as the application has them. */
  readonly #unanswered = new WeakSet<Message>()

  constructor(parts: InboundParts) {
    this.#parts = parts
    this.leases = new Leases(message => parts.onDropped(message, 'subscription-full'), parts)
  }

  /**
   * Judges a direct message before it counts as received. What it throws goes to {@link rejected}.
   * @throws AfpMessageError MESSAGE_EXPIRED, MALFORMED, HOOK_REFUSED
   */
  judge(message: Message): void | Promise<void> {
    const { self, limits, clock, hooks } = this.#parts
    if (!message.recipients.includes(self)) throw new NotForUs(message.id)
    validateTime(message, limits, clock.now())
    return runHook(hooks.afterReceive, message)
  }

  /** Tells why a message was refused. */
  rejected(from: string, error: unknown, id = ''): void {
    const { onRefused, onHandlerError } = this.#parts
    const reason = reasonOf(error)
    // What a hook threw is in its cause.
    const { message, cause } = error instanceof Error ? error : new Error('')
    onRefused(from, reason, cause instanceof Error ? `${message}: ${cause.message}` : message)
    if (reason === 'internal') onHandlerError(id, error)
  }

  /** Takes a direct message that is neither numbered nor kept. A promise holds its sender back. */
  once(message: Message, kind: MessageKind, bytes: number): void | Promise<void> {
    const { window, onReceived, onRefused } = this.#parts
    const { sender, id } = message
    if (!window.note(sender, id)) return onRefused(sender, 'duplicate', id)
    onReceived(message, bytes)
    const finish = (error: unknown): void => this.rejected(sender, error, id)
    try {
      const work = this.#dispatch(message, kind, bytes)?.catch(finish)
      const busy = this.#busy.get(sender)
      if (busy === undefined || busy.count <= MAX_AT_EASE) return work
      const { last } = busy
      return work === undefined ? last : work.then(() => last)
    } catch (error) {
      finish(error)
    }
  }

  /** Takes a message that is on the disk until this is done with it, unless nobody wants it, or has room for it. */
  take(arrived: Arrived, transaction: BufferedTransaction): Promise<Taken> | Untaken {
    const { message, kind, late, redelivered, row } = arrived
    const bytes = row.message.length
    // While nobody wants it, it is offered again with every new handler: it came once.
    if (!redelivered && !this.#received.has(message)) this.#parts.onReceived(message, bytes)
    this.#received.add(message)
    if (kind === 'reply' || kind === 'failure') {
      // A copy that is not kept may have come before, while there was no room, or may come yet.
      if (this.#parts.window.note(message.sender, message.id)) this.#settle(message, kind)
      return Promise.resolve(undefined)
    }
    const expectsReply = kind === 'request'
    const context = { transaction, late, redelivered, expectsReply, idempotencyKey: keyOf(message) }
    const mortal = !arrived.askedFor
    const handler = this.#parts.handlers.find(message)
    if (handler instanceof Promise) return handler.then(found => this.#hold(message, context, bytes, mortal, found))
    return this.#hold(message, context, bytes, mortal, handler)
  }

  /** A subscription has no room for a message. One that is kept is not dropped for that, as long as nobody took it. */
  noRoom(message: Message): void {
    if (!this.leases.noRoom(message)) this.#parts.onDropped(message, 'subscription-full')
  }

  /** A message that waited for filters which were not ready is for no subscription. */
  unclaimed(message: Message, bytes: number): void {
    if (!this.leases.unclaimed(message) && message.topic === undefined) this.#leave(message, bytes)
  }

  /** Bytes that `from` signed and published on a topic. */
  topic(topic: string, from: string, bytes: Uint8Array): void {
    // A connection holds its sender back while hooks are at work; gossip cannot.
    if (this.#checkingTopics >= MAX_CHECKING) {
      return this.#parts.onRefused(from, 'overflow', 'too many messages are being checked')
    }
    const work = this.#receive(from, topic, bytes)
    if (work === undefined) return
    this.#checkingTopics++
    void work.finally(() => this.#checkingTopics--)
  }

  /** Whether a message is a request that nobody has answered yet; from now on it counts as answered. */
  takeRequest(message: Message): boolean {
    return this.#unanswered.delete(message)
  }

  /** A request that waited for whoever reads has been read: `respond` answers it. */
  leaveRequest(message: Message): void {
    this.#unanswered.add(message)
  }

  /** Resolves when every handler that was called has finished. */
  async idle(): Promise<void> {
    while (this.#checking.size + this.#running.size > 0) {
      await Promise.all([...this.#checking.values(), ...this.#running])
    }
  }

  #hold(
    message: Message,
    context: KeptContext,
    bytes: number,
    mortal: boolean,
    handler: Handler | undefined,
  ): Promise<Taken> | Untaken {
    const { subscriptions, inbox } = this.#parts
    if (handler !== undefined) {
      // Subscriptions look on: whether it is done is for the handler to say.
      if (!context.redelivered) subscriptions.deliver(message, bytes)
      return this.#track(this.#handle(message, context, handler))
    }
    const read = this.leases.take(message, takers => subscriptions.deliver(message, bytes, takers), mortal)
    const untaken = typeof read === 'string'
    if (untaken && inbox.waiting === 0) {
      // A request that is here from an earlier run, whose handlers may only be on their way, is waited with as well.
      if (!context.expectsReply || context.redelivered) return read
      this.#parts.onDropped(message, read === 'full' ? 'subscription-full' : 'no-handler')
      return this.#prepare(message, 'failure', NO_HANDLER, {})
    }
    if (context.expectsReply) this.#unanswered.add(message)
    if (!untaken) return read
    if (read === 'full') this.#parts.onDropped(message, 'subscription-full')
    inbox.push(message, bytes)
    return Promise.resolve(undefined)
  }

  /** What a handler does with a kept message. Its failure is an answer to a request, and has other messages come again. */
  async #handle(message: Message, context: KeptContext, handler: Handler): Promise<KeptReply | undefined> {
    try {
      const result = await runHandler(this.#parts, handler, message, context)
      if (!context.expectsReply) return undefined
      const { content, options } = replyOf(result)
      return await this.#parts.prepare(message, 'reply', content, options)
    } catch (error) {
      // Whoever was in the way of its reads is no failure of its own.
      if (!context.expectsReply || context.transaction.conflict !== undefined) throw error
      context.transaction.abandon()
      this.#parts.onHandlerError(message.id, error)
      return this.#prepare(message, 'failure', failureOf(error), {})
    }
  }

  /** The answer to a kept request; undefined where there can be none, which is an event. */
  async #prepare(
    message: Message,
    kind: 'reply' | 'failure',
    content: Content,
    options: MessageOptions,
  ): Promise<KeptReply | undefined> {
    try {
      return await this.#parts.prepare(message, kind, content, options)
    } catch (error) {
      this.#parts.onDropped(message, 'answer-failed', error)
      return undefined
    }
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const running = work.then(
      () => {},
      () => {},
    )
    this.#running.add(running)
    void running.then(() => this.#running.delete(running))
    return work
  }

  #receive(from: string, topic: string, bytes: Uint8Array): void | Promise<void> {
    const earlier = this.#checking.get(from)
    if (earlier !== undefined)
      return this.#check(
        from,
        earlier.then(() => this.#take(from, topic, bytes)),
      )
    const work = this.#take(from, topic, bytes)
    if (work !== undefined) return this.#check(from, work)
  }

  #check(from: string, work: Promise<void>): Promise<void> {
    const checked = work.finally(() => {
      if (this.#checking.get(from) === checked) this.#checking.delete(from)
    })
    this.#checking.set(from, checked)
    return checked
  }

  /** The journey of a topic's message. Asynchronous only where a hook or a pattern is. */
  #take(from: string, topic: string, bytes: Uint8Array): void | Promise<void> {
    const { clock, limits, hooks, window, onReceived } = this.#parts
    let id = ''
    const finish = (error: unknown): void => this.rejected(from, error, id)
    try {
      const { message, kind } = this.#decode(from, topic, bytes)
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

  #decode(from: string, topic: string, bytes: Uint8Array): { message: Message; kind: MessageKind } {
    const { limits } = this.#parts
    const broadcast = topic === BROADCAST_TOPIC
    const context = { sender: from, topic: broadcast ? undefined : topic, security: BY_SIGNATURE, limits }
    const decoded = decodeMessage(bytes, context)
    const { message, kind } = decoded
    if (kind !== 'message' || (broadcast && !message.isBroadcast)) throw new NotForUs(message.id)
    return decoded
  }

  #settle(message: Message, kind: MessageKind): void {
    if (this.#parts.requests.settle({ message, failed: kind === 'failure' })) return
    this.#parts.onRefused(message.sender, 'unsolicited', `${message.id} replies to ${message.parentId}`)
  }

  #dispatch(message: Message, kind: MessageKind, bytes: number): void | Promise<void> {
    if (kind === 'reply' || kind === 'failure') return this.#settle(message, kind)
    if (message.topic !== undefined || message.isBroadcast) return this.#offer(message, kind, bytes, undefined)
    const handler = this.#parts.handlers.find(message)
    if (handler instanceof Promise) return handler.then(found => this.#offer(message, kind, bytes, found))
    this.#offer(message, kind, bytes, handler)
  }

  #offer(message: Message, kind: MessageKind, bytes: number, handler: Handler | undefined): void {
    const { subscriptions, inbox } = this.#parts
    const taken = subscriptions.deliver(message, bytes)
    if (handler !== undefined) return this.#start(message, kind, handler)
    if (kind === 'request') {
      if (taken === 0 && inbox.waiting === 0) return this.#answerNoHandler(message)
      this.#unanswered.add(message)
    }
    if (taken === 0 && message.topic === undefined) this.#leave(message, bytes)
  }

  /** Leaves a message to whoever reads next. */
  #leave(message: Message, bytes: number): void {
    const { inbox, onDropped } = this.#parts
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
      const result = await handleUnkept(this.#parts, handler, message, { expectsReply, idempotencyKey: keyOf(message) })
      if (!expectsReply) return
      const { content, options } = replyOf(result)
      await this.#parts.answer(message, 'reply', content, options)
    } catch (error) {
      this.#parts.onHandlerError(message.id, error)
      if (expectsReply) await this.#answer(message, 'failure', failureOf(error), {})
    }
  }

  #answerNoHandler(message: Message): void {
    void this.#answer(message, 'failure', NO_HANDLER, {})
    this.#parts.onDropped(message, 'no-handler')
  }

  async #answer(message: Message, kind: 'reply' | 'failure', content: Content, options: MessageOptions): Promise<void> {
    try {
      await this.#parts.answer(message, kind, content, options)
    } catch (error) {
      this.#parts.onDropped(message, 'answer-failed', error)
    }
  }
}

/** What taking a kept message comes to. */
type Taken = KeptReply | Untaken | undefined

/** The context of a kept message. */
interface KeptContext extends Omit<HandlerContext, 'signal'> {
  readonly transaction: BufferedTransaction
}

const NO_HANDLER = { code: 'NO_HANDLER', message: 'no handler takes this request' }

/** Ids are the sender's choice: by themselves they would let one sender's message pass for another's. */
const keyOf = ({ sender, id }: Message): string => `${sender} ${id}`
