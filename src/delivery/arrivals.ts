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
  /** The one that was taken although there was no room, as long as there is none. */
  #beyond: Arrived | undefined

  constructor(room: InboxRoom) {
    this.#room = room
  }

  /**
   * How many more messages are taken, were they small. One, and no other until there is room again, is taken where there is
   * none: what is held may wait for it, and who has nothing here could not send anything while others have all the room.
   * @param holding whether any of what is here waits for what is not
   */
  credit(holding: boolean): number {
    return this.room || Number((holding || this.#messages === 0) && this.#expected === 0 && this.#beyond === undefined)
  }

  /** How many more there is room for, were they small. */
  get room(): number {
    const { limits, used } = this.#room
    // Of what all share an author has no more than it leaves free: however many do so, there is as much for the next.
    if (this.#bytes >= Math.min(limits.bytes, limits.totalBytes - used)) return 0
    return Math.max(0, limits.messages - this.#messages)
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

  /** @param beyond whether there was no room for it */
  add(entry: Arrived, beyond = false): void {
    const { epoch, number, row } = entry
    if (beyond) this.#beyond = entry
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
    if (entry === this.#beyond) this.#beyond = undefined
  }

  #count(messages: number, bytes: number): void {
    this.#messages += messages
    this.#bytes += bytes
    this.#room.used += bytes
    if (this.room > 0) this.#beyond = undefined
  }
}
