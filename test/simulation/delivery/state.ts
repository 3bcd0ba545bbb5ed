/** What a run of the simulation knows: its machines, what was to be sent, and what has been seen of it. */

import type { Random } from '../../../src/common/random.ts'
import { hasFailed, type MessageReceipt, type RecipientReceipt } from '../../../src/delivery/receipts.ts'
import type { Identity } from '../../../src/identity/keys.ts'
import { decode } from '../../../src/message/codec.ts'
import { contentFromWire } from '../../../src/message/content.ts'
import type { Guarantee } from '../../../src/message/message.ts'
import type { Prekey } from '../../../src/security/prekeys.ts'
import type { Key, Store } from '../../../src/store/store.ts'
import { storedReceipt } from '../../delivery/stored-receipt.ts'
import type { DeliveryWorld, Node } from '../../delivery/world.ts'
import type { LetterBook } from '../disk.ts'
import type { MortalStore, Refusals } from '../mortal-store.ts'

/** How often something happened in a run. */
export type Counters = ReturnType<typeof noCounters>

/** Nothing has happened. */
export const noCounters = () => ({
  sent: 0,
  /** Sent with a short time to live. */
  hurried: 0,
  /** Sent to two or three recipients. */
  several: 0,
  requests: 0,
  /** Nothing of it was taken: there was no room, or its agent closed. */
  thrown: 0,
  /** Taken for some of its recipients only. */
  partly: 0,
  cuts: 0,
  /** Commits that a disk refused, and times in which it refused all that it was given, or all of one kind. */
  refused: 0,
  outages: 0,
  /** Times in which a disk wrote nothing, and then all. */
  stalls: 0,
  crashes: 0,
  /** In the middle of reading or writing something. */
  crashesWriting: 0,
  crashesOpening: 0,
  crashesClosing: 0,
  closed: 0,
  lostKeys: 0,
  lostDisks: 0,
  /** Effects on disks at the end, replies not counted. */
  handled: 0,
  replies: 0,
  /** Messages that their senders called off for certain, and all that they called off. */
  cancelled: 0,
  cancels: 0,
  /** Dead letters of either side at the end that nobody has retried. */
  expired: 0,
  exhausted: 0,
  failed: 0,
  rejected: 0,
  /** Handlers that failed for good, and messages of which one did and another, after a crash, did not. */
  failedForGood: 0,
  unlike: 0,
  /** Ends without room for their letters, of either side; those that were found owed at a start; those that were written. */
  owedToSenders: 0,
  owedToRecipients: 0,
  owedAtStart: 0,
  paid: 0,
  /** Letters that somebody put away, and processed ones that gave way to others or were purged. */
  putAway: 0,
  gaveWay: 0,
  /** Retries of dead letters of either side that sent or handled their message again. */
  sentAgain: 0,
  handledAgain: 0,
  /** Those of them that nobody asked for but a policy. */
  sentByPolicy: 0,
  handledByPolicy: 0,
  /** Retries that found the message delivered, that could not know yet, that failed, that a crash cut off. */
  foundDelivered: 0,
  waiting: 0,
  retriesFailed: 0,
  retriesCutOff: 0,
})

/** What happened in a run. */
export interface Outcome {
  readonly counters: Readonly<Counters>
  /** What should not have happened. */
  readonly faults: readonly string[]
  /** Of every row on every disk at the end. */
  readonly digest: string
}

/** A machine, from crash to crash. */
export interface Life {
  readonly identity: Identity
  readonly id: string
  disk: Store
  /** What that has, and had, of dead letters. */
  book: LetterBook
  /** The most of them that each side may have in the run that is on; undefined: as many as there will ever be. */
  letterRoom: number | undefined
  /** Whether the run that is on has little room for what it sends. */
  small: boolean
  /** Until then its disk wrote nothing, by the monotonic clock. */
  stalledUntil: number
  /** Ids of letters that somebody has put away, or tried to. */
  readonly putAway: Set<string>
  /** How often it has lost its keys, and its disk. */
  lostKeys: number
  lostDisks: number
  /** The newest cards of others that it has seen. */
  cards: Map<string, SeenCard>
  /** The run that is on; undefined while it has no power. */
  now: { readonly node: Node; readonly store: MortalStore } | undefined
}

/** What a machine has seen of the card of another. */
export interface SeenCard {
  readonly prekey: Prekey | undefined
  /** How often the other had lost its keys before. */
  readonly losses: number
}

/** A message and one of its recipients. */
export interface Way {
  readonly to: Life
  /** Disks that its recipient had lost before it was sent. */
  readonly disk: number
  /** There was no room for it: maybe none to write that either, or its letter, before the run that sent it is over. */
  unsaid: boolean
  /** Its sender said that it will not be handled. */
  over: boolean
  /** Its sender has called it off, in vain or not: where its recipient would not have it, it has no letter. */
  calledOff: boolean
  /** Its dead letter was tried again at its recipient, with success. */
  handledAgain: boolean
  /** The run of its recipient in which its handler failed for good. */
  failedIn: MortalStore | undefined
  /** Its recipient has written, on the disk that it has, that it was not handled and will not be. */
  ended: boolean
  /** It went under a new number, or its recipient lost what tells its place: order is not promised. */
  loose: boolean
  /** What its recipient had of it went with a disk. */
  lost: boolean
}

/** A message that was to be sent. */
export interface Sent {
  readonly id: string
  readonly text: string
  readonly kind: 'message' | 'request'
  readonly guarantee: Guarantee
  readonly priority: number
  readonly from: Life
  /** The run that sent it. */
  readonly node: Node
  /** Disks that its sender had lost before. */
  readonly disk: number
  readonly ways: ReadonlyMap<string, Way>
  state: 'asked' | 'kept' | 'thrown'
}

/** See the head of this file. */
export interface Run {
  readonly seed: number
  readonly random: Random
  readonly world: DeliveryWorld
  readonly lives: Life[]
  readonly sent: Sent[]
  /** By its message's id. */
  readonly byId: Map<string, Sent>
  readonly counters: Counters
  readonly faults: string[]
  /** What disks refuse; undefined in runs in which they refuse nothing. */
  readonly refusals: Refusals | undefined
  /** By their ids, what replies are to. */
  readonly replies: Map<string, string>
  /** Ids of letters that somebody, and not a policy, retries. */
  readonly byHand: Set<string>
  /** What was begun and has to come to an end, and the run of a machine in which it was. */
  readonly begun: Map<symbol, { readonly what: string; readonly node: Node }>
  /** Nothing fails any more. */
  calm: boolean
  /** There is room for all letters, in runs of machines that begin from now on. */
  roomy: boolean
}

/** One of a list. */
export const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random.float() * list.length)] as T

/** Whether it is a run in which there is little room for what comes. */
export const hasSmallInbox = ({ seed }: Pick<Run, 'seed'>): boolean => seed % 4 === 0

/** Notes what has to come to an end, unless its machine loses its power. */
export function begin({ begun, faults }: Run, what: string, node: Node, work: Promise<unknown>): void {
  const it = Symbol()
  begun.set(it, { what, node })
  const over = (): unknown => begun.delete(it)
  work.then(over, over).catch(error => faults.push(`${what}: ${error}`))
}

/** Its power goes. */
export function crash(run: Run, life: Life): void {
  run.counters.crashes++
  life.now?.store.die()
  life.now?.node.crash()
  life.now = undefined
}

/** How often a machine has lost what its card shows. */
export const lossesOf = ({ lostKeys, lostDisks }: Life): number => lostKeys + lostDisks

/** Whether its sender still has the disk that it was sent from. */
export const isKnown = ({ disk, from }: Sent): boolean => disk === from.lostDisks

/** The receipt of a message as its sender would read it now, if it had power for that. */
export const receiptOf = async ({ id, from }: Sent): Promise<MessageReceipt | undefined> =>
  from.now?.node.tracker.tracking(id)?.receipt ?? storedReceipt(from.disk, id)

/** Whether its sender says that it is not, and will not be, handled. */
export const isOver = (receipt: RecipientReceipt): boolean => hasFailed(receipt) && !receipt.inDoubt

/** Where the effects of messages are kept: in their order, by author and class. */
export const logKey = (author: string, priority: number): string[] => ['log', author, `${priority}`]
/** Where those of requests and replies are counted: nothing orders them. */
/** Of an effect that is written without a look at those before it: its disk puts in when it was written. */
export const effectKey = (author: string, priority: number, text: string, time: number): Key => [
  'effect',
  author,
  `${priority}`,
  text,
  time,
]

export const countKey = (kind: string, author: string, text: string): string[] => ['count', kind, author, text]
/** How many effects count themselves, of all authors and classes. */
export const TOTAL = ['total']
/** Whether an effect counts itself. */
export const isCounted = (text: string): boolean => text.includes('+')

/** Whether its recipient may refuse a message, now and at a later time. */
export const isDoubtful = (text: string): boolean => text.includes('?')

/** A value that a handler has put. */
export const readValue = (value: Uint8Array): unknown => contentFromWire(decode(value), 2 ** 20)

/** What the messages of one author and class have done, in their order. */
export interface Log {
  readonly author: string
  readonly priority: number
  readonly texts: readonly string[]
}

/** The logs on a disk, by their keys: each in a row of its own, or in rows that say when they were written. */
export async function logsOn(disk: Store): Promise<readonly Log[]> {
  const [whole, single] = await Promise.all(['log', 'effect'].map(kind => disk.range('app', { prefix: [kind] })))
  const of = ([, author, priority]: Key) => ({ author: String(author), priority: Number(priority) })
  const logs = (whole ?? []).map(({ key, value }): Log => ({ ...of(key), texts: readValue(value) as string[] }))
  const written = (single ?? []).map(({ key, value }) => ({ key, at: readValue(value) as number }))
  const sorted = written.toSorted((a, b) => a.at - b.at).map(({ key }) => key)
  for (const keys of Map.groupBy(sorted, ([, author, priority]) => `${author} ${priority}`).values())
    logs.push({ ...of(keys[0] as Key), texts: keys.map(key => String(key[3])) })
  return logs
}

/** How often each message has had its effect on a disk. */
export async function effectsOn(disk: Store): Promise<(kind: string, author: string, text: string) => number> {
  const effects = new Map<string, number>()
  const name = (...parts: string[]): string => parts.join(' ')
  for (const { author, texts } of await logsOn(disk)) {
    for (const text of texts) {
      const at = name('message', author, text)
      effects.set(at, (effects.get(at) ?? 0) + 1)
    }
  }
  for (const { key, value } of await disk.range('app', { prefix: ['count'] })) {
    effects.set(name(...key.slice(1).map(String)), readValue(value) as number)
  }
  return (...of) => effects.get(name(...of)) ?? 0
}
