/** What a run of the hostile simulation knows: its members, what they sent, and who is against them. */

import type { Random } from '../../../src/common/random.ts'
import type { Identity } from '../../../src/identity/keys.ts'
import type { Store } from '../../../src/store/store.ts'
import type { DeliveryWorld, Node } from '../../delivery/world.ts'
import type { MortalStore } from '../mortal-store.ts'

/** How often something happened. */
export type Counters = ReturnType<typeof noCounters>

/** Nothing has happened. */
export const noCounters = () => ({
  sent: 0,
  /** Sent at most once. */
  once: 0,
  /** Of these, those that came. */
  onceHandled: 0,
  handled: 0,
  crashes: 0,
  /** Times in which a disk wrote nothing, and then all. */
  stalls: 0,
  /** Messages of which their senders said for certain that they will not be handled. */
  cancelled: 0,
  /** Bundles that were attacked on their way. */
  bundled: 0,
  /** Frames that never came, or later. */
  dropped: 0,
  heldBack: 0,
  /** By what was done to them: frames that were put in, changed or played again. */
  flipped: 0,
  replayed: 0,
  misdirected: 0,
  renumbered: 0,
  spliced: 0,
  rekeyed: 0,
  impersonated: 0,
  lostKeys: 0,
  /** By what a member said that has no say in it. */
  acks: 0,
  states: 0,
  unknown: 0,
  stolen: 0,
  namesakes: 0,
})

/** An honest machine, from crash to crash. */
export interface Member {
  readonly identity: Identity
  readonly id: string
  readonly disk: Store
  now: { readonly node: Node; readonly store: MortalStore } | undefined
}

/** A message that was to be sent. */
export interface Sent {
  /** Of its message. */
  readonly id: string
  readonly text: string
  readonly from: Member
  readonly to: readonly Member[]
  readonly priority: number
  readonly numbered: boolean
  /** Its sender was told that it is on its disk. */
  kept: boolean
  /** Its sender called it off, in vain or not. */
  calledOff: boolean
}

/** See the head of this file. */
export interface Run {
  readonly random: Random
  readonly world: DeliveryWorld
  readonly members: Member[]
  readonly sent: Sent[]
  /** By recipient and text: how often one came that is sent at most once. */
  readonly once: Map<string, number>
  readonly counters: Counters
  readonly faults: string[]
  /** Who is against them. */
  meddler: { greets(member: Member): void } | undefined
  /** Nobody is against anybody any more. */
  calm: boolean
}

/** One of a list. */
export const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random.float() * list.length)] as T

/** Where the effects of messages are kept, in their order. */
export const logKey = (author: string, priority: number): string[] => ['log', author, `${priority}`]
