/** The public face of an agent. */

import type { AbortOptions } from '../common/abort.ts'
import type { TypedEventTarget } from '../common/events.ts'
import type { EnvelopeRefusal } from '../delivery/arrived.ts'
import type { BreakerEvents } from '../delivery/breaker.ts'
import type { DeadLetterEvents } from '../delivery/dead-letter-options.ts'
import type { TrackerEvents } from '../delivery/tracker.ts'
import type { Card } from '../identity/card.ts'
import type { Filter } from '../message/filter.ts'
import type { Content, Message } from '../message/message.ts'
import type { Link, NetworkEvents, Peer, RefusalReason } from '../network/network.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Subscription } from '../topics/subscriptions.ts'
import type { Breakers, Letters, Subscriptions } from './faces.ts'
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
import type { AgentStorage } from './storage-care.ts'

/** What an agent tells. Every loss and every refusal is one of these, with its reason. */
export interface AgentEvents extends Omit<NetworkEvents, 'refused'>, TrackerEvents, DeadLetterEvents {
  /** Something from outside was dropped. `peer` is the neighbour it came from. */
  refused: { peer: string; reason: RefusalReason | EnvelopeRefusal; detail?: string }
  /** Somebody claims a name that is pinned to another id; nothing changes. */
  'name:conflict': { name: string; pinned: string; claimant: string }
  /** A message could not be sent or was not taken. */
  'message:dropped': { id: string; peer: string; reason: string; error?: unknown }
  /**
   * A handler, a filter's predicate, a subscription's callback or a circuit breaker's `isFailure` threw, or this side
   * failed at a message in a way that nobody thought of, which then was `refused` as `internal`. `id` is the message's, the
   * subscription's when its pattern cannot be compiled, or the breaker's name; empty for a handler's pattern and for a
   * message that could not be read.
   */
  'handler:error': { id: string; error: unknown }
  /**
   * Order goes on without messages of an agent that never came: it lost them, or gave them up without a word. `count` is 0
   * where nobody knows how many they were.
   */
  'feed:hole': { peer: string; count: number }
  /** An agent has messages of its as settled that this agent never saw: this agent's store was lost or set back. */
  'feed:lost': { peer: string; count: number }
  /** An agent no longer knows what it had acknowledged: its store was lost or set back. */
  'feed:rollback': { peer: string }
  /**
   * Something could not be written, and is tried again; counted as `store.errors` by its code. With code CLOSED the
   * browser took the store away, and the agent closes. With MESSAGE_EXPIRED a reply had no room until its time was over:
   * it is dropped, and what its handler wrote is kept. So is told what is damaged in the store, and left out.
   */
  'store:error': { error: unknown }
  /** There is little room left for what is kept: nine tenths of `quota` bytes are in use. Told once, until there is room. */
  'storage:low': { usage: number; quota: number }
  /** The circuit breaker of a recipient, `name`, changed. */
  'breaker:changed': BreakerEvents['change']
  /** The agent has closed. */
  closed: undefined
}

/** See {@link Agent.deliveries}. Both reject with CLOSED once `close` was called; what was called before is finished. */
export interface Deliveries {
  /**
   * How a message stands; undefined when nothing is known of it: it was `at-most-once`, or ended more than a day ago; where
   * the store is in memory, as soon as 10,000 others have ended since.
   */
  get(id: string): Promise<Pick<Receipt, 'id' | 'status' | 'recipients'> | undefined>
  /**
   * Calls a message off for every recipient that has not acknowledged it. False when there is none. Its receipt says
   * `cancelled`, and `inDoubt` until the recipient has said whether it came after all.
   */
  cancel(id: string): Promise<boolean>
}

/** An agent in a mesh; see `createAgent`. Events: {@link AgentEvents}. */
export interface Agent extends TypedEventTarget<AgentEvents>, AsyncDisposable {
  /** The agent's id: a libp2p peer id, the only identity. */
  readonly id: string
  readonly name: string
  readonly mesh: string
  /** This agent's own signed card as others see it now. */
  readonly card: Card
  /** Multiaddrs under which others can dial this agent now. */
  readonly addresses: readonly string[]
  readonly metrics: Metrics
  /** This agent's subscriptions: size, topics, list, get, bySubscriber, clean. */
  readonly subscriptions: Subscriptions
  /** What became of messages that are kept, those of earlier runs included. */
  readonly deliveries: Deliveries
  /** Messages that could not be delivered or handled: list, get, count, add, retry, markProcessed, discard, purge. */
  readonly deadLetters: Letters
  /** What handlers keep through their transactions: list, change. How much room there is, and whether it stays: state, persist. */
  readonly storage: AgentStorage
  /**
   * One circuit breaker for each recipient, by its id: states, forceOpen, reset. What `forceOpen` holds back stays so over
   * restarts of an agent whose store outlives them, for 1,024 of them, until `reset` or `remove`: it is written behind the
   * call, at the latest before `close` resolves; `store:error` tells where it cannot be. What failures opened is not kept:
   * the next run tries anew. What is run by `execute` under a recipient's id must not wait for a message to it: half-open,
   * the breaker would let that operation try, and keep the message waiting for its end.
   */
  readonly breakers: Breakers

  /**
   * Sends a message to each of `to`. Messages to one recipient leave in the order of the calls, also where a hook takes
   * its time over one of them.
   * Unless it is `at-most-once`, it resolves when the message is in this agent's store, whether or not anybody is there:
   * of ids and of names that were used before that is so. What goes to a name or a capability that nobody has yet cannot
   * be kept, since there is no id to keep it for: somebody is waited for until the `timeout`. As soon as one of several
   * names stands for somebody the message leaves; those that stand for nobody then are `failed` in the receipt, under the
   * name that was given, with UNKNOWN_RECIPIENT or AMBIGUOUS_NAME. Wait for newcomers with {@link Agent.waitFor}.
   * @throws AfpRoutingError NO_RECIPIENT; UNKNOWN_RECIPIENT, AMBIGUOUS_NAME, NO_CAPABLE_AGENT when nobody is meant by any
   * of `to`; QUEUE_FULL when too much waits; with `at-most-once` NO_ROUTE when nobody was reached (when only some were not, the receipt says which),
   * CIRCUIT_OPEN at once while the circuit breaker of its only recipient is open
   * @throws AfpDataStoreError STORE_FULL, STORE_FAILED: then nothing of it was kept
   * @throws AfpTimeoutError with `at-most-once`, when the only recipient reads too slowly to take it in time: it was taken
   * back and has not left
   * @throws AfpMessageError for content or options that cannot be sent, MESSAGE_EXPIRED, HOOK_REFUSED
   * @throws AfpError INVALID_OPTION for an option that there is not, or of another type
   * @throws the signal's reason, unless somebody has the message by then, or it is being kept: see
   * {@link MessageOptions.signal}
   */
  send(to: Target, content: Content, options?: SendOptions): Promise<Receipt>
  /**
   * Sends a request to one agent and waits for its one reply. One that ends without it is called off, on the disk by the
   * time it rejects, unless the disk fails: then that is a `store:error` event, and the request is held and tried again
   * while the agent runs. Whoever has it already may handle it all the same. `close` calls off those that wait,
   * and a start those of a run that was killed: nobody waits for their replies, and what comes of one all the same is a
   * `refused` event, `unsolicited`.
   * @throws AfpTimeoutError TIMEOUT, whose message and `details` tell of a circuit breaker that was in the way;
   * AfpRoutingError as `send`, NO_HANDLER, and at once CIRCUIT_OPEN where the circuit breaker stays open for as long as the
   * timeout; AfpDeliveryError HANDLER_FAILED
   */
  request<C extends Content = Content>(to: Target, content: Content, options?: RequestOptions): Promise<Message<C>>
  /**
   * Answers a message that came from `receive` or a subscription; the first answer to a request is the reply that its
   * sender waits for. The message is the object that came: to a copy the answer is a message of its own. Its parent is that
   * message, whatever `parentId` says. Of a reply nothing is known any more once it has its end, so its `id` is free then.
   */
  respond(message: Message, content: Content, options?: SendOptions): Promise<Receipt>
  /**
   * Handles direct messages that match; the first handler that matches gets the message. Returns what removes it.
   *
   * What is kept, and no handler and no subscription matches, waits until somebody comes for it, and what came later
   * passes it. It is offered again, before that, with each new handler, subscription and reader, when its author comes or
   * has another name, when a name is pinned, and every five minutes: so often a `where` is asked that may have changed its
   * mind.
   */
  handle<C extends Content = Content>(handler: Handler<C>): Disposable
  handle<C extends Content = Content>(filter: Filter, handler: Handler<C>): Disposable
  /**
   * Subscribes to what reaches this agent: with `topic` that topic's messages, without it direct messages and
   * broadcasts. Read it with `for await`, or give a callback. What others publish finds its way here once
   * {@link Subscription.ready} resolves. What is kept, and is for subscriptions alone of which none has room, is not dropped:
   * it waits for room, or for the end of these, and what came later of its sender and class waits behind it. What a
   * subscription took counts as processed once it was read, or a callback is done with it: where none has read it, it is
   * for others when the subscription lets go of it, as by leaving the loop, and has expired when its time is over. A
   * callback that throws is done with it too, and `handler:error` tells of that: what is to be tried again, or to be a
   * dead letter, is for {@link Agent.handle}. What waits since an earlier run goes to whoever is there first: an agent
   * that handles direct messages calls `handle` before it subscribes, or has its subscriptions ask for broadcasts alone.
   */
  subscribe<C extends Content = Content>(
    options?: SubscribeOptions,
    callback?: (message: Message<C>) => void | Promise<void>,
  ): Subscription<C>
  /** Ends a subscription. @throws AfpSubscriptionError UNKNOWN_SUBSCRIPTION */
  unsubscribe(id: string): void
  /** The next direct message or broadcast that no handler and no subscription took. */
  receive<C extends Content = Content>(options?: ReceiveOptions): Promise<Message<C>>
  /** All such messages that wait now. */
  receiveAll(): Message[]
  /**
   * Publishes on a topic.
   * @throws AfpMessageError MESSAGE_TOO_LARGE for what is beyond `limits.messageBytes`, or does not fit a MiB of gossip
   */
  publish(topic: string, content: Content, options?: MessageOptions): Promise<Published>
  /** Publishes to every agent of the mesh, this one left out. @throws AfpMessageError MESSAGE_TOO_LARGE, as `publish` */
  broadcast(content: Content, options?: MessageOptions): Promise<Published>

  /** Agents known in the mesh, this one left out. */
  peers(): readonly Peer[]
  /**
   * Makes a name stand for an id from now on, whatever it stood for before.
   * @throws AfpDataStoreError STORE_FULL when 4,096 names were pinned by hand already
   */
  pin(name: string, id: string): void
  /** Frees a name that first use or {@link Agent.pin} has bound to an id. False when it was not bound. */
  unpin(name: string): boolean
  /** Waits until an agent with this name or id is online. @throws AfpTimeoutError */
  waitFor(nameOrId: string, options?: ReceiveOptions): Promise<Peer>
  /** Connects to an agent by multiaddr, without relay or presence. */
  connect(address: string, options?: AbortOptions): Promise<Link>
  /**
   * Who this agent is, as text that only the passphrase opens: a backup, or the way to another machine, where
   * `importIdentity` makes of it what `createAgent` takes as `identity`. What the agent keeps in its store does not go
   * with it. Takes 128 MiB and about half a second, in a tab on its main thread.
   *
   * @example
   * ```ts
   * import { createAgent, importIdentity } from 'agent-flow-protocol'
   *
   * const here = await createAgent({ name: 'ada', mesh: 'demo', listen: [] })
   * const text = await here.exportIdentity('correct horse battery')
   * await here.close()
   *
   * const identity = await importIdentity(text, 'correct horse battery')
   * const there = await createAgent({ name: 'ada', mesh: 'demo', listen: [], identity })
   * console.log(there.id === here.id) // true
   * await there.close()
   * ```
   *
   * @throws AfpSecurityError INVALID_OPTION for a passphrase under 8 or over 1,024 characters
   */
  exportIdentity(passphrase: string): Promise<string>
  /**
   * Waits until what was sent at most once is handed to a connection or dropped, what is kept is in the store, and every
   * handler has finished. New sends are still taken. What is kept goes on being sent, in a store on a disk by the next run
   * too; whoever waits for that awaits `delivered` of its receipt.
   */
  drain(options?: AbortOptions): Promise<void>
  /**
   * Drains, says goodbye and closes; its subscriptions end. A store it was given stays open. Idempotent. In a tab the agent
   * closes by itself at `pagehide`, for good, also where the page goes to the back/forward cache: make it anew at
   * `pageshow` with `persisted`, or reload the page.
   */
  close(): Promise<void>
}
