import { type AbortOptions, abortable } from '../common/abort.ts'
import type { Timer } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import type { Channel, Connection, LinkKind, LinkTransport } from './carrier.ts'
import { type ChannelHost, MemoryChannel } from './memory-channel.ts'
import { chance, Lane, type Medium } from './memory-lane.ts'

/** What a connection needs of the peer that holds an end of it. */
export interface ConnectionHost {
  readonly id: string
  readonly place: string
  /** Whether it forwards connections and gossip for others. */
  readonly relays: boolean
  /** Takes a channel for a protocol; undefined when the peer does not speak it. */
  protocol(name: string): ((channel: Channel) => void) | undefined
  opened(connection: MemoryConnection): void
  closed(connection: MemoryConnection): void
  /** Gossip that the other end sent over `way`. */
  gossiped(way: MemoryConnection, topic: string, data: Uint8Array): void
  /** The other end joined or left a topic. */
  announced(way: MemoryConnection, topic: string, subscribed: boolean): void
}

/** A connection as the network sees it: two ends, the places between them, and the connections it runs over. */
export class Wire {
  readonly id: string
  readonly medium: Medium
  /** Places from the dialler to the dialled, a relay between them. */
  readonly path: readonly string[]
  /** A relayed connection ends with those to the relay. */
  readonly over: readonly Wire[]
  readonly ends: readonly [MemoryConnection, MemoryConnection]
  readonly #channels = new Set<MemoryChannel>()
  /** Told when an end, or a channel after it, is over. */
  readonly #onEnd: (wire: Wire) => void
  #silence: Timer | undefined
  #channelCount = 0

  constructor(
    medium: Medium,
    id: string,
    hosts: readonly [ConnectionHost, ConnectionHost],
    path: readonly string[],
    over: readonly Wire[],
    onEnd: (wire: Wire) => void,
  ) {
    this.id = id
    this.medium = medium
    this.path = path
    this.over = over
    this.#onEnd = onEnd
    const kind = over.length > 0 ? 'relayed' : 'direct'
    const dialler = new MemoryConnection(this, hosts[0], hosts[1], kind, true)
    const dialled = new MemoryConnection(this, hosts[1], hosts[0], kind, false)
    dialler.join(dialled)
    dialled.join(dialler)
    this.ends = [dialler, dialled]
  }

  /** Whether bytes pass in both directions. */
  get passes(): boolean {
    return this.medium.passes(this.path) && this.medium.passes(this.path.toReversed())
  }

  /** Whether an end is still open or a channel still has bytes under way. */
  get alive(): boolean {
    return this.#channels.size > 0 || this.ends.some(end => end.isOpen)
  }

  /** Makes a channel's two ends, the first for `opener`. */
  pair(opener: MemoryConnection, protocol: string): readonly [MemoryChannel, MemoryChannel] {
    const other = this.other(opener)
    const path = opener.outbound ? this.path : this.path.toReversed()
    const name = `${this.id}/${this.#channelCount++} ${protocol}`
    const pair = MemoryChannel.pair(this.medium, path, opener, other, name)
    for (const channel of pair) this.#channels.add(channel)
    return pair
  }

  other(end: MemoryConnection): MemoryConnection {
    return end === this.ends[0] ? this.ends[1] : this.ends[0]
  }

  channelsOf(end: MemoryConnection): MemoryChannel[] {
    return [...this.#channels].filter(channel => channel.connection === end)
  }

  forget(channel: MemoryChannel): void {
    this.#channels.delete(channel)
    this.changed()
  }

  /** The way was cut or has healed: passes on what waited, or ends the connection when it stays cut for `limit` ms. */
  wayChanged(limit: number): void {
    if (!this.passes) {
      if (this.#silence !== undefined || limit === Number.POSITIVE_INFINITY) return
      this.#silence = this.medium.clock.after(limit, () => {
        this.#silence = undefined
        this.die(new AfpError('NETWORK_FAILED', `nothing was heard for ${limit} ms`))
      })
    } else {
      this.#silence?.cancel()
      this.#silence = undefined
    }
    for (const end of this.ends) end.flush()
    for (const channel of [...this.#channels]) channel.flush()
  }

  /** A host stops: what is still open at its end of it, though the connection has closed, is over. */
  left(host: ConnectionHost): void {
    for (const end of this.ends) {
      if (this.other(end).remote !== host) continue
      for (const channel of this.channelsOf(end)) {
        channel.end()
        channel.finish(undefined)
      }
    }
  }

  /** Ends it for both sides at once. */
  die(error: Error): void {
    for (const end of this.ends) end.drop(error)
    for (const channel of [...this.#channels]) channel.drop(error)
  }

  /** An end or a channel is over. */
  changed(): void {
    if (!this.alive) this.#silence?.cancel()
    if (this.ends.some(end => !end.isOpen)) this.#onEnd(this)
  }
}

/** One end of a connection in memory. */
export class MemoryConnection implements Connection, ChannelHost {
  readonly id: string
  readonly peer: string
  readonly kind: LinkKind
  readonly transport: LinkTransport
  readonly outbound: boolean
  readonly wire: Wire
  /** Gossip that leaves over this connection. */
  readonly gossip: Lane
  readonly #host: ConnectionHost
  readonly #control: Lane
  readonly #opening = new Set<(error: Error) => void>()
  #other: MemoryConnection | undefined
  #open = true

  constructor(wire: Wire, host: ConnectionHost, remote: ConnectionHost, kind: LinkKind, outbound: boolean) {
    this.wire = wire
    this.#host = host
    this.id = wire.id
    this.peer = remote.id
    this.kind = kind
    this.transport = kind === 'relayed' ? 'circuit' : 'memory'
    this.outbound = outbound
    const path = outbound ? wire.path : wire.path.toReversed()
    this.gossip = new Lane(wire.medium, path, `${wire.id} gossip`)
    this.#control = new Lane(wire.medium, path, `${wire.id} control`)
  }

  get place(): string {
    return this.#host.place
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** The host of the other end. */
  get remote(): ConnectionHost {
    return (this.#other as MemoryConnection).#host
  }

  join(other: MemoryConnection): void {
    this.#other = other
  }

  open(protocol: string, options: AbortOptions = {}): Promise<Channel> {
    const { signal } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (!this.#open) return Promise.reject(new AfpError('CLOSED', 'the connection is closed'))
    const { promise, resolve, reject } = Promise.withResolvers<Channel>()
    const refuse = (error: Error): void => {
      if (!this.#opening.delete(refuse)) return
      this.#record('open-failed', protocol)
      reject(error)
    }
    this.#opening.add(refuse)
    const lost = chance(this.wire.medium, this.wire.medium.faults.loss)
    this.signal(() => {
      const other = this.wire.other(this)
      const accept = lost || !other.isOpen ? undefined : other.#host.protocol(protocol)
      if (accept === undefined) {
        const why = lost ? 'the opening was lost' : `${this.peer} does not speak ${protocol}`
        return other.signal(() => refuse(new AfpError('NETWORK_FAILED', why)))
      }
      const [mine, theirs] = this.wire.pair(this, protocol)
      other.signal(() => {
        if (signal?.aborted) return mine.abort(new AfpError('NETWORK_FAILED', 'nobody waits for this channel any more'))
        if (!this.#opening.delete(refuse)) return
        this.#record('open', protocol)
        resolve(mine)
      })
      accept(theirs)
    })
    return abortable(promise, signal)
  }

  async close(): Promise<void> {
    if (!this.#open) return
    for (const channel of this.wire.channelsOf(this)) {
      channel.end()
      channel.finish(undefined)
    }
    const other = this.wire.other(this)
    this.signal(() => other.#closedByPeer())
    this.#over(new AfpError('CLOSED', 'the connection is closed'))
  }

  abort(reason: Error): void {
    if (!this.#open) return
    const other = this.wire.other(this)
    this.signal(() => other.drop(new AfpError('NETWORK_FAILED', 'the other side dropped the connection')))
    for (const channel of this.wire.channelsOf(this)) channel.drop(reason)
    this.#over(reason)
  }

  signal(deliver: () => void): void {
    this.#control.pushReliable(0, deliver)
  }

  forget(first: MemoryChannel, second: MemoryChannel): void {
    this.wire.forget(first)
    this.wire.forget(second)
  }

  /** Ends this side with everything on it, without telling the other. */
  drop(error: Error): void {
    if (!this.#open) return
    for (const channel of this.wire.channelsOf(this)) channel.drop(error)
    this.gossip.kill()
    this.#over(error)
  }

  /** As {@link drop}, but nobody is told: the peer that held this end has crashed. */
  vanish(): void {
    if (!this.#open) return
    this.#open = false
    for (const channel of this.wire.channelsOf(this)) channel.vanish()
    this.gossip.kill()
    this.#control.kill()
    this.wire.changed()
  }

  /** Passes on what a healed cut held up. */
  flush(): void {
    this.#control.flush()
    this.gossip.flush()
  }

  /** The other side said goodbye: channels end as their last bytes arrive. */
  #closedByPeer(): void {
    if (!this.#open) return
    for (const channel of this.wire.channelsOf(this)) channel.end()
    this.#over(new AfpError('CLOSED', 'the other side closed the connection'))
  }

  #over(error: Error): void {
    this.#open = false
    for (const refuse of [...this.#opening]) refuse(error)
    this.#record('disconnect', '')
    this.#host.closed(this)
    this.wire.changed()
  }

  #record(type: 'open' | 'open-failed' | 'disconnect', what: string): void {
    this.wire.medium.record(type, this.place, this.remote.place, what === '' ? this.id : `${this.id} ${what}`)
  }
}
