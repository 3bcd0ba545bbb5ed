/** What a run of the simulation of meshes knows: its machines and relays, what was sent, and what was seen of it. */

import type { Agent } from '../../../src/agent/agent.ts'
import type { Random } from '../../../src/common/random.ts'
import type { Identity } from '../../../src/identity/keys.ts'
import type { Guarantee } from '../../../src/message/message.ts'
import type { MemoryCarrier, MemoryNet } from '../../../src/network/memory.ts'
import type { Store } from '../../../src/store/store.ts'
import type { LetterBook } from '../disk.ts'
import type { MortalStore, Refusals } from '../mortal-store.ts'
import type { MachineClock, MeshClock } from './clock.ts'
import type { FileDisk, Files } from './file-disk.ts'
import type { History } from './history.ts'
import type { Snapshot } from './snapshot.ts'

export const MESH = 'simulated'
export const TOPIC = 'news'

/** How often something happened. */
export type Counters = ReturnType<typeof noCounters>

/** Nothing has happened. */
export const noCounters = () => ({
  /** What was sent: in all, by kind, and with what. */
  sent: 0,
  atLeastOnce: 0,
  exactlyOnce: 0,
  atMostOnce: 0,
  requests: 0,
  several: 0,
  published: 0,
  broadcast: 0,
  hurried: 0,
  ownRetry: 0,
  byHandlers: 0,
  refusedToSend: 0,
  /** What became of it. */
  handled: 0,
  handledOnce: 0,
  /** Runs of handlers that write without a look at what is there. */
  blindEffects: 0,
  heard: 0,
  replies: 0,
  expired: 0,
  cancelled: 0,
  exhausted: 0,
  failedForGood: 0,
  handlerFailures: 0,
  redelivered: 0,
  late: 0,
  letters: 0,
  retriedByHand: 0,
  retriedByPolicy: 0,
  foundDelivered: 0,
  /** Requests when nothing fails any more: each has its reply. */
  askedLast: 0,
  /** Messages to one recipient that need no excuse, and those whose order is promised. */
  judged: 0,
  inOrder: 0,
  /** Of messages whose acknowledgement was cut off until their time was over. */
  retriedAfterLostAcks: 0,
  /** The network. */
  partitions: 0,
  oneWayCuts: 0,
  kills: 0,
  lost: 0,
  duplicated: 0,
  reordered: 0,
  relayed: 0,
  relayCrashes: 0,
  corrupted: 0,
  corruptedGossip: 0,
  corruptedLinks: 0,
  refusedFrames: 0,
  /** Messages of a clock that is too far ahead of their recipient's. */
  refusedTooEarly: 0,
  /** Machines. */
  boots: 0,
  bootsInBackoff: 0,
  bootsFailed: 0,
  crashes: 0,
  crashesWriting: 0,
  crashesAtAwait: 0,
  closed: 0,
  crashesClosing: 0,
  jumps: 0,
  neverReturned: 0,
  /** Disks. */
  refusedWrites: 0,
  outages: 0,
  stalls: 0,
  /** Power cuts with something under way to a disk; of what was, some is lost, some only, or a later one before an earlier. */
  torn: 0,
  tornLost: 0,
  tornInParts: 0,
  tornReordered: 0,
  /** What was under way and is there, though nobody was told. */
  landedUnheard: 0,
  /** Power cuts in the middle of what SQLite writes; what it wrote was there as a whole. */
  filesTorn: 0,
  filesTornWhole: 0,
  lostKeys: 0,
  lostDisks: 0,
  rolledBack: 0,
  clones: 0,
  clonesNoticed: 0,
  rollbacksTold: 0,
  /** Cryptography. */
  seals: 0,
  realCrypto: 0,
  /** Disks that were looked at when everything on them was long over. */
  aged: 0,
})

/** What happened in a run. */
export interface Outcome {
  readonly counters: Readonly<Counters>
  /** What should not have happened: each begins with its category. */
  readonly faults: readonly string[]
  /** Of its history. */
  readonly digest: string
}

/** What may be found wrong. */
export type Category = 'lost' | 'duplicated effect' | 'order' | 'phantom' | 'stuck' | 'leaked' | 'nonce' | 'error'

/** A machine from one start to its end. */
export interface Boot {
  readonly number: number
  readonly clock: MachineClock
  readonly store: MortalStore
  readonly carrier: MemoryCarrier
  agent: Agent | undefined
  state: 'booting' | 'up' | 'closing' | 'dead'
  /** Ids of messages on which a handler has started in it, and of topics that were heard. */
  readonly begun: Set<string>
  /** Ids of letters that somebody, and not a policy, retries. */
  readonly byHand: Set<string>
  /** Which part of its handlers fails, 0 to 1. */
  readonly failing: number
}

/** A machine and its disk, whatever becomes of them. */
export interface Machine {
  readonly name: string
  readonly identity: Identity
  readonly id: string
  readonly place: string
  /** Whether others can dial it directly. */
  readonly listens: boolean
  /** It goes down once, and for good. */
  readonly doomed: boolean
  /** A copy of another one, which is to be noticed. */
  readonly original: Machine | undefined
  /** How many messages had been sent when it was made. */
  readonly copiedAt: number
  /** What was processed by then, as its sender knew. */
  readonly settledBefore: ReadonlySet<Way>
  disk: Store
  book: LetterBook
  /** Its disk in files, in runs that have some; it was that of an earlier disk where that was changed since. */
  file: FileDisk | undefined
  /** Ids of messages that are on its disk, or were, as having arrived. */
  arrived: Set<string>
  /** An earlier state of it. */
  snapshot:
    | { readonly rows: Snapshot; readonly arrived: ReadonlySet<string>; readonly accepted: ReadonlySet<string> }
    | undefined
  /** How often what it keeps was lost, set back, or was two machines'. */
  generation: number
  /** How often what tells its place to others was lost: its keys, or all. */
  losses: number
  boots: number
  gone: boolean
  /** How far its wall clock is ahead, ms, and the most that it ever was, at least 0. */
  skew: number
  mostSkew: number
  /** It has lost what it kept, or may not have written it, and shown no card since: until then nobody sets its clock back. */
  unshown: boolean
  now: Boot | undefined
}

export interface Relay {
  readonly name: string
  readonly id: string
  readonly address: string
  carrier: MemoryCarrier | undefined
  /** Which part of what it forwards it changes, 0 to 1. */
  corrupts: number
}

/** A message and one of its recipients. */
export interface Way {
  readonly to: Machine
  /** Of its recipient, when it was sent. */
  readonly generation: number
  /** Its sender has called it off, in vain or not. */
  calledOff: boolean
  /** Its sender was told that it will not be handled. */
  over: boolean
  /** Its sender was told that it was handled. */
  processed: boolean
  /** `send` has told that it is not kept for this recipient. */
  unkept: boolean
  /** A letter of it was retried: at its sender, or at its recipient with success. */
  sentAgain: boolean
  handledAgain: boolean
  /** It waited on a copy of its sender's disk, to be given a number of its own. */
  mayGoTwice: boolean
  /** It waited on a copy of its sender's disk. */
  copied: boolean
  /** It went under a new number, or its recipient lost what tells its place: order is not promised. */
  loose: boolean
  /** Why it need not arrive. */
  excused: string | undefined
  /** Its acknowledgement was cut off. */
  unheard: boolean
}

/** What was to be sent. */
export interface Sent {
  readonly id: string
  readonly text: string
  readonly kind: 'message' | 'request' | 'once' | 'topic' | 'broadcast'
  readonly guarantee: Guarantee
  readonly priority: number
  readonly content: string
  /** Seconds; undefined: an hour. */
  readonly ttl: number | undefined
  /** By the clock of its sender, ms since 1970. */
  readonly expiresAt: number
  readonly ownRetry: boolean
  readonly from: Machine
  readonly boot: Boot
  /** Of its sender, when it was sent. */
  readonly generation: number
  readonly ways: ReadonlyMap<string, Way>
  /** By a handler, which may run again: nothing tells an order. */
  readonly byHandler: boolean
  state: 'asked' | 'accepted' | 'refused' | 'replied' | 'not replied'
  /** It is not on its sender's disk any more, which was lost or set back, or was its copy's. */
  forgotten: boolean
  /** Its sender was two machines while it was on its way: what one said of it the other does not know. */
  ofTwo: boolean
}

/** See the head of this file. */
export interface Run {
  readonly seed: number
  readonly random: Random
  readonly clock: MeshClock
  readonly net: MemoryNet
  readonly history: History
  readonly machines: Machine[]
  readonly relays: readonly Relay[]
  readonly sent: Sent[]
  readonly byText: Map<string, Sent>
  readonly byId: Map<string, Sent>
  readonly counters: Counters
  readonly faults: string[]
  /** Where disks have their files; undefined in runs in which they are in memory alone. */
  readonly files: Files | undefined
  /** Whether handlers do not look at what was written before: reads alone would keep their effects in order. */
  readonly blind: boolean
  /** How many of such effects were written. */
  written: number
  /** Disks in files that no machine has any more. */
  readonly over: FileDisk[]
  /** The furthest that a wall clock is set ahead or back, ms. */
  readonly furthest: number
  /** What disks refuse; undefined in runs in which they refuse nothing. */
  readonly refusals: Refusals | undefined
  /** By the run of an agent that its card names, how often that had lost its keys. */
  readonly lossesAt: Map<string, number>
  /** What was begun and has to come to an end, and the run of a machine in which it was. */
  readonly begun: Map<symbol, { readonly what: string; readonly boot: Boot }>
  /** Nothing fails any more. */
  calm: boolean
}

/** Notes a fault. */
export function fault({ faults, history }: Run, category: Category, what: string): void {
  faults.push(`${category}: ${what}`)
  history.add('checker', 'fault', { category, fault: what })
}

/** Notes what has to come to an end, unless its machine loses its power. */
export function begin(run: Run, what: string, boot: Boot, work: Promise<unknown>): void {
  const it = Symbol()
  run.begun.set(it, { what, boot })
  const over = (): unknown => run.begun.delete(it)
  work.then(over, over)
}

/** Whether the sender still has what it sent it from. */
export const isKnown = ({ generation, from }: Sent): boolean => generation === from.generation
