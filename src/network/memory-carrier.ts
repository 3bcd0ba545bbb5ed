/** One peer of the network in memory. */

import { type AbortOptions, abortable } from '../common/abort.ts'
import { AfpError } from '../common/errors.ts'
import { TypedEventTarget } from '../common/events.ts'
import type { Carrier, CarrierEvents, Channel, Connection, GossipHandler, LinkKind } from './carrier.ts'
import type { ConnectionHost, MemoryConnection, Wire } from './memory-connection.ts'
import { type GossipHost, MemoryGossip } from './memory-gossip.ts'
import { chance, drawDelay, later, type Medium } from './memory-lane.ts'
import { MemoryRelays } from './memory-relay.ts'

/** Options of a peer in memory. */
export interface MemoryCarrierOptions {
  /** Where it is, for addresses and faults; default its id. Two peers that claim one id need different places. */
  readonly place?: string | undefined
  /** Whether others can dial it directly; default true. */
  readonly listen?: boolean | undefined
  /** Addresses of relays to keep connected and reserved; they may be down at start. */
  readonly relays?: readonly string[] | undefined
  /** Whether it forwards connections and gossip for others; default false. */
  readonly relay?: boolean | undefined
}

/** What a peer needs of the network it is in. */
export interface Surroundings extends Medium {
  /** How long a dial into silence takes to fail, ms. */
  readonly dialTimeout: number
  /** Who is at a place: a peer, nobody (refuses at once), or one that crashed (silence). */
  at(place: string): MemoryCarrier | 'nobody' | 'silence'
  connect(
    hosts: readonly [MemoryCarrier, MemoryCarrier],
    path: readonly string[],
    over: readonly Wire[],
  ): MemoryConnection
  entered(carrier: MemoryCarrier): void
  left(carrier: MemoryCarrier): void
}

const DIRECT = /^\/memory\/([^/]+)\/p2p\/([^/]+)$/
const RELAYED = /^\/memory\/([^/]+)\/p2p\/([^/]+)\/p2p-circuit\/p2p\/([^/]+)$/

/** See the head of this file. Made by `MemoryNet.carrier`. */
export class MemoryCarrier extends TypedEventTarget<CarrierEvents> implements Carrier, ConnectionHost, GossipHost {
  readonly id: string
  readonly place: string
  readonly relays: boolean
  readonly #net: Surroundings
  readonly #listens: boolean
  readonly #keeper: MemoryRelays
  readonly #gossip: MemoryGossip
  readonly #connections = new Set<MemoryConnection>()
  readonly #protocols = new Map<string, (channel: Channel) => void>()
  /** Where this peer is a relay: those that it forwards for. */
  readonly #reservations = new Map<string, MemoryConnection>()
  #addresses: readonly string[] = []
  #state: 'new' | 'running' | 'stopped' | 'crashed' = 'new'

  constructor(net: Surroundings, id: string, options: MemoryCarrierOptions) {
    super()
    this.id = id
    this.place = options.place ?? id
    this.relays = options.relay ?? false
    this.#net = net
    this.#listens = options.listen ?? true
    this.#gossip = new MemoryGossip(net, this)
    this.#keeper = new MemoryRelays({
      medium: net,
      addresses: options.relays ?? [],
      dial: address => this.#dialDirect(address, peerAt(address)),
      reserve: connection => this.#reserve(connection),
      onState: state => {
        this.emit('relay', state)
        this.#refreshAddresses()
      },
    })
  }

  /** Whether others reach it. */
  get running(): boolean {
    return this.#state === 'running'
  }

  get listens(): boolean {
    return this.#listens
  }

  async start({ signal }: AbortOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    if (this.#state !== 'new') throw new AfpError('CLOSED', 'a carrier is started once')
    this.#net.entered(this)
    this.#state = 'running'
    this.#net.record('start', this.place, this.place, '')
    this.#refreshAddresses()
    this.#keeper.start()
  }

  async stop(): Promise<void> {
    if (this.#state !== 'running') return
    this.#state = 'stopped'
    this.#keeper.stop()
    await Promise.all([...this.#connections].map(connection => connection.close()))
    this.#addresses = []
    this.#net.record('stop', this.place, this.place, '')
    this.#net.left(this)
  }

  /** Ends without a word, as a machine that loses power. */
  crash(): void {
    if (this.#state !== 'running') return
    this.#state = 'crashed'
    this.#keeper.stop()
    for (const connection of this.#connections) connection.vanish()
    this.#connections.clear()
    this.#addresses = []
  }

  addresses(): readonly string[] {
    return this.#addresses
  }

  reach(address: string): LinkKind | undefined {
    if (DIRECT.test(address)) return 'direct'
    return RELAYED.test(address) ? 'relayed' : undefined
  }

  /** @throws AfpError NETWORK_FAILED when no address leads to `peer`, CLOSED when this carrier is not running */
  async dial(peer: string, addresses: readonly string[], { signal }: AbortOptions = {}): Promise<Connection> {
    signal?.throwIfAborted()
    if (!this.running) throw new AfpError('CLOSED', 'the network is not running')
    const direct = addresses.filter(address => this.reach(address) === 'direct')
    const relayed = addresses.filter(address => this.reach(address) === 'relayed')
    let cause: unknown
    for (const address of [...direct, ...relayed]) {
      try {
        const dialled = direct.includes(address) ? this.#dialDirect(address, peer) : this.#dialRelayed(address, peer)
        // A connection that nobody waits for any more is not kept.
        dialled.then(connection => (signal?.aborted ? connection.close() : undefined)).catch(() => {})
        return await abortable(dialled, signal)
      } catch (error) {
        signal?.throwIfAborted()
        cause = error
      }
    }
    throw new AfpError('NETWORK_FAILED', `${peer} could not be dialled`, { cause })
  }

  connections(): readonly Connection[] {
    return [...this.#connections]
  }

  handle(protocol: string, handler: (channel: Channel) => void): void {
    this.#protocols.set(protocol, handler)
  }

  subscribe(topic: string, handler: GossipHandler): void {
    this.#gossip.subscribe(topic, handler)
  }

  unsubscribe(topic: string): void {
    this.#gossip.unsubscribe(topic)
  }

  subscribers(topic: string): readonly string[] {
    return this.#gossip.subscribers(topic)
  }

  async publish(topic: string, data: Uint8Array): Promise<readonly string[]> {
    if (!this.running) throw new AfpError('CLOSED', 'the network is not running')
    return this.#gossip.publish(topic, data)
  }

  /** How often this peer rejected gossip that `peer` forwarded. */
  rejections(peer: string): number {
    return this.#gossip.rejections(peer)
  }

  protocol(name: string): ((channel: Channel) => void) | undefined {
    return this.running ? this.#protocols.get(name) : undefined
  }

  opened(connection: MemoryConnection): void {
    this.#connections.add(connection)
    this.#gossip.opened(connection)
    this.emit('connection:open', connection)
  }

  closed(connection: MemoryConnection): void {
    this.#connections.delete(connection)
    if (this.#reservations.get(connection.peer) === connection) this.#reservations.delete(connection.peer)
    this.#gossip.closed(connection)
    this.#keeper.closed(connection)
    this.emit('connection:close', connection)
  }

  gossiped(way: MemoryConnection, topic: string, data: Uint8Array): void {
    if (this.running) void this.#gossip.received(topic, data, way.wire.other(way).peer)
  }

  announced(way: MemoryConnection, topic: string, subscribed: boolean): void {
    if (this.running) this.#gossip.told(way.wire.other(way).peer, topic, subscribed)
  }

  emitSubscription(detail: CarrierEvents['subscription']): void {
    this.emit('subscription', detail)
  }

  #refreshAddresses(): void {
    const own = this.#listens ? [`/memory/${this.place}/p2p/${this.id}`] : []
    const relayed = this.#keeper.reserved().map(relay => `${relay}/p2p-circuit/p2p/${this.id}`)
    const addresses = this.running ? [...own, ...relayed] : []
    if (addresses.join(' ') === this.#addresses.join(' ')) return
    this.#addresses = addresses
    this.emit('addresses', addresses)
  }

  async #dialDirect(address: string, peer: string): Promise<MemoryConnection> {
    const [, place = '', id = ''] = DIRECT.exec(address) ?? []
    const path = [this.place, place]
    await this.#reachOut(path, () => this.#net.at(place))
    const target = this.#net.at(place)
    if (typeof target === 'string' || !target.listens || target === this)
      throw this.#failed(path, 'nobody listens there')
    if (target.id !== peer || id !== peer) throw this.#failed(path, `${target.id} answered instead of ${peer}`)
    return this.#net.connect([this, target], path, [])
  }

  async #dialRelayed(address: string, peer: string): Promise<MemoryConnection> {
    const [, place = '', relayId = '', id = ''] = RELAYED.exec(address) ?? []
    const known = [...this.#connections].find(({ peer: other, kind }) => other === relayId && kind === 'direct')
    const first = known ?? (await this.#dialDirect(`/memory/${place}/p2p/${relayId}`, relayId))
    const relay = this.#net.at(place)
    const second = typeof relay === 'string' || !relay.relays ? undefined : relay.#reservations.get(peer)
    const target = second?.remote
    if (id !== peer || second === undefined || !(target instanceof MemoryCarrier) || target === this) {
      throw this.#failed([this.place, place], `the relay has no reservation for ${peer}`)
    }
    const path = [this.place, place, target.place]
    await this.#reachOut(path, () => (second.isOpen && first.isOpen ? target : 'nobody'))
    if (!second.isOpen || !first.isOpen) throw this.#failed(path, 'the relay closed a connection')
    return this.#net.connect([this, target], path, [first.wire, second.wire])
  }

  /** Goes there and back, or fails: at once where somebody refuses, after a while where nobody answers. */
  async #reachOut(path: readonly string[], who: () => MemoryCarrier | 'nobody' | 'silence'): Promise<void> {
    const net = this.#net
    const passes = (): boolean => who() !== 'silence' && net.passes(path) && net.passes(path.toReversed())
    const lost = chance(net, net.faults.loss)
    await this.#wait(drawDelay(net) + drawDelay(net))
    if (!passes()) await this.#wait(net.dialTimeout)
    if (lost || !passes()) throw this.#failed(path, lost ? 'the handshake was lost' : 'nobody answered')
    if (!this.running) throw this.#failed(path, 'the network is not running')
  }

  /** Asks the relay that a connection leads to to forward to this peer. */
  async #reserve(connection: MemoryConnection): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    connection.signal(() => {
      const relay = connection.remote
      const back = connection.wire.other(connection)
      if (!(relay instanceof MemoryCarrier) || !relay.relays) {
        return back.signal(() => reject(new AfpError('NETWORK_FAILED', `${connection.peer} is no relay`)))
      }
      relay.#reservations.set(this.id, back)
      back.signal(resolve)
    })
    await promise
  }

  #wait(ms: number): Promise<void> {
    return new Promise(resolve => later(this.#net, ms, resolve))
  }

  #failed(path: readonly string[], why: string): AfpError {
    const end = path.at(-1) ?? ''
    this.#net.record('dial-failed', this.place, end, why)
    return new AfpError('NETWORK_FAILED', `dialling ${end}: ${why}`)
  }
}

/** The peer that an address ends at. */
const peerAt = (address: string): string => address.slice(address.lastIndexOf('/') + 1)
