/**
 * Messages of one author that are on the disk and not processed, or wait for room for their dead letters, or are on their
 * way there, and how much room they take.
 */

import type { Arrived } from './arrived.ts'
import type { InboxRoom, RoomWaiter } from './inbox-room.ts'

/** See the head of this file. */
export class Arrivals implements RoomWaiter {
  readonly tell: () => void
  readonly #room: InboxRoom
  readonly #byEpoch = new Map<string, Map<number, Arrived>>()
  #messages = 0
  #bytes = 0
  #expected = 0
  /** The one that was taken although there was no room, as long as there is none. */
  #beyond: Arrived | undefined

  /** @param tell lets their author know how many more there is room for */
  constructor(room: InboxRoom, tell: () => void) {
    this.#room = room
    this.tell = tell
  }

  /**
   * How many more messages are taken, were they small. One, and no other until there is room again, is taken where there is
   * none: what is held may wait for it, and who has nothing here could not send anything while others have all the room.
   * Whoever is told that there is no room hears of it once there is.
   * @param holding whether any of what is here waits for what is not
   */
  credit(holding: boolean): number {
    const { room } = this
    this.#room.told(this, room > 0)
    return room || Number((holding || this.#messages === 0) && this.#expected === 0 && this.#beyond === undefined)
  }

  /** Nobody is to hear of room any more. */
  leave(): void {
    this.#room.told(this, true)
  }

  all(): Arrived[] {
    return [...this.#byEpoch.values()].flatMap(arrived => [...arrived.values()])
  }

  /** How many more there is room for, were they small. */
  get room(): number {
    return this.#roomWithout(0, 0)
  }

  #roomWithout(messages: number, bytes: number): number {
    const { limits, used } = this.#room
    // Of what all share an author has no more than it leaves free: however many do so, there is as much for the next.
    if (this.#bytes - bytes >= Math.min(limits.bytes, limits.totalBytes - used + bytes)) return 0
    return Math.max(0, limits.messages - this.#messages + messages)
  }

  /**
   * All that earlier runs left is here, and this of it is handed on: another restart makes no room for another one. What
   * came last did so while the others were here; if they leave no room for it, it is the one that was taken without. What
   * is held is not: only what others wait for is taken so.
   */
  resumed(handed: readonly Arrived[]): void {
    let latest = 0
    for (const arrived of this.#byEpoch.values())
      for (const { row } of arrived.values()) latest = Math.max(latest, row.receivedAt)
    const last = handed.findLast(({ row }) => row.receivedAt === latest)
    if (last !== undefined && this.#roomWithout(1, last.row.message.length) === 0) this.#beyond = last
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
    this.#room.count(bytes)
    if (this.room > 0) this.#beyond = undefined
  }
}
