/** This agent's epochs towards one recipient: which are open, which has room for more, which are over. */

import { toHex } from '../common/bytes.ts'
import type { Clock, Timer } from '../common/clock.ts'
import { earliestFirst } from '../common/earliest-first.ts'
import { statesOf } from '../feed/index.ts'
import { MAX_EARLIER } from '../security/opening.ts'
import type { Prekey } from '../security/prekeys.ts'
import { KEY_BYTES } from '../security/primitives.ts'
import type { Write } from '../store/store.ts'
import { deleteRow } from './entries.ts'
import { MAX_EPOCHS, statesFrame } from './frames.ts'
import { KEEP_ENDED } from './in-epoch.ts'
import { KeyLosses } from './key-losses.ts'
import { type Entry, isOver, type OutEpoch } from './out-epoch.ts'
import { epochKey, putOpening } from './rows.ts'

/** Epochs that are over and remembered. */
const MAX_OVER = 64
/** How long a recipient's word counts that it has lost the key that its card shows, ms: another machine may have said it. */
const LOST_FOR = 300_000
/** In place of a key that nothing is left for. */
const NO_KEY = new Uint8Array(KEY_BYTES)

/** See the head of this file. */
export class OwnEpochs {
  readonly #recipient: string
  /** Every epoch with something unsettled, oldest first, and the current one. */
  readonly #open = new Map<string, OutEpoch>()
  /** The last ones that are over: a word on them may be slow. */
  readonly #over = new Set<string>()
  #current: OutEpoch | undefined
  /** How many there were in this run. */
  #last = 0
  /** Ids of prekeys, hex, of which the recipient has said over this link that it has lost them: once, and again. */
  #doubted: string | undefined
  #lostPrekey: string | undefined
  /** Until then that is so, unless another link is open before. */
  #untilFound: Timer | undefined
  readonly #clock: Clock
  readonly #onOpenable: () => void
  readonly #losses: KeyLosses
  /** How many there were when its last loss was counted. */
  #lostOf = 0

  /** @param onOpenable one may be opened again, after a pause */
  constructor(recipient: string, clock: Clock, onOpenable: () => void) {
    this.#recipient = recipient
    this.#clock = clock
    this.#onOpenable = onOpenable
    this.#losses = new KeyLosses(clock, onOpenable)
  }

  get size(): number {
    return this.#open.size
  }

  /** Whether everything in them has its end, on the disk. */
  get settled(): boolean {
    for (const { feed } of this.#open.values()) if (!feed.settled) return false
    return true
  }

  /** Whether nobody has anything more to say of them. */
  get over(): boolean {
    for (const epoch of this.#open.values()) if (!isOver(epoch)) return false
    return true
  }

  /** Whether a number of one of them was ever given out. */
  get used(): boolean {
    for (const { feed } of this.#open.values()) if (feed.last > 0) return true
    return false
  }

  get(epoch: string): OutEpoch | undefined {
    return this.#open.get(epoch)
  }

  all(): OutEpoch[] {
    return [...this.#open.values()]
  }

  /** What has not arrived of a message. */
  find(messageId: string): Entry | undefined {
    for (const { entries } of this.#open.values()) {
      const entry = entries.ofMessage(messageId)
      if (entry !== undefined) return entry
    }
    return undefined
  }

  /** Forgets a message that waits for a last word alone; what takes its row away. Mostly it is the oldest. */
  async forget(messageId: string): Promise<Write | undefined> {
    // It is told of as soon as the disk has it: what follows from that may not be here yet.
    await this.find(messageId)?.giving?.catch(() => undefined)
    for (const epoch of this.#open.values()) {
      for (const [number, message] of epoch.messages) {
        if (message.messageId !== messageId || epoch.entries.has(number)) continue
        // What has arrived is as many as were sent, and its end is written whenever that comes.
        if (!message.awaited && !epoch.fences.has(number)) return undefined
        epoch.messages.delete(number)
        epoch.fences.delete(number)
        return deleteRow(this.#recipient, { epoch, number })
      }
    }
    return undefined
  }

  /**
   * Forgets what waits for a last word alone, given up or arrived, since so long ago that there is none; what takes the
   * rows away.
   */
  forgetOld(now: number): Write[] {
    const writes: Write[] = []
    for (const epoch of this.#open.values()) {
      for (const [number, { expiresAt }] of epoch.messages) {
        if (expiresAt + KEEP_ENDED >= now || epoch.entries.has(number)) continue
        epoch.messages.delete(number)
        epoch.fences.delete(number)
        writes.push(deleteRow(this.#recipient, { epoch, number }))
      }
    }
    return writes
  }

  /** Whether an epoch is one of these, or was not long ago. */
  knows(epoch: string): boolean {
    return this.#open.has(epoch) || this.#over.has(epoch)
  }

  /** Takes in those of earlier runs, however they come: each names the ones before it. Returns them, the oldest first. */
  load(epochs: readonly OutEpoch[]): OutEpoch[] {
    const sorted = earliestFirst(new Map(epochs.map(epoch => [epoch.id, epoch])), ({ earlier }) => earlier)
    for (const epoch of sorted.values()) this.#add(epoch)
    return [...sorted.values()]
  }

  #add(epoch: OutEpoch): void {
    epoch.order = ++this.#last
    this.#open.set(epoch.id, epoch)
  }

  /** From here on messages go into this one. */
  begin(epoch: OutEpoch): void {
    this.#current = epoch
    this.#add(epoch)
  }

  close(): void {
    this.#untilFound?.cancel()
    this.#losses.close()
  }

  /** Nothing goes into the current one any more. */
  end(): void {
    this.#current?.feed.close()
    this.#current = undefined
  }

  /**
   * Ends the current one where nothing more would go into it, or nothing has for a while and nothing is left in it. One
   * with something left goes on: openings name all of these, and there is an end to how many.
   */
  rest(now: number, shown: Prekey | undefined, quiet: boolean): void {
    if (this.usable(now, shown) === undefined || (quiet && this.#current?.feed.settled)) this.end()
  }

  /** Those that the recipient can never open, each once, since it says so to every opening: nothing goes into them. */
  lose(ids: readonly string[]): OutEpoch[] {
    const found = ids.map(id => this.#open.get(id)).filter(epoch => epoch !== undefined)
    const lost = found.filter(epoch => !epoch.lost)
    for (const epoch of lost) {
      epoch.lost = true
      // The first word on it may have crossed a card that shows another one.
      if (epoch.prekey !== undefined && epoch.prekey === this.#doubted) this.#isLost(epoch.prekey)
      this.#doubted = epoch.prekey
      this.#leave(epoch)
    }
    // However many there were, what is in them goes into a later one, and so anew no more than once for each that counts.
    if (lost.some(({ order }) => order > this.#lostOf)) {
      this.#lostOf = this.#last
      this.#losses.add()
    }
    return lost
  }

  #isLost(prekey: string): void {
    this.#lostPrekey = prekey
    this.#untilFound?.cancel()
    this.#untilFound = this.#clock.after(LOST_FOR, () => {
      this.#lostPrekey = undefined
      this.#onOpenable()
    })
  }

  #leave(epoch: OutEpoch): void {
    if (this.#current === epoch) this.#current = undefined
  }

  /** The one that messages go into, if the recipient shows no other prekey, as after a start with an empty store. */
  usable(now: number, shown: Prekey | undefined): OutEpoch | undefined {
    const epoch = this.#current
    if (epoch === undefined || epoch.notAfter <= now) return undefined
    return shown === undefined || toHex(shown.id) === epoch.prekey ? epoch : undefined
  }

  /**
   * What a new one can be opened to: nothing while more of them wait for their end than an opening and states can name,
   * and not a prekey that is lost, which the recipient's card may show for a while yet; nothing either while one waits
   * longer with each key that it loses.
   */
  openable(now: number, shown: Prekey | undefined): Prekey | undefined {
    if (shown === undefined || this.#losses.pausing || toHex(shown.id) === this.#lostPrekey) return undefined
    return this.usable(now, shown) === undefined && this.#full ? undefined : shown
  }

  get #full(): boolean {
    return this.#unsettled.length >= MAX_EPOCHS || this.earlier().length > MAX_EARLIER
  }

  /** Another link is open; who is at its other end has perhaps found what it had lost. */
  linked(): void {
    this.#untilFound?.cancel()
    this.#doubted = undefined
    this.#lostPrekey = undefined
  }

  /** Those that an opening names: all in which something has not arrived, and the last of the others as far as they fit. */
  earlier(): string[] {
    let beyond = this.#unsettled.length - MAX_EARLIER
    return this.#unsettled.flatMap(({ id, feed }) => (beyond > 0 && feed.arrived && beyond-- > 0 ? [] : [id]))
  }

  get #unsettled(): OutEpoch[] {
    return this.all().filter(({ feed }) => !feed.settled)
  }

  /** Every epoch with something unsettled, to be told: what is not in the list, the recipient waits for no longer. */
  states(): Uint8Array | undefined {
    const used = this.all().filter(({ stored, feed }) => stored && feed.last > 0)
    // The oldest: of those that are not in it, none is settled by it.
    const epochs = used.slice(0, MAX_EPOCHS)
    for (const epoch of epochs) epoch.told = epoch.feed.last
    return epochs.length === 0 ? undefined : statesFrame(statesOf(epochs.map(({ feed }) => feed)))
  }

  /** Forgets one that is over; what is to be written. */
  drop(epoch: OutEpoch): Write {
    const { id } = epoch
    this.#leave(epoch)
    this.#open.delete(id)
    this.#over.add(id)
    if (this.#over.size > MAX_OVER) this.#over.delete(this.#over.values().next().value as string)
    return this.deletion(id)
  }

  /** What takes the row of one away. */
  deletion(epoch: string): Write {
    return { op: 'delete', table: 'epochs', key: epochKey('out', this.#recipient, epoch) }
  }

  /** Takes the key of one out of its row, which stays. */
  keyless({ id, packet, notAfter }: OutEpoch): Write {
    return putOpening(this.#recipient, id, { packet, notAfter, keyBytes: NO_KEY })
  }
}
