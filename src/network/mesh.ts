/** The network over any carrier: sessions, presence, gossip and dialling put together. */

import { type AbortOptions, abortable, within } from '../common/abort.ts'
import type { Clock, Timer } from '../common/clock.ts'
import { AfpRoutingError } from '../common/errors.ts'
import { TypedEventTarget } from '../common/events.ts'
import type { Random } from '../common/random.ts'
import type { Card } from '../identity/card.ts'
import type { Identity } from '../identity/keys.ts'
import type { Trust } from '../identity/known-agents.ts'
import { peerOf, validateAddress } from './addresses.ts'
import type { Carrier, Channel, Connection } from './carrier.ts'
import { Connector } from './connector.ts'
import { GossipHub } from './gossip-hub.ts'
import { Links, linkOf } from './links.ts'
import { NamedPeers } from './named-peers.ts'
import type { AnyFrame, Link, Network, NetworkEvents, NetworkSink, Patience, Peer, RefusalReason } from './network.ts'
import { type Presence, PresenceBook } from './presence.ts'
import { RelayTopics } from './relay-topics.ts'
import { Session } from './session.ts'
import { SessionTable } from './session-table.ts'
import { presenceTopic, topicOf } from './topics.ts'

/** The protocol of long-lived channels between members. */
export const DIRECT_PROTOCOL = '/afp/1/direct'
/** How long a dialled peer may take to take the channel, ms. */
const OPEN_TIMEOUT = 8_000
/** How long a connection that came in is kept without a channel, ms; without a hello for twice as long. */
const PHANTOM_TIMEOUT = 12_000
/** How long a relayed link is kept beside a direct one, ms: what was sent over it should arrive. */
const RELAYED_LINGER = 10_000

/** What the network needs. */
export interface MeshNetworkOptions {
  carrier: Carrier
  identity: Identity
  mesh: string
  /** This agent's card as it is now. */
  card: () => Card
  /** Signs a new card because addresses or topics changed. */
  renewCard: () => Promise<void>
  /** Takes a card into the directory; false when it is older than what is known or there is no room. */
  learn: (card: Card) => boolean
  /** What the application made of an agent: where there is no room for all, strangers give way. */
  trust?: ((id: string) => Trust) | undefined
  /** Addresses to connect at start. */
  peers?: readonly string[] | undefined
  /** Whether this agent's own tab is hidden. */
  hidden?: () => boolean
  maxFrameBytes: number
  /** Bytes that may wait for one peer that reads slowly, 128 for each frame included; default 16 MiB. */
  maxQueuedBytes?: number | undefined
  clock: Clock
  random: Random
}

/** See the head of this file. */
export class MeshNetwork extends TypedEventTarget<NetworkEvents> implements Network {
  readonly id: string
  readonly #options: MeshNetworkOptions
  readonly #presence: PresenceBook
  readonly #connector: Connector
  readonly #links: Links
  readonly #gossip: GossipHub
  readonly #relayTopics: RelayTopics
  readonly #named: NamedPeers
  readonly #sessions = new SessionTable()
  /** Why connections that were dialled carry no session, for those who asked for them. */
  readonly #failures = new WeakMap<Connection, PromiseWithResolvers<never>>()
  readonly #timers = new Set<Timer>()
  #sink: NetworkSink | undefined
  #stopped = false

  constructor(options: MeshNetworkOptions) {
    super()
    const { carrier, clock, random, identity, card, learn, trust } = options
    const timing = { clock, random }
    this.id = identity.id
    this.#options = options
    this.#links = new Links({
      onOpen: link => this.emit('link:open', link),
      onChanged: link => this.emit('link:changed', link),
      onClosed: peer => {
        this.emit('link:closed', { peer })
        this.#connector.lost(peer)
        this.#named.lost(peer)
      },
    })
    this.#gossip = new GossipHub({
      carrier,
      identity,
      ...timing,
      maxBytes: options.maxFrameBytes,
      onRefused: (peer, reason, detail) => this.#refused(peer, reason, detail),
    })
    this.#relayTopics = new RelayTopics(carrier, clock)
    this.#named = new NamedPeers({
      addresses: options.peers ?? [],
      ...timing,
      linked: id => this.#links.get(id) !== undefined,
      connect: address => this.connect(address),
    })
    this.#presence = new PresenceBook({
      self: identity.id,
      ...timing,
      card,
      hidden: options.hidden ?? (() => false),
      linked: id => this.#links.get(id) !== undefined,
      learn,
      trust,
      publish: payload => this.#gossip.publish(presenceTopic(options.mesh), payload),
      onOnline: presence => {
        this.emit('peer:online', this.#peer(presence))
        this.#connector.consider(presence.card.id)
      },
      onOffline: (id, reason) => {
        this.#connector.forget(id, reason)
        // Whoever said goodbye is gone before its channels are: what were written into them now would be lost.
        const leaving = reason === 'left' ? this.#presence.get(id)?.card.instance : undefined
        for (const session of this.#links.sessions(id)) if (session.instance === leaving) session.left()
        this.emit('peer:offline', { id, reason })
      },
      onChanged: presence => {
        this.emit('peer:changed', this.#peer(presence))
        this.#connector.consider(presence.card.id)
      },
      onTwin: twin => {
        // An older run of this agent may still be echoing; a newer card than our own is another live one.
        if (twin.seq > card().seq) this.emit('identity:in-use', { id: this.id })
      },
    })
    this.#connector = new Connector({
      carrier,
      ...timing,
      card: id => (this.#presence.get(id)?.online ? this.#presence.get(id)?.card : undefined),
      link: id => this.#links.get(id)?.kind,
      links: () => this.#links.size,
      trust,
    })
  }

  async start(sink: NetworkSink, options: AbortOptions = {}): Promise<void> {
    this.#sink = sink
    const { carrier, mesh, renewCard } = this.#options
    carrier.addEventListener('connection:open', event => this.#connected(event.detail))
    carrier.addEventListener('connection:close', ({ detail }) => {
      for (const session of this.#sessions.on(detail)) session.disconnected()
    })
    carrier.addEventListener('relay', event => this.emit('relay', event.detail))
    carrier.addEventListener('addresses', () => {
      renewCard()
        .then(() => {
          this.#presence.announce({ urgent: true })
          for (const { card, online } of this.#presence.all()) if (online) this.#connector.consider(card.id)
        })
        .catch(() => {})
    })
    carrier.addEventListener('subscription', ({ detail }) => {
      if (detail.subscribed && detail.topic === presenceTopic(mesh)) this.#presence.neighbour(detail.peer)
    })
    carrier.handle(DIRECT_PROTOCOL, channel => this.#accept(channel))
    this.#gossip.join(presenceTopic(mesh), async (author, payload) => this.#presence.received(author, payload))
    await carrier.start(options)
    this.#presence.start()
    this.#named.start()
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    // Goodbyes first and in this turn: a tab that is being closed gets no other.
    for (const session of this.#links.sessions()) session.bye()
    for (const timer of this.#timers) timer.cancel()
    this.#presence.stop()
    this.#connector.stop()
    this.#links.stop()
    this.#relayTopics.stop()
    this.#named.stop()
    if (this.#sink !== undefined) await this.#presence.bye()
    await Promise.all(this.#links.sessions().map(session => session.close()))
    await this.#options.carrier.stop()
    this.#sessions.drop()
  }

  addresses(): readonly string[] {
    return this.#options.carrier.addresses()
  }

  announce(): void {
    if (!this.#stopped) this.#presence.announce()
  }

  peers(): readonly Peer[] {
    return this.#presence.all().map(presence => this.#peer(presence))
  }

  peer(id: string): Peer | undefined {
    const presence = this.#presence.get(id)
    return presence === undefined ? undefined : this.#peer(presence)
  }

  links(): readonly Link[] {
    return this.#links.all()
  }

  link(id: string): Link | undefined {
    return this.#links.get(id)
  }

  drop(peer: string): void {
    for (const session of this.#links.sessions(peer)) void session.close()
  }

  async connect(address: string, { signal }: AbortOptions = {}): Promise<Link> {
    const peer = peerOf(validateAddress(address)) as string
    const done = new AbortController()
    const opened = this.#links.opened(peer, signal ? AbortSignal.any([signal, done.signal]) : done.signal)
    opened.catch(() => {})
    try {
      const connection = await this.#options.carrier.dial(peer, [address], { signal }).catch(cause => {
        signal?.throwIfAborted()
        throw noRoute(peer, `could not connect to ${address}`, cause)
      })
      // Hellos are under way: whichever ends first, a link or this connection's only channel.
      return await Promise.race([opened, this.#failure(connection)])
    } finally {
      done.abort()
    }
  }

  hurry(peer: string): void {
    this.#named.hurry(peer)
  }

  async open(peer: string, { signal }: AbortOptions = {}): Promise<Link> {
    if (this.#links.best(peer) === undefined) await this.#reach(peer, signal)
    const link = this.#links.get(peer)
    if (link === undefined) throw noRoute(peer, `the connection to ${peer} closed at once`)
    return link
  }

  send(peer: string, frame: AnyFrame, patience: Patience = {}): Promise<void> {
    const session = this.#links.best(peer)
    if (session !== undefined) return session.send(frame, patience)
    return this.#reach(peer, patience.signal).then(reached => reached.send(frame, patience))
  }

  join(topic: string): Promise<void> {
    const sink = this.#sink
    const gossipTopic = topicOf(this.#options.mesh, topic)
    this.#gossip.join(gossipTopic, async (author, payload) => {
      // What this agent's own id signed elsewhere: an earlier run, still echoing, or a twin, whom presence deals with.
      if (author !== this.id) sink?.topic(topic, author, payload)
      return true
    })
    return this.#relayTopics.joined(gossipTopic)
  }

  leave(topic: string): void {
    this.#gossip.leave(topicOf(this.#options.mesh, topic))
  }

  publish(topic: string, payload: Uint8Array): Promise<readonly string[]> {
    return this.#gossip.publish(topicOf(this.#options.mesh, topic), payload)
  }

  async #reach(peer: string, signal: AbortSignal | undefined): Promise<Session> {
    signal?.throwIfAborted()
    if (this.#presence.get(peer)?.online !== true) throw noRoute(peer, `${peer} is not online`)
    const opened = this.#links.opened(peer, signal)
    // Whichever comes first: a session, dialled by either side, or the end of every attempt.
    const attempts = this.#connector.hurry(peer).then(() => this.#links.best(peer))
    const first = await abortable(Promise.race([opened.then(() => this.#links.best(peer)), attempts]), signal)
    // A dial that has just succeeded still has its hellos to exchange.
    const found = first ?? (await this.#links.soon(peer, this.#options.clock, OPEN_TIMEOUT, signal))
    if (found === undefined) throw noRoute(peer, `no way to ${peer}: every address failed`)
    return found
  }

  #connected(connection: Connection): void {
    if (this.#stopped) return
    if (connection.outbound) return void this.#openSession(connection)
    // Who comes without a hello takes a place from others; and a failed WebRTC handshake can leave what only looks open.
    const unless = (ms: number, spoken: () => boolean): void =>
      this.#later(ms, () => spoken() || connection.abort(new Error('nobody spoke on this connection')))
    unless(PHANTOM_TIMEOUT, () => this.#sessions.carried(connection))
    unless(2 * PHANTOM_TIMEOUT, () => this.#sessions.met(connection))
  }

  async #openSession(connection: Connection): Promise<void> {
    try {
      const late = (): Error => new Error('not connected in time')
      const open = (signal: AbortSignal) => connection.open(DIRECT_PROTOCOL, { signal })
      this.#session(await within(this.#options.clock, OPEN_TIMEOUT, late, undefined, open), true)
    } catch (error) {
      this.#failed(connection, error)
      // A relay does not speak the protocol and is left alone; a data channel that does not open has nobody behind it.
      if (connection.transport === 'webrtc') connection.abort(error as Error)
    }
  }

  #accept(channel: Channel): void {
    const excess = this.#sessions.excess(channel.connection)
    if (excess === undefined) return this.#session(channel, false)
    channel.abort(new Error(excess))
    this.#refused(channel.connection.peer, 'overflow', excess)
  }

  #session(channel: Channel, initiator: boolean): void {
    if (this.#stopped) return channel.abort(new Error('this agent is leaving'))
    const { mesh, card, clock, maxFrameBytes, maxQueuedBytes } = this.#options
    const session = new Session({
      channel,
      initiator,
      mesh,
      card,
      clock,
      maxFrameBytes,
      maxQueuedBytes,
      onOpen: (opened, theirs) => this.#sessionOpened(opened, theirs),
      onFrame: (from, frame) => {
        if (!this.#stopped) return this.#sink?.direct(from.peer, frame, this.#links.get(from.peer) ?? linkOf(from))
      },
      onClosed: (closed, error) => {
        this.#links.remove(closed)
        this.#failed(closed.channel.connection, error)
      },
      onEnded: ended => this.#sessions.delete(ended),
      onRefused: (refused, reason, detail) => {
        this.#refused(refused.peer, reason, detail)
        // A data channel can look open with nobody behind it.
        const { connection } = refused.channel
        if (reason === 'no-hello' && connection.transport === 'webrtc') connection.abort(new Error(detail))
      },
      onPong: ponged => this.#links.touched(ponged),
      onBye: leaving => {
        this.#presence.left(leaving.peer, leaving.instance)
        leaving.left()
      },
    })
    // It may have ended as its hello was written, on a channel that closed meanwhile.
    if (!session.ended) this.#sessions.add(session)
  }

  #sessionOpened(session: Session, card: Card): void {
    if (this.#stopped) return session.drop()
    this.#sessions.meet(session)
    this.#links.add(session)
    this.#presence.met(card)
    if (session.channel.connection.kind !== 'direct') return
    this.#later(RELAYED_LINGER, () => {
      if (!session.open) return
      for (const { channel } of this.#links.sessions(session.peer)) {
        if (channel.connection.kind === 'relayed') channel.connection.close().catch(() => {})
      }
    })
  }

  /** Calls back unless the network stops first: a timer of its own would keep a process alive. */
  #later(ms: number, callback: () => void): void {
    const timer = this.#options.clock.after(ms, () => {
      this.#timers.delete(timer)
      callback()
    })
    this.#timers.add(timer)
  }

  /** Rejects when a connection turns out to carry no session with a member of this mesh. */
  #failure(connection: Connection): Promise<never> {
    let failure = this.#failures.get(connection)
    if (failure === undefined) {
      failure = Promise.withResolvers<never>()
      failure.promise.catch(() => {})
      this.#failures.set(connection, failure)
    }
    return failure.promise
  }

  #failed(connection: Connection, cause: unknown): void {
    void this.#failure(connection)
    const why = cause instanceof Error ? cause.message : 'it closed'
    const error = noRoute(connection.peer, `no member of the mesh answered: ${why}`, cause)
    this.#failures.get(connection)?.reject(error)
  }

  #refused(peer: string, reason: RefusalReason, detail: string): void {
    this.emit('refused', { peer, reason, detail })
  }

  #peer({ card, online, hidden }: Presence): Peer {
    return { card, online, hidden, link: this.#links.get(card.id) }
  }
}

const noRoute = (peer: string, message: string, cause?: unknown): AfpRoutingError =>
  new AfpRoutingError('NO_ROUTE', message, { recipients: [peer], cause })
