/** Messages of one author that are on the disk and not processed, or on their way there, and how much room they take. */

import type { Arrived } from './arrived.ts'
import type { InboxRoom } from './inbox-room.ts'

/** See the head of this file. */
export class Arrivals {
  readonly #room: InboxRoom
  readonly #byEpoch = new Map<string, Map<number, Arrived>>()
  #messages = 0
  #bytes = 0
  #expected = 0

  constructor(room: InboxRoom) {
    this.#room = room
  }

  /** How many more messages there is room for, were they small. */
  get credit(): number {
    const { limits, used } = this.#room
    // Of what all share an author has no more than it leaves free: however many do so, there is as much for the next.
    if (this.#bytes >= Math.min(limits.bytes, limits.totalBytes - used)) return 0
    return Math.max(0, limits.messages - this.#messages)
  }

  /** Whether one is on its way to the disk. */
  get expecting(): boolean {
    return this.#expected > 0
  }

  /** One is on its way to the disk, until the call of what is returned; it takes up its room meanwhile. */
  expect(bytes: number): () => void {
    let count = 1
    this.#expected++
    this.#count(1, bytes)
    return () => {
      this.#expected -= count
      this.#count(-count, -count * bytes)
      count = 0
    }
  }

  get(epoch: string, number: number): Arrived | undefined {
    return this.#byEpoch.get(epoch)?.get(number)
  }

  add(entry: Arrived): void {
    const { epoch, number, row } = entry
    const arrived = this.#byEpoch.get(epoch) ?? new Map<number, Arrived>()
    this.#byEpoch.set(epoch, arrived.set(number, entry))
    this.#count(1, row.message.length)
  }

  remove({ epoch, number }: Arrived): void {
    const arrived = this.#byEpoch.get(epoch)
    const entry = arrived?.get(number)
    if (arrived === undefined || entry === undefined) return
    arrived.delete(number)
    if (arrived.size === 0) this.#byEpoch.delete(epoch)
    this.#count(-1, -entry.row.message.length)
  }

  #count(messages: number, bytes: number): void {
    this.#messages += messages
    this.#bytes += bytes
    this.#room.used += bytes
  }
}
