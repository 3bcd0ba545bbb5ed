/** Those that this agent writes to: what there is for each of them, as long as it is worth remembering. */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpDataStoreError } from '../common/errors.ts'
import { Slices } from '../common/slices.ts'
import type { Write } from '../store/store.ts'
import type { CircuitBreakers } from './breakers.ts'
import type { Fate } from './ledger.ts'
import type { OutgoingRemains, OutRow } from './loading.ts'
import { nextTry } from './next-try.ts'
import type { OutboxQuota } from './outbox-quota.ts'
import { Outgoing } from './outgoing.ts'
import type { OutgoingParts } from './outgoing-parts.ts'
import { Recorder } from './recorder.ts'
import { epochKey, outboxKey } from './rows.ts'

/** Recipients that are held before those give way for which nothing waits. */
const MAX_RECIPIENTS = 1_024
/**
 * How long nothing was sent to one that gives way, ms. What is sent to it later is in another epoch: each costs a
 * recipient a place among the settled ones that it remembers, 16,384 in 30 days, one in 158 s.
 */
const IDLE = 300_000
/** How often it is looked for those that may give way while there are too many, ms. */
const SWEEP_PAUSE = 60_000

/**
 * How long nothing was sent when an epoch ends in which nothing is left, and its key with it, ms. The next one costs an
 * opening, and the recipient a place among the settled ones as above.
 */
const QUIET = 3_600_000

/** What they are made of. */
export interface RecipientsParts extends Omit<OutgoingParts, 'breaker' | 'quota'> {
  readonly quota: OutboxQuota
  readonly clock: Clock
  readonly breakers: CircuitBreakers
}

interface Held {
  readonly outgoing: Outgoing
  /** When it was last asked for to send something, by the monotonic clock. */
  usedAt: number
}

/** See the head of this file. */
export class Recipients {
  readonly #parts: RecipientsParts
  /** The one that nothing was sent to for longest first. */
  readonly #held = new Map<string, Held>()
  #timer: Timer | undefined
  readonly #closing = new AbortController()

  constructor(parts: RecipientsParts) {
    this.#parts = parts
  }

  /** How many are held. */
  get size(): number {
    return this.#held.size
  }

  /** The author's side towards a recipient, if there is one. */
  get(recipient: string): Outgoing | undefined {
    return this.#held.get(recipient)?.outgoing
  }

  all(): Outgoing[] {
    return [...this.#held.values()].map(({ outgoing }) => outgoing)
  }

  /** The author's side towards a recipient, to send something at once: it may be another one the next time. */
  to(recipient: string): Outgoing {
    const { clock, lines } = this.#parts
    const known = this.#held.get(recipient)
    const held = known ?? { outgoing: this.#make(recipient), usedAt: 0 }
    held.usedAt = clock.monotonic()
    this.#held.delete(recipient)
    this.#held.set(recipient, held)
    if (known === undefined && lines.isOpen(recipient)) held.outgoing.linked()
    this.#arm()
    return held.outgoing
  }

  /** Takes in what was on the disk. {@link resume} follows. */
  async load(remains: ReadonlyMap<string, OutgoingRemains>): Promise<void> {
    const { quota, clock, nextTask } = this.#parts
    const slices = new Slices(nextTask)
    for (const [recipient, left] of remains) {
      const { epochs, waiting, owed, unreadable, forgotten } = left
      if (unreadable.length > 0) this.#giveUp(recipient, unreadable)
      // The last one of an earlier run was open until that ended, and stayed with nothing in it.
      const [over, kept] = [epochs.filter(({ feed }) => feed.done), epochs.filter(({ feed }) => !feed.done)]
      const gone = over.map(({ id }): Write => ({ op: 'delete', table: 'epochs', key: epochKey('out', recipient, id) }))
      gone.push(...deletions(recipient, forgotten))
      if (gone.length > 0) void this.#delete(gone)
      if (kept.length + waiting.length + owed.length > 0) {
        const share = quota.share()
        for (const { entries } of kept) for (const { bytes, awaited } of entries.values()) share.keep(bytes, awaited)
        for (const { row, bytes } of waiting) share.keep(bytes, row.awaited)
        const outgoing = this.#make(recipient, share)
        this.#held.set(recipient, { outgoing, usedAt: clock.monotonic() })
        await outgoing.load({ ...left, epochs: kept })
      }
      if (slices.did()) await slices.pause()
    }
  }

  /** Until the disk has it: in this run nobody else knows of these rows. */
  async #delete(writes: readonly Write[]): Promise<void> {
    const { store } = this.#parts
    while (!this.#closing.signal.aborted) {
      try {
        return await store.commit({ writes })
      } catch (error) {
        await nextTry(this.#parts, error, this.#closing.signal)
      }
    }
  }

  /** Goes on with what was loaded, once everything else is. */
  async resume(): Promise<void> {
    const slices = new Slices(this.#parts.nextTask)
    for (const outgoing of this.all()) {
      outgoing.resume()
      if (slices.did()) await slices.pause()
    }
    this.#arm()
  }

  /**
   * Forgets what nobody has a word on any more, ends what nothing was sent in for a while, and deletes keys that open
   * nothing any more; now and then.
   */
  async tidy(): Promise<void> {
    const { clock, nextTask, onError } = this.#parts
    const slices = new Slices(nextTask)
    for (const { outgoing, usedAt } of [...this.#held.values()]) {
      if (this.#closing.signal.aborted) return
      // What is not written now is the next time, or by the next run.
      await outgoing.ends.tidy(usedAt + QUIET <= clock.monotonic()).catch(onError)
      if (slices.did()) await slices.pause()
    }
  }

  close(): void {
    this.#closing.abort()
    this.#timer?.cancel()
    for (const { outgoing } of this.#held.values()) outgoing.close()
  }

  /** Their receipts say what became of them; there is nothing that a dead letter could keep. */
  #giveUp(recipient: string, rows: readonly OutRow[]): void {
    const { onError } = this.#parts
    const ids = rows.map(({ row }) => row.messageId)
    const details = { recipient, messages: ids }
    onError(
      new AfpDataStoreError('STORE_FAILED', `the keys of ${ids.length} messages are not in the store`, { details }),
    )
    const open = rows.filter(({ row }) => row.fence === undefined)
    const fates = open.map(({ epoch, number, row: { messageId, retry } }): Fate => {
      const position = { messageId, recipient, epoch, number }
      return { ...position, status: 'dead', reason: 'no-key', inDoubt: true, attempts: retry.attempts }
    })
    new Recorder(this.#parts).record(fates, deletions(recipient, rows)).catch(onError)
  }

  #make(recipient: string, quota = this.#parts.quota.share()): Outgoing {
    const { breakers } = this.#parts
    return new Outgoing({ ...this.#parts, quota, breaker: agent => breakers.borrow(agent) }, recipient)
  }

  #arm(): void {
    if (this.#closing.signal.aborted || this.#timer !== undefined || this.#held.size <= MAX_RECIPIENTS) return
    this.#timer = this.#parts.clock.after(SWEEP_PAUSE, () => {
      this.#sweep()
        .catch(this.#parts.onError)
        .finally(() => {
          this.#timer = undefined
          this.#arm()
        })
    })
  }

  async #sweep(): Promise<void> {
    const { clock, nextTask } = this.#parts
    const slices = new Slices(nextTask)
    for (const [recipient, held] of [...this.#held]) {
      if (this.#closing.signal.aborted || this.#held.size <= MAX_RECIPIENTS || held.usedAt + IDLE > clock.monotonic())
        return
      await this.#letGo(recipient, held)
      if (slices.did()) await slices.pause()
    }
  }

  /**
   * Lets go of one that nothing is known of but what is over. A late word on one of its epochs is one on an epoch that
   * this agent does not have, which is refused and counted. Nothing is lost with that: everything in them has its end,
   * on the disk, and no word changes an end.
   */
  async #letGo(recipient: string, held: Held): Promise<void> {
    const { outgoing } = held
    const { breakers, lines } = this.#parts
    const mayGo = (): boolean => outgoing.idle && !lines.isOpen(recipient)
    if (!mayGo()) return
    await outgoing.ends.retire()
    // Something may have been sent while the disk was at work: that has opened another epoch, or waits for one.
    if (!mayGo() || !outgoing.blank || this.#closing.signal.aborted) return
    this.#held.delete(recipient)
    outgoing.close()
    breakers.giveBack(recipient)
  }
}

const deletions = (recipient: string, rows: readonly OutRow[]): Write[] =>
  rows.map(({ epoch, number }) => ({ op: 'delete', table: 'outbox', key: outboxKey(recipient, epoch, number) }))
