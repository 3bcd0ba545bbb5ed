/** Options of the public face: what each means, its unit and its default. */

import type { AbortOptions } from '../common/abort.ts'
import type { Clock } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import type { BreakerOptions } from '../delivery/breaker.ts'
import type { DeadReason } from '../delivery/dead-letter.ts'
import type { LetterLimits } from '../delivery/dead-letter-options.ts'
import type { DeliveryStatus, ReceiptState } from '../delivery/receipts.ts'
import type { RetryStrategy } from '../delivery/retry.ts'
import type { Transaction } from '../delivery/transaction.ts'
import type { Identity } from '../identity/keys.ts'
import type { Filter } from '../message/filter.ts'
import type { Content, Guarantee, Json, Message } from '../message/message.ts'
import type { Hooks, Limits } from '../message/validate.ts'
import type { Carrier } from '../network/carrier.ts'
import type { IceServer } from '../network/ice-server.ts'
import type { ExtraTransport } from '../network/libp2p.ts'
import type { Store } from '../store/store.ts'

/** Options of `createAgent`. Only `name` and `mesh` are needed; without relays or peers the agent waits to be dialled. */
export interface AgentOptions extends AbortOptions {
  /** A label for people, pinned to this agent's id by others at first use. 1 to 64 characters of one script. */
  name: string
  /** The group of agents to join. An open mesh is just its name: whoever knows it is a member. */
  mesh: string
  /** Multiaddrs of relays, each ending in `/p2p/<id>`. They are kept connected, and may be down at start. */
  relays?: readonly string[] | undefined
  /**
   * Multiaddrs of agents to connect at start, for meshes without a relay. One that is away is dialled every ten seconds at
   * the latest, and where something is sent to it at once, though no sooner than a second after the dial before.
   */
  peers?: readonly string[] | undefined
  /**
   * Multiaddrs to listen on; if one of them cannot be, `createAgent` rejects. Node's default: a free TCP and a free
   * WebSocket port on every interface. Tabs cannot listen.
   */
  listen?: readonly string[] | undefined
  /**
   * What this agent can do for others, e.g. `['convert/units']`; see {@link Target}. At most 64 of 1 to 128 characters,
   * and with the description 10,240 bytes of UTF-8. Default none.
   */
  capabilities?: readonly string[] | undefined
  /** One line about the agent, shown to others. At most 256 characters. */
  description?: string | undefined
  /**
   * Who the agent is. With a `store` that is given here it is by default `persistent`: who the store belongs to, made at
   * first use and kept in it. Without one the default is, in tabs, `persistent` in a store of their own, reused by one tab
   * at a time, but `ephemeral`, with a store in memory, on pages that came over plain http and not from localhost: these
   * have no locks; in Node `ephemeral`, somebody new at each start: that is not allowed with a `store`, which belongs to
   * one agent for good. `fileIdentity(path)` of `agent-flow-protocol/node` keeps one apart from the store.
   *
   * One that is given here is yours to keep, as the text of `agent.exportIdentity` or in a way of your own: give it at each
   * start. What the agent keeps stays where it was kept: in a tab that is in IndexedDB, under this identity and mesh,
   * whatever its name; elsewhere in the `store` that goes with it.
   */
  identity?: Identity | 'persistent' | 'ephemeral' | undefined
  /**
   * What to do when another tab holds the persistent identity: take another one (default), or throw `IDENTITY_IN_USE`. One
   * that is given has no other: while another tab holds it `createAgent` always throws that.
   */
  onIdentityInUse?: 'new' | 'error' | undefined
  /**
   * Where the agent keeps what must survive. Default in tabs: IndexedDB; in Node: memory. One that is given here stays
   * yours: `close()` leaves it open, and whoever opened it closes it after the agent; until then a `sqliteStore` keeps its
   * file from others. What the agent has opened itself it closes. Where the browser gives no storage, as in a sandboxed
   * frame or where cookies are blocked, the default fails with `STORE_FAILED`, and `memoryStore()` works
   * (but in Firefox with all cookies blocked, where the network cannot start).
   *
   * A store belongs to the agent that used it first, in the mesh of that use; so does one of an earlier version, which
   * does not say whose it is, from now on. For another identity or mesh `createAgent` throws `STORE_MISMATCH` and leaves
   * it as it is, and `STORE_IN_USE` while another agent of this process has it.
   */
  store?: Store | undefined
  /**
   * In tabs: whether to ask the browser at the start that it deletes nothing of this origin by itself; default true but for
   * a store in memory, or one that is given with an identity. Firefox asks the person: pass false, and call `agent.storage.persist()` within a click.
   */
  persistStorage?: boolean | undefined
  /** Default guarantee of what is sent to agents; default `at-least-once`. What is published is `at-most-once`. */
  guarantee?: Guarantee | 'best-effort' | undefined
  /**
   * When messages that are not acknowledged are sent again; default: with pauses that grow to 15 s, until their time to live ends.
   * Only what was sent counts as a try: for an agent that is away a message waits, whatever the strategy, as long as its `ttl`.
   */
  retry?: RetryStrategy | undefined
  /** When handlers that failed run again; default: `exponentialRetry()`, 5 times. */
  handlerRetry?: RetryStrategy | undefined
  /**
   * How long a handler may take, ms; default 1,800,000, half an hour. One that takes longer has failed: its `signal` fires,
   * what it kept is dropped, and it runs again as `handlerRetry` says, maybe beside what is still at work of it. A
   * subscription's callback that takes longer has failed as one that throws has: it has had the message, and the next one
   * comes. What a `beforeSend` hook takes longer over is not sent: `TIMEOUT`.
   */
  handlerTimeout?: number | undefined
  /**
   * When dead letters are retried by themselves, by their reason; default: by hand only. Those of one peer follow one
   * another, those of up to 16 have their turn at once. A message that ends as a letter again has had its first retries;
   * a retry by hand begins anew.
   */
  deadLetterRetry?: Readonly<Partial<Record<DeadReason, RetryStrategy>>> | undefined
  /**
   * How many dead letters are kept. Letters that are processed give way to new ones; where there are none, messages that
   * end wait in the outbox or the inbox until some are. Of what came one author's letters may take as much as is left free,
   * so that nobody who writes here takes the room of others. A reply that cannot be delivered leaves none: nobody waits for
   * it any more. See the events `dead-letter:low` and `dead-letter:refused`.
   */
  deadLetters?: LetterLimits | undefined
  /**
   * How much may wait for recipients; beyond it `send` rejects with QUEUE_FULL. Replies, and word of failures, have as much
   * room again for themselves; those to one agent wait with their requests while more of them wait for it than there is
   * room left. That is told by `store:error`, once, and again where the time of a reply is over before it had room: it is
   * dropped then, and what its handler wrote stays. Default: 10,000 messages and 64 MiB.
   */
  outbox?: { readonly messages?: number | undefined; readonly bytes?: number | undefined } | undefined
  /**
   * How much may wait for handlers; what is beyond it stays with its sender. Default: 10,000 messages and 64 MiB of each
   * sender, 256 MiB of all together. Of `totalBytes` a sender gets as much as it leaves free: k that fill it together
   * leave a (k + 1)th of it, and whoever comes later finds half of what is left. The last message may be longer than
   * what there is room for, and one of each sender that can be handled at once is always taken.
   */
  inbox?:
    | {
        readonly messages?: number | undefined
        readonly bytes?: number | undefined
        readonly totalBytes?: number | undefined
      }
    | undefined
  /** How long order waits for a message that its sender, who is linked, does not send, ms; default 30,000. */
  holePatience?: number | undefined
  /** The circuit breaker of each recipient; default: opens after 5 failures in a row for 30 s. */
  breaker?: BreakerOptions | undefined
  /** Bounds on what is sent and accepted. */
  limits?: Partial<Limits> | undefined
  /** The application's own checks. */
  hooks?: Hooks | undefined
  /** ICE servers for WebRTC. Default: none; hosts on one network and relayed links need none. */
  iceServers?: readonly IceServer[] | undefined
  /** Time for tests to drive. */
  clock?: Clock | undefined
  /** Randomness for tests to drive. */
  random?: Random | undefined
  /** Transports from optional packages, such as `webrtc()` of `agent-flow-protocol/webrtc` for Node. */
  transports?: readonly ExtraTransport[] | undefined
  /** Something other than libp2p to carry the mesh, such as the network in memory of `agent-flow-protocol/testing`. */
  carrier?: ((identity: Identity) => Carrier) | undefined
}

/** Whom a message is for: an agent's name or id, several of them, or one agent that offers a capability. */
export type Target = string | readonly string[] | { readonly capability: string }

/** Options of everything that sends. */
export interface MessageOptions extends AbortOptions {
  /**
   * Calls the message off for those who do not have it yet. When nobody has it, the call rejects with the signal's reason;
   * when some do, `send` resolves with the receipt that says who. What has left cannot be called back.
   *
   * A message that is kept (`at-least-once`, `exactly-once`) is called off until it is being written: while a recipient
   * is looked up, or a hook is at work on it or on one before it; the call then rejects with the signal's reason, and
   * nothing is kept. From there on, also once `send` has resolved, the signal does nothing, and
   * `agent.deliveries.cancel(id)` calls it off. Only a `request` is cancelled with its signal as long as it waits.
   */
  signal?: AbortSignal | undefined
  /** MIME type; default by content: `text/plain`, `application/octet-stream`, else `application/json`. */
  contentType?: string | undefined
  metadata?: Readonly<Record<string, Json>> | undefined
  /** Id of the message this one answers. */
  parentId?: string | undefined
  /** Seconds, 0 < ttl <= 30 days; default 3600. */
  ttl?: number | undefined
  /**
   * 0 to 9, higher first; default 0. Messages of one class keep their order. Of what waits to be sent to a recipient higher
   * classes have more turns, and none starves; once they have arrived the handlers of all classes run side by side.
   */
  priority?: number | undefined
  /** Id of a schema both sides registered. */
  schema?: string | undefined
  /**
   * A UUID of the caller's own, such as `messageIdFrom(text)`; default: a new UUIDv7. It is the same in either case, and
   * the message has it in lower case; what is no UUID is refused as INVALID_MESSAGE. Until a day after the time to live
   * of a kept message no other one is kept under its id: DUPLICATE_MESSAGE. Of those that have ended and
   * expired that is so for 262,144; for more of them it is sure until their time to live is over.
   */
  id?: string | undefined
  /** When the message was made, ms since 1970; default: now. */
  timestamp?: number | undefined
}

/**
 * Options of `reply`. Whose reply it is, is known: its parent is the request, by whose id the requester knows it. Its own id
 * is a new one each time that the handler runs, and it goes with the end of the request, which nothing calls off.
 */
export interface ReplyOptions extends Omit<MessageOptions, 'id' | 'parentId' | 'signal'> {}

/** Options of `send`. */
export interface SendOptions extends MessageOptions {
  /**
   * Default: the agent's, `at-least-once`.
   * - `at-most-once`, also called `best-effort`: handed to a connection once, kept nowhere.
   * - `at-least-once`: kept until the recipient has it in its own store, and there until its handler is done. The handler
   *   may run again after a crash or its own failure, then with `redelivered`.
   * - `exactly-once`: goes the same way, numbered, kept and freed of duplicates alike, and tells the recipient that its
   *   effect is to count once. What makes it so, with either, is the handler's `transaction`: what is written through it
   *   counts once, in one step with the end of the message. What is done elsewhere needs the `idempotencyKey`.
   *
   * What `receive` or a `for await` loop has taken has its end with that: a crash of the reader after it loses it.
   */
  guarantee?: Guarantee | 'best-effort' | undefined
  /** When it is tried again; default: the agent's. With `at-most-once` never. */
  retry?: RetryStrategy | undefined
  /**
   * With `at-most-once`, how long it may take until the message is handed over, ms; default 5,000: to find a recipient, a
   * way to it, and to be taken by it, since a recipient that reads slowly keeps a message waiting. The hook's time does
   * not count. With the others, how long somebody is waited for while nobody is known under the names given.
   */
  timeout?: number | undefined
}

/** Options of `request`. */
export interface RequestOptions extends MessageOptions {
  /** Default: the agent's. The reply comes with the same. */
  guarantee?: Guarantee | 'best-effort' | undefined
  /** When the request is tried again; default: the agent's. With `at-most-once` never. */
  retry?: RetryStrategy | undefined
  /** How long to wait for the reply, ms, from the call on; default 5,000. */
  timeout?: number | undefined
}

/** Options of `receive`. */
export interface ReceiveOptions extends AbortOptions {
  /** How long to wait, ms; default: until the agent closes. */
  timeout?: number | undefined
}

/** What `subscribe` takes: which messages, and for how long. */
export interface SubscribeOptions extends Filter, AbortOptions {
  /** Id of the subscription; default: a new UUID. Using one twice is an error. */
  id?: string | undefined
  /** Who subscribes, for `subscriptions.bySubscriber`; default: the agent's name. */
  subscriber?: string | undefined
  /** When it ends, ms since 1970. */
  expiresAt?: number | undefined
  /** How many messages it takes before it ends. */
  maxMessages?: number | undefined
  /** What it is for, for people. */
  description?: string | undefined
  /** How many messages may wait for a slow reader; beyond it, or `limits.queuedBytes`, the newest are dropped with an event, unless they are kept and nobody else took them: these wait. Default 1,024. */
  queue?: number | undefined
}

/** What became of a message on its way to one recipient. */
export interface RecipientStatus {
  readonly status: DeliveryStatus
  /** The same, finer: see {@link ReceiptState}. */
  readonly state: ReceiptState
  /** Why it failed or expired; when it was called off, the signal's reason. */
  readonly error?: Error | undefined
  /** Why it is dead. */
  readonly reason?: DeadReason | undefined
  /** Tries after the first one. */
  readonly retries?: number | undefined
  /** It was given up, and the recipient may have it all the same. */
  readonly inDoubt?: boolean | undefined
  /** When this state was entered, ms since 1970. */
  readonly at?: number | undefined
}

/** What `send` returns. */
export interface Receipt {
  /** Id of the message. */
  readonly id: string
  /** The worst of the recipients', in the order failed, expired, pending, sent, delivered. */
  readonly status: DeliveryStatus
  /** What is known of each recipient, by id, or by name for a name that stands for nobody: with `at-most-once` as of when `send` resolved, otherwise as of now. */
  readonly recipients: ReadonlyMap<string, RecipientStatus>
  /**
   * Resolves with the map once every recipient has the message; with `at-most-once` once it was handed to a connection
   * for each. Rejects with `AfpDeliveryError` when one of them will not get it. Never an unhandled rejection.
   */
  readonly delivered: Promise<ReadonlyMap<string, RecipientStatus>>
  /**
   * Resolves with the map once every recipient's handler or reader is done with it. Rejects as `delivered` does, when
   * a recipient refused it or could not handle it, and for `at-most-once`; so it does 31 days after the message expired,
   * where a recipient has not said what became of it. Never an unhandled rejection.
   */
  readonly processed: Promise<ReadonlyMap<string, RecipientStatus>>
}

/** What `publish` and `broadcast` return. */
export interface Published {
  readonly id: string
  /** Ids of the peers, relays among them, that it was handed to; gossip takes it from there. Empty: nobody has it. */
  readonly peers: readonly string[]
}

/** What a handler is told beside the message. */
export interface HandlerContext {
  /** Fires when the agent closes, and when the handler takes longer than it may, see `handlerTimeout`. */
  readonly signal: AbortSignal
  /** Whether the sender waits for a reply. */
  readonly expectsReply: boolean
  /**
   * What the handler keeps in the agent's store: with `exactly-once` and `at-least-once` committed in one step with the
   * end of the message, so that a message whose handler is done is never handled again, and in the order of the messages
   * of one sender and class, of which each reads what those before it wrote; with `at-most-once` committed when the
   * handler is done, once, or not at all where the agent ends before. What the handler returns, the reply, is committed
   * with it. What it does itself is outside: `send`, `respond` and `publish` are done at once and stay done, and happen
   * again when the handler runs again, which it does, whatever the guarantee, without any crash too, where another one
   * wrote what it had read. See {@link idempotencyKey} for sending once.
   */
  readonly transaction: Transaction
  /**
   * Stays the same however often this message comes, and is no other's: for effects outside of {@link transaction}, such
   * as a payment, hand it to whoever carries them out as their idempotency key. A handler can run again with any
   * guarantee: one that was overtaken by another one, which wrote what it had read, runs anew, up to 16 times before that
   * is its failure; with any but `at-most-once` the agent may end after the effect and before the end of the message is
   * on the disk as well.
   *
   * Messages that the handler sends are such effects. Under an id made of this key, `messageIdFrom(key + ' thanks')` with a
   * name for each thing that it sends, one that is kept is sent once: the next run's `send` or `respond` throws
   * DUPLICATE_MESSAGE, to be passed over, until a day after the first one's time to live, or until that is over where there
   * are too many; see {@link MessageOptions.id}. What is published under such an id goes again, and whoever heard it
   * lately, in the same run, drops it.
   */
  readonly idempotencyKey: string
  /** The message may have been handled before: the handler failed, was overtaken, or the agent ended before it was done. */
  readonly redelivered: boolean
  /** It came after order had stopped waiting for it. */
  readonly late: boolean
}

/**
 * Handles a direct message. What it returns is the reply to a request; an error it throws is told to the requester. For
 * a reply with a content type of its own, return `reply(content, options)`.
 */
export type Handler<C extends Content = Content> = (message: Message<C>, context: HandlerContext) => unknown
