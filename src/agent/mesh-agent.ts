/** The agent behind the public face: every method hands its work to a room. */

import { type AbortOptions, abortable, within } from '../common/abort.ts'
import { checkOption, FUNCTION, STRING } from '../common/check-options.ts'
import type { Clock } from '../common/clock.ts'
import { AfpError, AfpSubscriptionError, AfpTimeoutError } from '../common/errors.ts'
import { TypedEventTarget } from '../common/events.ts'
import type { BoundedQueue } from '../common/queue.ts'
import type { Random } from '../common/random.ts'
import { nextTask } from '../common/slices.ts'
import { Underway } from '../common/underway.ts'
import type { DeadLetterEvents } from '../delivery/dead-letter-options.ts'
import type { TrackerEvents } from '../delivery/tracker.ts'
import { keptValues } from '../delivery/transaction.ts'
import type { Card } from '../identity/card.ts'
import type { Identity } from '../identity/keys.ts'
import type { KnownAgents } from '../identity/known-agents.ts'
import { validateName } from '../identity/names.ts'
import type { Filter } from '../message/filter.ts'
import type { Content, Message } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import type { Link, Network, NetworkEvents, Peer } from '../network/network.ts'
import type { Store } from '../store/store.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Subscription, SubscriptionManager } from '../topics/subscriptions.ts'
import type { Addressing } from './addressing.ts'
import type { Agent, AgentEvents, Deliveries } from './agent.ts'
import type { CardKeeper } from './card-keeper.ts'
import {
  type Breakers,
  breakersFace,
  type Letters,
  lettersFace,
  type Subscriptions,
  subscriptionsFace,
} from './faces.ts'
import type { Handlers } from './handlers.ts'
import type { Inbound } from './inbound.ts'
import { statusOfMessage } from './kept-receipt.ts'
import type { Kept } from './open-delivery.ts'
import { AGENT_ID, checkCall, NAME_OR_ID, RECEIVED } from './option-checks.ts'
import type {
  Handler,
  MessageOptions,
  Published,
  Receipt,
  ReceiveOptions,
  RequestOptions,
  SendOptions,
  SubscribeOptions,
  Target,
} from './options.ts'
import type { Outbound } from './outbound.ts'
import type { AgentStorage, StorageCare } from './storage-care.ts'

/** How long closing waits for handlers and sends that are under way, ms. */
const DRAIN_TIMEOUT = 5_000

const NETWORK_EVENTS = [
  'peer:online',
  'peer:offline',
  'peer:changed',
  'link:open',
  'link:changed',
  'link:closed',
  'refused',
  'relay',
  'identity:in-use',
] as const satisfies readonly (keyof NetworkEvents)[]

const DELIVERY_EVENTS = [
  'delivery:changed',
  'delivery:delivered',
  'delivery:retry',
  'delivery:expired',
  'delivery:failed',
] as const satisfies readonly (keyof TrackerEvents)[]

const LETTER_EVENTS = [
  'dead-letter:added',
  'dead-letter:refused',
  'dead-letter:low',
  'dead-letter:processed',
  'dead-letter:removed',
  'dead-letter:retried',
  'dead-letter:retry-failed',
] as const satisfies readonly (keyof DeadLetterEvents)[]

/** What an agent is made of. */
export interface AgentParts {
  name: string
  mesh: string
  clock: Clock
  random: Random
  limits: Limits
  identity: Identity
  store: Store
  cards: CardKeeper
  known: KnownAgents
  network: Network
  metrics: Metrics
  subscriptions: SubscriptionManager
  handlers: Handlers
  inbox: BoundedQueue<Message>
  addressing: Addressing
  inbound: Inbound
  outbound: Outbound
  kept: Kept
  storage: StorageCare
  /** Fires when the agent closes. */
  closing: AbortController
  /** Lets go of identity and store. */
  release: () => Promise<void>
}

/** See the head of this file. */
export class MeshAgent extends TypedEventTarget<AgentEvents> implements Agent {
  readonly id: string
  readonly name: string
  readonly mesh: string
  readonly metrics: Metrics
  readonly subscriptions: Subscriptions
  readonly deliveries: Deliveries
  readonly deadLetters: Letters
  readonly breakers: Breakers
  readonly storage: AgentStorage
  readonly #parts: AgentParts
  readonly #changes = new Underway()
  #closed: Promise<void> | undefined

  constructor(parts: AgentParts) {
    super()
    this.#parts = parts
    this.id = parts.network.id
    this.name = parts.name
    this.mesh = parts.mesh
    this.metrics = parts.metrics
    this.subscriptions = subscriptionsFace(parts.subscriptions)
    const { deadLetters, breakers } = parts.kept
    this.deadLetters = lettersFace(deadLetters, parts.limits, () => this.#open().kept.deadLetters)
    this.breakers = breakersFace(breakers)
    const { storage } = parts
    this.storage = {
      ...keptValues(() => this.#open().store, this.#changes),
      state: () => storage.state(),
      persist: () => storage.persist(),
    }
    this.deliveries = {
      get: async id => {
        checkOption('the id of deliveries.get()', id, STRING)
        const receipt = await this.#open().kept.tracker.get(id.toLowerCase())
        return receipt && statusOfMessage(receipt)
      },
      cancel: async id => {
        checkOption('the id of deliveries.cancel()', id, STRING)
        return this.#open().kept.delivery.cancel(id.toLowerCase())
      },
    }
  }

  get card(): Card {
    return this.#parts.cards.card
  }

  get addresses(): readonly string[] {
    return this.#parts.network.addresses()
  }

  send(to: Target, content: Content, options: SendOptions = {}): Promise<Receipt> {
    try {
      checkCall('send', options)
      return this.#open().outbound.send(to, content, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async request<C extends Content = Content>(
    to: Target,
    content: Content,
    options: RequestOptions = {},
  ): Promise<Message<C>> {
    checkCall('request', options)
    return this.#open().outbound.request<C>(to, content, options)
  }

  async respond(message: Message, content: Content, options: SendOptions = {}): Promise<Receipt> {
    checkOption('what respond() answers', message, RECEIVED)
    checkCall('respond', options)
    const { outbound, inbound } = this.#open()
    const kind = inbound.takeRequest(message) ? 'reply' : 'message'
    return outbound.respond(message, kind, content, options).catch(error => {
      // Its sender still waits: the next answer may be one that can be sent.
      if (kind === 'reply') inbound.leaveRequest(message)
      throw error
    })
  }

  handle<C extends Content = Content>(handler: Handler<C>): Disposable
  handle<C extends Content = Content>(filter: Filter, handler: Handler<C>): Disposable
  handle(first: Filter | Handler<never>, second?: Handler<never>): Disposable {
    const { handlers } = this.#open()
    const [filter, handler] = typeof first === 'function' ? [{}, first] : [first, second]
    checkCall('handle', filter)
    checkOption("handle()'s handler", handler, FUNCTION)
    if (filter.topic !== undefined) {
      throw new AfpSubscriptionError('INVALID_FILTER', 'handlers take no topic: use subscribe()')
    }
    const added = handlers.add(filter as Filter, handler as Handler)
    this.#offerAgain()
    return added
  }

  subscribe<C extends Content = Content>(
    options: SubscribeOptions = {},
    callback?: (message: Message<C>) => void | Promise<void>,
  ): Subscription<C> {
    const { subscriptions } = this.#open()
    checkCall('subscribe', options)
    if (callback !== undefined) checkOption("subscribe()'s callback", callback, FUNCTION)
    const subscription = subscriptions.add<C>(options, callback)
    // A reader sees the failure in its loop; a callback would never hear of it.
    if (callback !== undefined) {
      subscription.ready.catch(error => this.emit('handler:error', { id: subscription.id, error }))
    }
    if (options.topic === undefined) this.#offerAgain()
    return subscription
  }

  unsubscribe(id: string): void {
    checkOption('what unsubscribe() ends', id, STRING)
    this.#parts.subscriptions.remove(id)
  }

  async receive<C extends Content = Content>(options: ReceiveOptions = {}): Promise<Message<C>> {
    checkCall('receive', options)
    const { inbox, clock } = this.#open()
    options.signal?.throwIfAborted()
    const waiting = inbox.size === 0 ? this.#shift() : undefined
    if (waiting !== undefined) return waiting as Message<C>
    const { timeout = Number.POSITIVE_INFINITY, signal } = options
    const late = (): AfpError =>
      new AfpTimeoutError(`no message within ${timeout / 1000} s`, { timeoutSeconds: timeout / 1000 })
    const next = await within(clock, timeout, late, signal, given => inbox.next(given))
    if (next.done) throw closedError()
    return next.value as Message<C>
  }

  receiveAll(): Message[] {
    const all = this.#open().inbox.takeAll()
    for (let next = this.#shift(); next !== undefined; next = this.#shift()) all.push(next)
    return all
  }

  /** The next kept message that nobody wanted, for somebody who reads; a request of these can be answered. */
  #shift(): Message | undefined {
    const { kept, inbound } = this.#parts
    const { message, kind } = kept.delivery.shift() ?? {}
    if (message !== undefined && kind === 'request') inbound.leaveRequest(message)
    return message
  }

  async publish(topic: string, content: Content, options: MessageOptions = {}): Promise<Published> {
    checkCall('publish', options)
    return this.#open().outbound.publish(topic, content, options)
  }

  async broadcast(content: Content, options: MessageOptions = {}): Promise<Published> {
    checkCall('broadcast', options)
    return this.#open().outbound.broadcast(content, options)
  }

  peers(): readonly Peer[] {
    return this.#parts.network.peers()
  }

  pin(name: string, id: string): void {
    validateName(name)
    checkOption('what pin() pins a name to', id, AGENT_ID)
    this.#open().known.pin(name, id)
    this.#offerAgain()
  }

  unpin(name: string): boolean {
    const freed = this.#open().known.unpin(name)
    if (freed) this.#offerAgain()
    return freed
  }

  async waitFor(nameOrId: string, options: ReceiveOptions = {}): Promise<Peer> {
    checkOption('whom waitFor() waits for', nameOrId, NAME_OR_ID)
    checkCall('waitFor', options)
    return this.#open().addressing.waitFor(nameOrId, options.timeout, options.signal)
  }

  async connect(address: string, options: AbortOptions = {}): Promise<Link> {
    checkCall('connect', options)
    const { network, clock } = this.#open()
    const { signal } = options
    // What dials takes signals of this realm only, and waits as long as it says itself, where it is given none.
    return within(clock, Number.POSITIVE_INFINITY, closedError, signal, given =>
      network.connect(address, signal && { signal: given }),
    )
  }

  async exportIdentity(passphrase: string): Promise<string> {
    // Few pages need it.
    const { exportIdentity } = await import('../security/passphrase.ts')
    return exportIdentity(this.#parts.identity, passphrase, this.#parts.random)
  }

  async drain(options: AbortOptions = {}): Promise<void> {
    checkCall('drain', options)
    const { outbound, inbound, subscriptions } = this.#parts
    const idle = Promise.all([outbound.idle(), inbound.idle(), subscriptions.idle()])
    await abortable(idle, options.signal)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal Passes on what the network tells. */
  forwardNetworkEvents(): void {
    const { network } = this.#parts
    const { tracker, deadLetters, breakers, delivery } = this.#parts.kept
    for (const type of DELIVERY_EVENTS) {
      tracker.addEventListener(type, ({ detail }) => this.emit(type, detail as never))
    }
    for (const type of LETTER_EVENTS) {
      deadLetters.addEventListener(type, ({ detail }) => this.emit(type, detail as never))
    }
    breakers.addEventListener('change', ({ detail }) => this.emit('breaker:changed', detail))
    breakers.addEventListener('threw', ({ detail: { name, error } }) => this.emit('handler:error', { id: name, error }))
    network.addEventListener('link:open', ({ detail }) => delivery.linked(detail.peer))
    network.addEventListener('link:closed', ({ detail }) => delivery.unlinked(detail.peer))
    network.addEventListener('peer:online', ({ detail }) => delivery.online(detail.card.id))
    for (const type of NETWORK_EVENTS) {
      network.addEventListener(type, ({ detail }) => this.emit(type, detail as never))
    }
    // Two live agents under one id would answer for each other; the one that notices stops.
    network.addEventListener('identity:in-use', () => void this.close().catch(() => {}))
  }

  /** What nobody wanted so far may be for who came now; not within the call that made it, which may add more. */
  #offerAgain(): void {
    queueMicrotask(() => {
      if (this.#closed === undefined) this.#parts.kept.delivery.offerAgain()
    })
  }

  async #close(): Promise<void> {
    const { clock, closing, network, subscriptions, handlers, inbound, inbox, outbound, kept, release } = this.#parts
    // Listeners of the signal may close again: by then it is known that this is under way.
    await null
    closing.abort(closedError())
    // What comes from now on is for the next run: its handlers are about to go.
    kept.pause()
    // Bounded: a handler that closes its own agent would wait for itself.
    const bounded = (step: (signal: AbortSignal) => Promise<void>): Promise<void> =>
      within(clock, DRAIN_TIMEOUT, closedError, undefined, step).catch(() => {})
    await bounded(signal => this.drain({ signal }))
    await bounded(signal => outbound.callOff(closedError(), signal))
    await bounded(signal => abortable(this.#changes.ended(), signal))
    inbox.end()
    inbound.leases.close()
    // What was read just now has its end on its way to the disk by then.
    await nextTask()
    // Whatever fails on the way out, others get the identity and the store.
    try {
      await kept.close()
      // Not sooner: a handler that was overtaken runs again, and what it is at is nobody else's.
      handlers.clear()
      await network.stop()
    } finally {
      for (const subscription of subscriptions.list()) subscription.finish()
      await release()
      this.emit('closed', undefined)
    }
  }

  #open(): AgentParts {
    if (this.#closed !== undefined) throw closedError()
    return this.#parts
  }
}

const closedError = (): AfpError => new AfpError('CLOSED', 'the agent is closed')
