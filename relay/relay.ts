/** What is behind `createRelay`. */

import { type CircuitRelayService, circuitRelayServer } from '@libp2p/circuit-relay-v2'
import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { checkOptions } from '../src/common/check-options.ts'
import { type Clock, systemClock, type Timer } from '../src/common/clock.ts'
import { AfpError, AfpSecurityError } from '../src/common/errors.ts'
import { TypedEventTarget } from '../src/common/events.ts'
import { createIdentity, type Identity } from '../src/identity/keys.ts'
import { hasItsShare } from '../src/network/address-share.ts'
import { componentNames, peerOf } from '../src/network/addresses.ts'
import { platformTransports } from '../src/network/defaults.ts'
import { createNode, type Node } from '../src/network/node.ts'
import { SocketGuard, SPARE_SOCKETS } from '../src/network/socket-guard.ts'
import { MAX_GOSSIP_TOPIC_LENGTH, presenceTopic } from '../src/network/topics.ts'
import { boundCircuits } from './circuit-windows.ts'
import { RelayGossip } from './gossip.ts'
import { readOrCreateSeed } from './identity-file.ts'
import { LIVE_LIMITS, type RelayLimits, relayLimits } from './limits.ts'
import { CHANGES } from './option-checks.ts'
import type { Relay, RelayChanges, RelayEvents, RelayOptions, RelayStats } from './options.ts'
import { boundRelayed } from './relayed.ts'
import { freeAbandonedReservations } from './reservations.ts'
import type { AllowedMeshes } from './topic-table.ts'

/** How long connections may take to close in good order, ms; then their sockets are dropped. */
const CLOSE_TIMEOUT = 2_000

/** The node's own listeners, which libp2p hands to services. */
interface Listening {
  addresses(): readonly Multiaddr[]
  /** Has an address announced that libp2p would keep back until another peer proved it reachable. */
  confirm(address: Multiaddr): void
}

interface ListeningComponents {
  transportManager: { getAddrs(): Multiaddr[] }
  addressManager: { confirmObservedAddr(address: Multiaddr, options: { type: 'transport'; ttl: number }): void }
}

type RelayNode = Node<{ circuits: CircuitRelayService; listening: Listening }>

/** See `createRelay`. */
export async function startRelay(options: RelayOptions & { listen: readonly string[] }): Promise<Relay> {
  const limits = relayLimits(options.limits)
  const meshes = checkedMeshes(options.meshes)
  const { listen } = options
  if (listen.length === 0) throw new AfpError('INVALID_OPTION', 'a relay needs an address to listen on')
  for (const address of listen) checkListen(address)
  const identity = await identityOf(options)
  for (const address of options.announce ?? []) checkAnnounce(address, identity.id)
  const clock = options.clock ?? systemClock
  const relay = new Libp2pRelay(identity.id, meshes, limits, clock)
  await relay.start(identity, listen, options.announce)
  return relay
}

class Libp2pRelay extends TypedEventTarget<RelayEvents> implements Relay {
  readonly id: string
  readonly #clock: Clock
  readonly #gossip: RelayGossip
  readonly #sockets: SocketGuard
  readonly #connected = new Set<string>()
  #limits: RelayLimits
  #node: RelayNode | undefined
  #sweep: Timer | undefined
  #closing: Promise<void> | undefined

  constructor(id: string, meshes: AllowedMeshes, limits: RelayLimits, clock: Clock) {
    super()
    this.id = id
    this.#clock = clock
    this.#limits = limits
    this.#sockets = new SocketGuard(clock, limits.maxConnections + SPARE_SOCKETS)
    this.#gossip = new RelayGossip({
      meshes,
      limits,
      clock,
      addressOf: peer => this.#addressOf(peer),
      onTopic: (topic, joined) => this.emit(joined ? 'topic:join' : 'topic:leave', { topic }),
      onRefused: (peer, reason, topic, detail) => this.emit('refused', { peer, reason, topic, detail }),
    })
  }

  async start(identity: Identity, listen: readonly string[], announce: readonly string[] | undefined): Promise<void> {
    const limits = this.#limits
    const crowded = ({ remoteAddr }: { remoteAddr: Multiaddr }): boolean => {
      const open = node.getConnections().map(connection => connection.remoteAddr)
      return hasItsShare(remoteAddr, open, limits.maxConnections)
    }
    // Which of a peer's connections asks is not told: none of them may come from an address that has its share.
    const slotless = (peer: PeerId): boolean => {
      const { reservations } = node.services.circuits
      if (reservations.has(peer)) return false
      const taken = [...reservations.values()].map(({ addr }) => addr)
      return node.getConnections(peer).some(({ remoteAddr }) => hasItsShare(remoteAddr, taken, limits.maxReservations))
    }
    const node: RelayNode = await createNode<{ circuits: CircuitRelayService; listening: Listening }>({
      seed: identity.seed,
      transports: platformTransports([], this.#sockets),
      listen,
      announce,
      mustListen: true,
      topics: topic => this.#gossip.table.has(topic),
      score: peer => this.#gossip.score(peer),
      gossip: {
        // Agents behind a relay may know nobody else: every one of them has to be sent what is forwarded.
        Dhi: limits.maxConnections,
        maxInboundDataLength: limits.maxGossipBytes,
        // What gossipsub counts for each topic: 1 KiB and its length.
        maxTopicBytesPerPeer: 2 * limits.maxTopicsPerPeer * (1_024 + MAX_GOSSIP_TOPIC_LENGTH),
      },
      maxConnections: limits.maxConnections,
      // Asked once more after the handshake: meanwhile others may have come.
      gater: {
        denyInboundConnection: crowded,
        denyInboundEncryptedConnection: (_peer, from) => crowded(from),
        denyInboundRelayReservation: slotless,
      },
      clock: this.#clock,
      services: {
        circuits: circuitRelayServer({
          maxInboundHopStreams: limits.maxRelayedPerPeer,
          maxOutboundHopStreams: limits.maxRelayedPerPeer,
          reservations: {
            maxReservations: limits.maxReservations,
            reservationTtl: limits.reservationTtl * 1_000,
            defaultDataLimit: BigInt(limits.maxRelayedBytes),
            defaultDurationLimit: limits.maxRelayedSeconds * 1_000,
          },
        }) as never,
        listening: ((components: ListeningComponents): Listening => ({
          addresses: () => components.transportManager.getAddrs(),
          confirm: address =>
            components.addressManager.confirmObservedAddr(address, { type: 'transport', ttl: Number.MAX_SAFE_INTEGER }),
        })) as never,
      },
    })
    this.#node = node
    node.addEventListener('peer:connect', event => this.#connects(event.detail))
    node.addEventListener('peer:disconnect', event => this.#disconnects(event.detail))
    boundRelayed(node.services.circuits, limits.maxRelayedPerPeer)
    boundCircuits(node.services.circuits)
    this.#gossip.attach(node.services.pubsub)
    try {
      await node.start()
    } catch (error) {
      throw cannotListen(error)
    }
    for (const address of node.services.listening.addresses()) node.services.listening.confirm(address)
    this.#gossip.start()
    this.#sweep = freeAbandonedReservations(node.services.circuits.reservations, this.#clock, peer =>
      this.#connected.has(peer),
    )
  }

  addresses(): readonly string[] {
    return this.#closing ? [] : (this.#node?.getMultiaddrs().map(address => address.toString()) ?? [])
  }

  stats(): RelayStats {
    const { table } = this.#gossip
    return {
      peers: this.#connected.size,
      connections: this.#node?.getConnections().length ?? 0,
      reservations: this.#node?.services.circuits.reservations.size ?? 0,
      meshes: [...table.meshes()].map(([mesh, { topics }]) => ({
        mesh,
        topics: topics.size,
        peers: table.peers(presenceTopic(mesh)).size,
      })),
    }
  }

  change(changes: RelayChanges): readonly (keyof RelayLimits)[] {
    checkOptions('change()', changes, CHANGES)
    const wanted = relayLimits(changes.limits)
    const meshes = checkedMeshes(changes.meshes)
    const live = Object.fromEntries(LIVE_LIMITS.map(name => [name, wanted[name]])) as Partial<RelayLimits>
    this.#limits = { ...this.#limits, ...live }
    this.#gossip.rule(meshes, this.#limits)
    return (Object.keys(wanted) as (keyof RelayLimits)[]).filter(name => wanted[name] !== this.#limits[name])
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#gossip.stop()
    this.#sweep?.cancel()
    // The system's own clock: sockets do not wait for a driven one.
    const timer = systemClock.after(CLOSE_TIMEOUT, () => this.#sockets.destroy())
    try {
      await this.#node?.stop()
    } finally {
      timer.cancel()
      this.#sockets.destroy()
    }
  }

  /** Of several the first: by others beside it a peer comes by no more. */
  #addressOf(peer: PeerId): Multiaddr | undefined {
    if (!this.#connected.has(peer.toString())) return undefined
    return this.#node?.getConnections(peer)[0]?.remoteAddr
  }

  #connects(peer: PeerId): void {
    const id = peer.toString()
    this.#connected.add(id)
    this.emit('peer:connect', { peer: id })
  }

  #disconnects(peer: PeerId): void {
    const id = peer.toString()
    this.#connected.delete(id)
    this.#gossip.forget(id)
    this.emit('peer:disconnect', { peer: id })
  }
}

async function identityOf({ seed, identityFile }: RelayOptions): Promise<Identity> {
  if (seed !== undefined && identityFile !== undefined) {
    throw new AfpError('INVALID_OPTION', 'a relay has a seed or an identity file, not both')
  }
  return createIdentity(identityFile === undefined ? seed : await readOrCreateSeed(identityFile))
}

function checkedMeshes(meshes: AllowedMeshes = 'any'): AllowedMeshes {
  if (meshes === 'any') return meshes
  for (const mesh of meshes) presenceTopic(mesh)
  return [...meshes]
}

function checkListen(address: string): void {
  const [host, transport, last, ...rest] = componentsOf(address)
  const isHost = host === 'ip4' || host === 'ip6'
  if (isHost && transport === 'tcp' && (last === undefined || last === 'ws') && rest.length === 0) return
  throw new AfpError(
    'INVALID_OPTION',
    `a relay listens on /ip4/<host>/tcp/<port>, with or without /ws, not on ${address}`,
  )
}

function checkAnnounce(address: string, id: string): void {
  const names = componentsOf(address)
  const peer = peerOf(address)
  if (names.includes('p2p-circuit') || !names.includes('tcp')) {
    throw new AfpError('INVALID_OPTION', `${address} is not an address that leads to a relay`)
  }
  if (peer !== undefined && peer !== id) {
    throw new AfpError('INVALID_OPTION', `${address} ends in another id than this relay's, ${id}`)
  }
}

function componentsOf(address: string): string[] {
  const names = typeof address === 'string' ? componentNames(address) : undefined
  if (names === undefined || names.length === 0) {
    throw new AfpSecurityError('INVALID_ADDRESS', `${JSON.stringify(address)} is not a multiaddr`)
  }
  return names
}

/** libp2p puts the stack of each failed address into one message; a line for each is left here. */
function cannotListen(cause: unknown): AfpError {
  const lines = String((cause as Error).message).match(/^\s*\/\S+: \w*Error: .*$/gm) ?? [(cause as Error).message]
  const reasons = lines.map(line => line.trim().replace(/: \w*Error: (listen )?/, ': '))
  return new AfpError('NETWORK_FAILED', `the relay cannot listen on ${reasons.join(', ')}`, { cause })
}
