/** Everybody who is compared, and what each promises meanwhile. */

import type { ServerName } from '../servers.ts'
import type { Adapter } from './adapter.ts'

/** Somebody who is compared. */
export interface Peer {
  readonly adapter: () => Promise<Adapter>
  readonly server?: ServerName
  /** What an acknowledged message survives, and what acknowledges it. */
  readonly durability: string
  /** Its cases: the name of each, and what its adapter calls it. */
  readonly cases: Readonly<Record<string, string>>
}

const NOTHING =
  'nothing is kept, nothing is acknowledged; the recipient tells the sender every 1/8 of the window what came'
const IN_MEMORY =
  'at-most-once as above; the others kept by both agents in memory, acknowledged by the recipient once processed, then deleted'
const ON_DISK =
  'at-most-once as above; the others kept by both agents in SQLite (WAL, synchronous=FULL: one transaction and one fsync for what is committed in a turn of the event loop), acknowledged by the recipient once processed, then deleted; exactly-once with a row written by the handler'
const STREAM =
  'file storage, work queue: deleted once the consumer has acknowledged; at most a window unacknowledged at each end'

const GUARANTEES = ['at-most-once', 'at-least-once', 'exactly-once'] as const
const guarantees = (store: string): Readonly<Record<string, string>> =>
  Object.fromEntries(GUARANTEES.map(guarantee => [`AFP ${guarantee}, ${store}`, guarantee]))

/** What the targets name. */
export const CASE = {
  tcp: 'raw TCP',
  stream: 'libp2p stream, a frame at a time',
  nats: 'NATS core',
  jetStreamAlways: 'JetStream, sync_interval: always',
  mosquitto: (qos: number): string => `Mosquitto QoS ${qos}`,
  persistent: (qos: number): string => `Mosquitto QoS ${qos}, persistence`,
  afp: (guarantee: (typeof GUARANTEES)[number], store = 'SQLite'): string => `AFP ${guarantee}, ${store}`,
} as const

const mqtt = (name: (qos: number) => string): Readonly<Record<string, string>> =>
  Object.fromEntries([0, 1, 2].map(qos => [name(qos), `${qos}`]))

const afp = async (): Promise<Adapter> => (await import('./afp.ts')).afp

/** Everybody, by the name of a pair of processes. */
export const PEERS: Readonly<Record<string, Peer>> = {
  tcp: {
    adapter: async () => (await import('./tcp.ts')).tcp,
    durability: NOTHING,
    cases: { [CASE.tcp]: 'single', 'raw TCP, 32 at a time': 'batched' },
  },
  libp2p: {
    adapter: async () => (await import('./libp2p.ts')).libp2p,
    durability: `${NOTHING}; TCP, Noise, yamux`,
    cases: { [CASE.stream]: 'single', 'libp2p stream, 32 frames at a time': 'batched' },
  },
  gossipsub: {
    adapter: async () => (await import('./gossipsub.ts')).gossip,
    durability: `${NOTHING}; signed as by default (StrictSign), or not`,
    cases: { gossipsub: 'StrictSign', 'gossipsub, unsigned': 'StrictNoSign' },
  },
  nats: {
    adapter: async () => (await import('./nats.ts')).core,
    server: 'nats',
    durability: NOTHING,
    cases: { [CASE.nats]: 'core' },
  },
  jetstream: {
    adapter: async () => (await import('./jetstream.ts')).jetStream,
    server: 'nats',
    durability: `${STREAM}; synced every 2 minutes, as by default: what came since is lost with the power`,
    cases: { JetStream: 'stream' },
  },
  'jetstream-always': {
    adapter: async () => (await import('./jetstream.ts')).jetStream,
    server: 'nats-always',
    durability: `${STREAM}; synced before each acknowledgement`,
    cases: { [CASE.jetStreamAlways]: 'stream' },
  },
  mosquitto: {
    adapter: async () => (await import('./mqtt.ts')).mqtt,
    server: 'mosquitto',
    durability: 'QoS 0 as above; QoS 1 and 2 in the memory of the broker, which acknowledges to the sender for itself',
    cases: mqtt(CASE.mosquitto),
  },
  'mosquitto-persistence': {
    adapter: async () => (await import('./mqtt.ts')).mqtt,
    server: 'mosquitto-persistence',
    durability:
      'as without, and the state of the broker written and synced every other second (autosave_interval 1), sessions that stay: what came since is lost with the power, acknowledged or not',
    cases: mqtt(CASE.persistent),
  },
  'afp-memory': { adapter: afp, durability: IN_MEMORY, cases: guarantees('memory') },
  'afp-sqlite': { adapter: afp, durability: ON_DISK, cases: { ...guarantees('SQLite'), 'AFP publish': 'publish' } },
}
