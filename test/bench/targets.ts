/** What this project wants of its figures: a ratio to a peer of the same round, or a bound. */

import { CASE } from './peers/peers.ts'
import type { Target } from './report.ts'

/** Bytes of content. */
const BYTES = 1_024
const atSize = (targets: readonly Target[]): readonly Target[] => targets.map(target => ({ ...target, bytes: BYTES }))

const [ONCE, LEAST, EXACTLY] = [CASE.afp('at-most-once'), CASE.afp('at-least-once'), CASE.afp('exactly-once')]

/** Node to Node, 1 KiB. */
export const PEER_TARGETS: readonly Target[] = atSize([
  {
    text: 'at-most-once sends at least twice as many messages as a raw libp2p stream that writes one frame for each',
    figure: 'rate',
    of: ONCE,
    to: CASE.stream,
    wanted: ['>=', 2],
  },
  {
    text: 'at-most-once sends no fewer messages than Mosquitto QoS 0',
    figure: 'rate',
    of: ONCE,
    to: CASE.mosquitto(0),
    wanted: ['>=', 1],
  },
  {
    text: 'at-least-once with SQLite at both ends is ahead of JetStream with sync_interval: always',
    figure: 'rate',
    of: LEAST,
    to: CASE.jetStreamAlways,
    wanted: ['>', 1],
  },
  {
    text: 'at-least-once with SQLite at both ends is ahead of Mosquitto QoS 1 with persistence',
    figure: 'rate',
    of: LEAST,
    to: CASE.persistent(1),
    wanted: ['>', 1],
  },
  {
    text: 'exactly-once with SQLite at both ends is ahead of Mosquitto QoS 2 with persistence',
    figure: 'rate',
    of: EXACTLY,
    to: CASE.persistent(2),
    wanted: ['>', 1],
  },
  {
    text: 'exactly-once with SQLite at both ends is ahead of Mosquitto QoS 2 without persistence',
    figure: 'rate',
    of: EXACTLY,
    to: CASE.mosquitto(2),
    wanted: ['>', 1],
  },
  {
    text: 'an at-most-once request takes at most 1.3 times as long as there and back on a raw libp2p stream (p50)',
    figure: 'p50',
    of: ONCE,
    to: CASE.stream,
    wanted: ['<=', 1.3],
  },
  {
    text: 'an at-most-once request is faster than one of NATS (p50)',
    figure: 'p50',
    of: ONCE,
    to: CASE.nats,
    wanted: ['<', 1],
  },
])

/** Rows of the benchmark between tabs. */
export const TAB_CASE = {
  channel: 'RTCDataChannel',
  stream: 'libp2p stream',
  afp: (guarantee: string): string => `AFP ${guarantee}`,
} as const

/** Tab to tab, 1 KiB. */
export const TAB_TARGETS: readonly Target[] = atSize([
  {
    text: 'tab to tab, an at-most-once request takes at most 1.3 times as long as there and back on a libp2p stream (p50)',
    figure: 'p50',
    of: TAB_CASE.afp('at-most-once'),
    to: TAB_CASE.stream,
    wanted: ['<=', 1.3],
  },
  {
    text: 'tab to tab, at-most-once sends no fewer messages than a raw RTCDataChannel',
    figure: 'rate',
    of: TAB_CASE.afp('at-most-once'),
    to: TAB_CASE.channel,
    wanted: ['>=', 1],
  },
])

/** Steps of the chains, and ms of work of each step: reliability may cost 10% where there is any. */
export const CHAINS = [3, 5, 10] as const
export const STEP_WORK = [0, 5] as const

/** Kinds of the workloads, each with the same work. */
export const KINDS = {
  plain: 'plain TCP',
  off: 'AFP at-most-once',
  on: 'AFP at-least-once, memory',
  durable: 'AFP at-least-once, SQLite',
} as const
export type Kind = keyof typeof KINDS

/** The row of a chain. */
export const chainCase = (steps: number, work: number, kind: Kind): string =>
  `chain of ${steps}, ${work} ms of work a step, ${KINDS[kind]}`

/** Chains whose steps take time, with reliability on beside off. */
export const WORKLOAD_TARGETS: readonly Target[] = CHAINS.flatMap(steps =>
  (['on', 'durable'] as const).map(kind => ({
    text: `a chain of ${steps} steps that take 5 ms of work takes less than 10% longer with reliability on (${KINDS[kind]})`,
    figure: 'p50',
    of: chainCase(steps, 5, kind),
    to: chainCase(steps, 5, 'off'),
    wanted: ['<', 1.1] as const,
  })),
)

/** Rows of the benchmark of memory. */
export const MEMORY_CASE = {
  flat: (what: string): string => `many messages, ${what}`,
  queued: (count: number, store: string): string => `${count.toLocaleString('en')} queued, ${store}`,
} as const

/** Those to somebody whose card, and so key, is not known: they wait unsealed. */
export const TO_STRANGER = ', no card of their recipient'

/** Memory. */
export const MEMORY_TARGETS: readonly Target[] = [
  ...['at-most-once', 'at-least-once, SQLite', 'at-least-once, memory'].flatMap(what =>
    (['sender', 'recipient'] as const).map(side => ({
      text: `memory of the ${side} is flat over messages ${what}: less than 16 bytes more for each`,
      figure: `${side} slope`,
      of: MEMORY_CASE.flat(what),
      wanted: ['<', 16] as const,
    })),
  ),
  ...['memory', 'SQLite', `memory${TO_STRANGER}`, `SQLite${TO_STRANGER}`].map(store => ({
    text: `100,000 queued messages of 1 KiB cost less than 300 MiB (store: ${store})`,
    figure: 'MiB',
    of: MEMORY_CASE.queued(100_000, store),
    wanted: ['<', 300] as const,
  })),
]
