/** One subscription: takes the messages that match, hands them to its reader or callback, and ends. */

import { type AbortOptions, abortable, within } from '../common/abort.ts'
import { COUNT, checkOption } from '../common/check-options.ts'
import type { Clock, Timer } from '../common/clock.ts'
import { AfpError, AfpSubscriptionError, AfpTimeoutError } from '../common/errors.ts'
import { BoundedQueue } from '../common/queue.ts'
import { type CompiledFilter, type CompileOptions, compileFilter, type Filter } from '../message/filter.ts'
import type { Content, Message } from '../message/message.ts'
import { isId, type Limits } from '../message/validate.ts'

/** Which messages, and for how long. */
export interface SubscriptionOptions extends Filter, AbortOptions {
  /** Ends the subscription as {@link Subscription.unsubscribe} does. */
  signal?: AbortSignal | undefined
  /** Id of the subscription; default: a new UUID. Using one twice is an error. */
  id?: string | undefined
  /** Who subscribes; default: the manager's own. */
  subscriber?: string | undefined
  /** When it ends, ms since 1970. */
  expiresAt?: number | undefined
  /** How many messages it takes before it ends. */
  maxMessages?: number | undefined
  /** What it is for, for people. */
  description?: string | undefined
  /** How many messages may wait for a slow reader; beyond it the newest are refused. Default: `limits.queue`, 1,024; `limits.queuedBytes` bounds them too. */
  queue?: number | undefined
}

/** Takes messages one after another; the next comes when what it returned has settled, or has taken too long. */
export type SubscriptionCallback<C extends Content = Content> = (message: Message<C>) => void | Promise<void>

/** What a subscription needs of its manager. */
export interface SubscriptionContext {
  readonly id: string
  readonly subscriber: string
  readonly clock: Clock
  readonly limits: Limits
  readonly senders: CompileOptions['senders']
  /** How long a callback may take, ms. */
  readonly callbackTimeout: number
  /** When the agent is in the subscription's topic, as far as others can be told; at once without a topic. */
  readonly joined: Promise<void>
  /** It has ended and takes nothing more. Called once. */
  readonly onEnd: (subscription: Subscription) => void
  /** A message was dropped, since its reader is slow. */
  readonly onOverflow: (message: Message, subscription: Subscription) => void
  /** It had no room for a message, and now has some, or wants nothing more. */
  readonly onRoom: () => void
  /** Asked of each message that waited, when it is taken: whether it is dropped, having expired. */
  readonly isStale: (message: Message) => boolean
  /** A message that it took was handed out: its callback, if it has one, is done with it. */
  readonly onHandedOut: (message: Message) => void
  /** A message that it took will not be handed out. */
  readonly onLetGo: (message: Message) => void
  /** A callback or predicate threw, or a callback took too long. */
  readonly onError: (error: unknown, message: Message, subscription: Subscription) => void
}

/** Told once whether a message that had to wait for the filter was taken. */
export type Settle = (taken: boolean) => void

/**
 * A subscription. Read it with `for await`, unless it has a callback: leaving the loop unsubscribes. Several loops share
 * its messages. What it took can still be read after it expired, got its last message or its agent closed, but for what is
 * kept and unread as its agent closes, which is for the next run; after `unsubscribe` nothing more comes, and what is kept
 * of that is for others.
 */
export class Subscription<C extends Content = Content> implements AsyncIterable<Message<C>>, Disposable {
  readonly id: string
  readonly subscriber: string
  /** What it was asked for: senders by the names or ids that were given. */
  readonly filter: Filter
  readonly description: string | undefined
  /** ms since 1970. */
  readonly createdAt: number
  /** ms since 1970; undefined: it does not expire. */
  readonly expiresAt: number | undefined
  readonly maxMessages: number | undefined
  /**
   * Resolves when what is published on the topic from then on has a way here: relays are in the topic too, but for one
   * that does not join within two seconds; and when the filter's regular expressions are compiled, until which messages
   * wait in order. Rejects with `INVALID_FILTER`, and so does the loop that reads it, when one cannot be compiled.
   */
  readonly ready: Promise<void>

  readonly #context: SubscriptionContext
  readonly #compiled: CompiledFilter
  readonly #callback: SubscriptionCallback<C> | undefined
  readonly #queue: BoundedQueue<Message<C>>
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = (): void => this.unsubscribe()
  /** What has to wait until the filter is ready. */
  #waiting: BoundedQueue<{ message: Message; bytes: number; settle: Settle | undefined }> | undefined
  /** It had no room for a message. */
  #overflowed = false
  #receivedCount = 0
  #ended = false
  #timer: Timer | undefined
  #running: Promise<void> | undefined

  /** @throws AfpSubscriptionError INVALID_FILTER, INVALID_TOPIC; AfpError INVALID_OPTION; the signal's reason */
  constructor(
    options: SubscriptionOptions,
    callback: SubscriptionCallback<C> | undefined,
    context: SubscriptionContext,
  ) {
    const { topic, sender, contentType, metadata, parentId, securityLevel, where, signal, expiresAt, maxMessages } =
      options
    signal?.throwIfAborted()
    const { clock, limits } = context
    if (!isId(context.id)) throw new AfpError('INVALID_OPTION', 'the id has to be 1 to 128 characters')
    if (maxMessages !== undefined) checkOption('maxMessages', maxMessages, COUNT)
    this.createdAt = clock.now()
    if (expiresAt !== undefined && !(Number.isFinite(expiresAt) && expiresAt > this.createdAt)) {
      throw new AfpError('INVALID_OPTION', 'expiresAt has to be in the future, ms since 1970')
    }
    this.id = context.id
    this.subscriber = context.subscriber
    this.filter = { topic, sender, contentType, metadata, parentId, securityLevel, where }
    this.description = options.description
    this.expiresAt = expiresAt
    this.maxMessages = maxMessages
    this.#context = context
    this.#callback = callback
    const { queue = limits.queue } = options
    checkOption('queue', queue, COUNT)
    this.#queue = new BoundedQueue(
      queue,
      limits.queuedBytes,
      message => {
        const stale = context.isStale(message as Message)
        if (stale) {
          context.onLetGo(message as Message)
          this.#hasRoom()
        }
        return stale
      },
      message => {
        // A callback has to be done with it first.
        if (callback === undefined) context.onHandedOut(message as Message)
        this.#hasRoom()
      },
    )
    this.#compiled = compileFilter(this.filter, {
      limits,
      senders: context.senders,
      onError: (error, message) => context.onError(error, message, this.#untyped),
    })
    const compiled = this.#compiled.ready
    this.ready = Promise.all([compiled, context.joined]).then(() => {})
    if (compiled !== undefined) {
      this.#waiting = new BoundedQueue(queue, limits.queuedBytes)
      // Whoever reads it hears of a failure in the loop.
      this.ready.catch(() => {})
      compiled.then(
        () => this.#settleWaiting(),
        error => this.#end(error),
      )
    }
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#armExpiry()
  }

  /** How many messages it has taken. */
  get receivedCount(): number {
    return this.#receivedCount
  }

  /** Whether it takes nothing more. */
  get ended(): boolean {
    return this.#ended
  }

  /** Whether its filter is compiled. */
  get isReady(): boolean {
    return this.#waiting === undefined
  }

  /** Whether its time is up at `now`, ms since 1970. */
  hasExpired(now: number): boolean {
    return this.expiresAt !== undefined && now >= this.expiresAt
  }

  /** Whether a message is one of those it is for. @throws AfpSubscriptionError INVALID_FILTER before it is ready */
  matches(message: Message): boolean {
    return this.#compiled.matches(message)
  }

  /**
   * Offers it a message; what the agent's inbox does. True when it took it. While the filter is not ready a message that
   * may match waits: the answer is then `waiting`, and `settle` is told later.
   * @param bytes - what the message counts for in `limits.queuedBytes` while it waits
   */
  offer(message: Message, settle?: Settle, bytes = 0): boolean | 'waiting' {
    if (this.#ended) return false
    if (this.hasExpired(this.#context.clock.now())) {
      this.finish()
      return false
    }
    if (this.#waiting === undefined) return this.#compiled.matches(message) && this.#take(message, bytes)
    if (!this.#compiled.mayMatch(message)) return false
    if (this.#waiting.push({ message, bytes, settle }, bytes)) return 'waiting'
    this.#overflow(message)
    return false
  }

  /** Takes back a message that waits in it; false when none does. It hands that out no more, and tells nobody of it. */
  withdraw(message: Message): boolean {
    const waits =
      this.#queue.remove(queued => queued === message) || this.#waiting?.remove(queued => queued.message === message)
    if (waits) this.#hasRoom()
    return waits === true
  }

  /**
   * Ends it: nothing more is handed out, also of what it took before. Of that, what is kept and nobody else has read is
   * offered to others, and waits for them; the rest is dropped. Idempotent.
   */
  unsubscribe(): void {
    for (const message of this.#queue.takeAll()) this.#context.onLetGo(message as Message)
    this.#end()
  }

  /** Ends it, but what it took can still be read. Idempotent. */
  finish(): void {
    this.#end()
  }

  /** Resolves when its callback has finished with everything that it was handed. */
  idle(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  [Symbol.dispose](): void {
    this.unsubscribe()
  }

  /** @throws AfpSubscriptionError INVALID_OPTION when it has a callback, which gets the messages */
  [Symbol.asyncIterator](): AsyncIterator<Message<C>> {
    if (this.#callback !== undefined) {
      throw new AfpSubscriptionError('INVALID_OPTION', 'a subscription with a callback cannot be read', this.#who)
    }
    return {
      next: () => this.#queue.next(),
      return: async () => {
        this.unsubscribe()
        return { done: true, value: undefined }
      },
    }
  }

  get #who(): { subscriber: string; subscriptionId: string } {
    return { subscriber: this.subscriber, subscriptionId: this.id }
  }

  /** The manager handles subscriptions to any content. */
  get #untyped(): Subscription {
    return this as unknown as Subscription
  }

  #take(message: Message, bytes: number): boolean {
    if (!this.#queue.push(message as Message<C>, bytes)) {
      if (!this.#queue.ended) this.#overflow(message)
      return false
    }
    this.#receivedCount++
    if (this.#callback !== undefined) this.#running ??= this.#run(this.#callback)
    if (this.#receivedCount === this.maxMessages) this.#end()
    return true
  }

  async #run(callback: SubscriptionCallback<C>): Promise<void> {
    // Not within the producer's own call: a callback may unsubscribe, subscribe or take its time.
    await Promise.resolve()
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
      try {
        await this.#inTime(message as Message, callback(message))
      } catch (error) {
        this.#context.onError(error, message as Message, this.#untyped)
      }
      this.#context.onHandedOut(message as Message)
    }
    this.#running = undefined
  }

  /** What a callback is at, for as long as it may take; nobody listens to it after that. */
  #inTime(message: Message, work: void | Promise<void>): void | Promise<void> {
    const { clock, callbackTimeout: ms } = this.#context
    if (work === undefined) return
    const late = (): AfpTimeoutError =>
      new AfpTimeoutError(`the callback was not done within ${ms / 1_000} s`, {
        messageId: message.id,
        timeoutSeconds: ms / 1_000,
      })
    return within(clock, ms, late, undefined, signal => abortable(Promise.resolve(work), signal))
  }

  #overflow(message: Message): void {
    this.#overflowed = true
    this.#context.onOverflow(message, this.#untyped)
  }

  #hasRoom(): void {
    if (!this.#overflowed) return
    this.#overflowed = false
    this.#context.onRoom()
  }

  #settleWaiting(): void {
    const waiting = this.#waiting?.takeAll() ?? []
    this.#waiting = undefined
    for (const { message, bytes, settle } of waiting) {
      settle?.(this.#compiled.matches(message) && this.#take(message, bytes))
    }
    if (this.#queue.size === 0) this.#hasRoom()
  }

  #end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#timer?.cancel()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#queue.end(error)
    for (const { settle } of this.#waiting?.takeAll() ?? []) settle?.(false)
    this.#context.onEnd(this.#untyped)
    this.#hasRoom()
  }

  #armExpiry(): void {
    const { expiresAt } = this
    if (expiresAt === undefined) return
    const { clock } = this.#context
    // A timer may fire early: the platform's cannot wait longer than 25 days, and wall time may be set back.
    this.#timer = clock.after(expiresAt - clock.now(), () => {
      if (this.hasExpired(clock.now())) this.finish()
      else this.#armExpiry()
    })
  }
}
