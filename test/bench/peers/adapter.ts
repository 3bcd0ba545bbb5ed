/** How a peer is reached from both of its ends, each in a process of its own. */

import type { Flow, SendWindow } from '../flow.ts'

/** What both ends of a peer are told. */
export interface Place {
  /** The id of the peer in `peers.ts`. */
  readonly peer: string
  /** A folder of this pair's own, on the disk on which the servers keep theirs. */
  readonly folder: string
  /** Of its server, where it has one. */
  readonly port?: number
}

/** The end that takes messages. */
export interface Receiving {
  /** What the other end is told of it. */
  readonly address: unknown
  /** Counts anew, for a window of so many. */
  begin(window: number): void
  /** Resolves when nothing is left here of what came and was processed. */
  settled?(): Promise<void>
}

/** As what messages are queued for somebody whose card, and so key, is not known. */
export const STRANGER = 'stranger'

/** The end that sends them. */
export interface Sending {
  flow(mode: string): Flow
  /** The other end is about to be taken away: that it goes is no fault. */
  left?(): void
  /** Sends one that has to be kept; resolves when it is, whether or not anybody takes it. */
  queue?(content: Uint8Array, mode: string): Promise<unknown>
  /** Ends it, and leaves what it keeps. */
  close?(): Promise<void>
}

/** Both ends of a kind of peer; each runs in a process of its own. */
export interface Adapter {
  receive(place: Place, arrived: () => void): Promise<Receiving>
  send(place: Place, address: unknown, window: SendWindow): Promise<Sending>
  /** Opens what an earlier sender has kept; resolves when it would send again. */
  open?(place: Place): Promise<void>
}
