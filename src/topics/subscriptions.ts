/** All subscriptions of an agent: who gets a message, and which topics they need. */

import type { Clock } from '../common/clock.ts'
import { AfpSubscriptionError } from '../common/errors.ts'
import type { CompileOptions } from '../message/filter.ts'
import type { Content, Message } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import { Subscription, type SubscriptionCallback, type SubscriptionOptions } from './subscription.ts'

export { Subscription, type SubscriptionCallback, type SubscriptionOptions } from './subscription.ts'

/** What a {@link SubscriptionManager} needs and tells. */
export interface SubscriptionManagerOptions {
  readonly clock: Clock
  readonly limits: Limits
  /** Makes ids of subscriptions; see `createIds`. */
  readonly ids: () => string
  /** Who subscribes when the options of a subscription do not say. */
  readonly subscriber: string
  /** Who the senders of a filter are; default: they are ids. */
  readonly senders?: CompileOptions['senders']
  /**
   * The first subscription to a topic has come or the last has gone. `topics` are those in use now. A promise, which must
   * not reject, is waited for before subscriptions to the topic are ready.
   */
  readonly onChange?: (
    topics: ReadonlySet<string>,
    change: { topic: string; subscribed: boolean },
  ) => void | Promise<void>
  /** A message was dropped, since the reader of a subscription is slow. */
  readonly onOverflow?: (message: Message, subscription: Subscription) => void
  /** A subscription that had no room has some, or has ended. */
  readonly onRoom?: () => void
  /** See {@link SubscriptionContext.isStale}; default: none is. */
  readonly isStale?: ((message: Message) => boolean) | undefined
  /** See {@link SubscriptionContext.callbackTimeout}; default: as long as it likes. */
  readonly callbackTimeout?: number | undefined
  /** A subscription's callback or predicate threw, or a callback took too long. */
  readonly onError?: (error: unknown, message: Message, subscription: Subscription) => void
  /**
   * A message that {@link SubscriptionManager.deliver} counted, since it waited for filters that were not ready, turned
   * out to match none and was taken by nobody.
   */
  readonly onUnclaimed?: (message: Message, bytes: number) => void
  /** A subscription that {@link SubscriptionManager.deliver} counted has handed a message out; a callback is done with it. */
  readonly onHandedOut?: (message: Message) => void
  /** One that was counted has let go of a message unread, or turned out not to be for it. After `onUnclaimed`. */
  readonly onLetGo?: (message: Message) => void
}

/** See the head of this file. */
export class SubscriptionManager {
  readonly #options: SubscriptionManagerOptions
  readonly #byId = new Map<string, Subscription>()
  /** By topic; without one under undefined. */
  readonly #byTopic = new Map<string | undefined, Set<Subscription>>()
  /** When the agent is in a topic. */
  readonly #joined = new Map<string, Promise<void>>()
  /** Those that have ended, until their callbacks are done with what they took. */
  readonly #ending = new Set<Subscription>()

  constructor(options: SubscriptionManagerOptions) {
    this.#options = options
  }

  /** How many there are. */
  get size(): number {
    return this.#byId.size
  }

  /** Topics that subscriptions name. */
  get topics(): ReadonlySet<string> {
    return new Set([...this.#byTopic.keys()].filter(topic => topic !== undefined))
  }

  /**
   * Adds a subscription; with a callback it gets the messages, without one whoever reads it.
   * @throws AfpSubscriptionError DUPLICATE_SUBSCRIPTION; SUBSCRIPTION_OVERFLOW when there are too many, or too many
   * topics; INVALID_FILTER, INVALID_TOPIC; AfpError INVALID_OPTION; the signal's reason when it has fired
   */
  add<C extends Content = Content>(
    options: SubscriptionOptions = {},
    callback?: SubscriptionCallback<C>,
  ): Subscription<C> {
    const { clock, limits, ids, senders } = this.#options
    const { id = ids(), subscriber = this.#options.subscriber, topic } = options
    const refuse = (code: 'DUPLICATE_SUBSCRIPTION' | 'SUBSCRIPTION_OVERFLOW', why: string): AfpSubscriptionError =>
      new AfpSubscriptionError(code, why, { subscriber, subscriptionId: id })
    if (this.#byId.has(id)) throw refuse('DUPLICATE_SUBSCRIPTION', `there is a subscription '${id}' already`)
    if (this.#byId.size >= limits.subscriptions) {
      throw refuse('SUBSCRIPTION_OVERFLOW', `no more than ${limits.subscriptions} subscriptions`)
    }
    if (topic !== undefined && !this.#byTopic.has(topic) && this.topics.size >= limits.topics) {
      throw refuse('SUBSCRIPTION_OVERFLOW', `no more than ${limits.topics} topics`)
    }
    const joined = Promise.withResolvers<void>()
    const subscription = new Subscription<C>(options, callback, {
      id,
      subscriber,
      clock,
      limits,
      senders,
      callbackTimeout: this.#options.callbackTimeout ?? Number.POSITIVE_INFINITY,
      joined: joined.promise,
      onEnd: ended => this.#forget(ended),
      onOverflow: (message, slow) => this.#options.onOverflow?.(message, slow),
      onRoom: () => this.#options.onRoom?.(),
      isStale: this.#options.isStale ?? (() => false),
      onHandedOut: message => this.#options.onHandedOut?.(message),
      onLetGo: message => this.#options.onLetGo?.(message),
      onError: (error, message, failed) => this.#options.onError?.(error, message, failed),
    })
    const added = subscription as unknown as Subscription
    this.#byId.set(id, added)
    const sharers = this.#byTopic.get(topic)
    if (sharers !== undefined) sharers.add(added)
    else {
      this.#byTopic.set(topic, new Set([added]))
      if (topic !== undefined) this.#joined.set(topic, this.#changed(topic, true))
    }
    joined.resolve(topic === undefined ? undefined : this.#joined.get(topic))
    return subscription
  }

  /** Ends a subscription. @throws AfpSubscriptionError UNKNOWN_SUBSCRIPTION */
  remove(id: string): void {
    const subscription = this.#byId.get(id)
    if (subscription === undefined) {
      throw new AfpSubscriptionError('UNKNOWN_SUBSCRIPTION', `there is no subscription '${id}'`, { subscriptionId: id })
    }
    subscription.unsubscribe()
  }

  get(id: string): Subscription | undefined {
    return this.#byId.get(id)
  }

  list(): Subscription[] {
    return [...this.#byId.values()]
  }

  /** The subscriptions of one subscriber. */
  bySubscriber(subscriber: string): Subscription[] {
    return this.list().filter(subscription => subscription.subscriber === subscriber)
  }

  /** The subscriptions that a message is for now; one whose filter is not ready is left out. */
  matching(message: Message): Subscription[] {
    const now = this.#options.clock.now()
    return this.#candidates(message).filter(
      subscription => subscription.isReady && !subscription.hasExpired(now) && subscription.matches(message),
    )
  }

  /**
   * Offers a message to every subscription that it is for; none of them can keep it from another.
   * @param bytes - what the message counts for in `limits.queuedBytes` while it waits
   * @param takers - is given those that took it
   * @returns how many took it, those included whose filter is not ready and that may want it
   */
  deliver(message: Message, bytes = 0, takers?: Subscription[]): number {
    let taken = 0
    let waiting = 0
    const settle = (took: boolean): void => {
      waiting--
      if (took) taken++
      if (waiting === 0 && taken === 0) this.#options.onUnclaimed?.(message, bytes)
      if (!took) this.#options.onLetGo?.(message)
    }
    for (const subscription of this.#candidates(message)) {
      const answer = subscription.offer(message, settle, bytes)
      if (answer === 'waiting') waiting++
      else if (answer) taken++
      if (answer) takers?.push(subscription)
    }
    return taken + waiting
  }

  /** Ends those whose time is up, and says how many. Timers do so by themselves, unless wall time jumped. */
  clean(): number {
    const now = this.#options.clock.now()
    const expired = this.list().filter(subscription => subscription.hasExpired(now))
    for (const subscription of expired) subscription.finish()
    return expired.length
  }

  /** Resolves when callbacks have finished with every message that was delivered, also those of what has ended. */
  async idle(): Promise<void> {
    await Promise.all([...this.list(), ...this.#ending].map(subscription => subscription.idle()))
  }

  /**
   * Ends all of them; what they took can still be read. Resolves when their callbacks have finished with it: not to be
   * awaited inside one.
   */
  async closeAll(): Promise<void> {
    for (const subscription of this.list()) subscription.finish()
    await this.idle()
  }

  /** Of one topic, or of none; a copy, since offering may end them. */
  #candidates(message: Message): Subscription[] {
    return [...(this.#byTopic.get(message.topic) ?? [])]
  }

  #forget(subscription: Subscription): void {
    this.#byId.delete(subscription.id)
    this.#ending.add(subscription)
    void subscription.idle().then(() => this.#ending.delete(subscription))
    const { topic } = subscription.filter
    const sharers = this.#byTopic.get(topic)
    sharers?.delete(subscription)
    if (sharers?.size !== 0) return
    this.#byTopic.delete(topic)
    if (topic === undefined) return
    this.#joined.delete(topic)
    void this.#changed(topic, false)
  }

  #changed(topic: string, subscribed: boolean): Promise<void> {
    return Promise.resolve(this.#options.onChange?.(this.topics, { topic, subscribed }))
  }
}
