/**
 * The recipient's side towards one author: from frames to messages on the disk, each once, handed on in order; and what
 * the author is told of them. Nothing is acknowledged before it is on the disk.
 */

import { AfpSecurityError } from '../common/errors.ts'
import { Epochs, type FeedState, type Handed, type Position, type SettledEpoch } from '../feed/index.ts'
import { readOpening } from '../security/opening.ts'
import type { Check, Write } from '../store/store.ts'
import { Arrivals } from './arrivals.ts'
import { type Arrived, arrivedAs, type EnvelopeRefusal, type IncomingParts, positionOf } from './arrived.ts'
import { EnvelopeReader, refusalOf, rejectionOf, untimely } from './envelope-reader.ts'
import { EpochRows } from './epoch-rows.ts'
import { type Envelope, type EnvelopeHeader, readEnvelope } from './frames.ts'
import { Held } from './held.ts'
import { fingerprintOf, InEpoch, InEpochs, type KeptEpoch } from './in-epoch.ts'
import { type Lack, lacksOf } from './patience.ts'
import { NEVER_TRIED } from './retry.ts'
import { type InboxOwes, type InboxRow, inboxKey, putInbox } from './rows.ts'
import { UnnumberedReader } from './unnumbered-reader.ts'

/** See the head of this file. */
export class Incoming {
  readonly author: string
  readonly #parts: IncomingParts
  readonly #reader: EnvelopeReader
  readonly #epochs = new Epochs()
  readonly #keys: InEpochs
  readonly #rows: EpochRows
  /** Delivered and not processed, by epoch and number. */
  readonly #arrived: Arrivals
  /** Those of them that were not handed on. */
  readonly #held: Held<Arrived>
  /** Openings that are being read: envelopes and states behind them wait. */
  #reading: Promise<void> | undefined
  /** Envelopes that are being looked at. */
  #working = 0
  readonly #once: UnnumberedReader

  constructor(parts: IncomingParts, author: string) {
    this.#parts = parts
    this.author = author
    this.#keys = new InEpochs(parts.readable)
    this.#rows = new EpochRows({ ...parts, author, epochs: this.#epochs, keys: this.#keys })
    this.#arrived = new Arrivals(parts.room, () => parts.answers.again())
    this.#held = new Held(parts)
    this.#reader = new EnvelopeReader({ ...parts, self: parts.identity.id, author })
    this.#once = new UnnumberedReader({ ...parts, author, reader: this.#reader })
  }

  /** How many more messages are taken. */
  get credit(): number {
    return this.#arrived.credit(this.#epochs.holding)
  }

  /** Lets go of what nobody would miss: openings and states, which its author says again. True: nothing else is held. */
  forget(): boolean {
    if (this.#working > 0 || this.#reading !== undefined) return false
    const dropped = this.#keys.all().filter(({ id, untouched }) => untouched && this.#epochs.drop(id))
    void this.#rows.shrink(dropped.map(({ id }) => id))
    if (!this.#epochs.empty || this.#arrived.all().length > 0) return false
    this.#arrived.leave()
    return true
  }

  /** What the author is to be told of an epoch; undefined for one that is not known. */
  ack(epoch: string): ReturnType<Epochs['ack']> {
    return this.#epochs.ack(epoch)
  }

  /** Takes in what was on the disk: epochs first, with their rows. {@link resume} follows. */
  async load(
    epochs: readonly KeptEpoch[],
    settled: readonly SettledEpoch[],
    arrived: readonly Arrived[],
  ): Promise<void> {
    for (const entry of settled) this.#epochs.restoreSettled(entry)
    for (const entry of arrived) if (entry.row.owes) this.#arrived.add(entry)
    const byEpoch = Map.groupBy(arrived, ({ epoch, row }) => (row.owes ? undefined : epoch))
    for (const { id, key, notAfter, earlier, snapshot } of epochs) {
      const mine = byEpoch.get(id) ?? []
      this.#rows.restore(id, snapshot, mine.map(positionOf))
      for (const entry of mine) {
        this.#arrived.add(entry)
        this.#held.add(entry)
      }
      this.#keys.add(await InEpoch.open({ id, key, notAfter, earlier }, true))
    }
  }

  /** Hands on what may be of that, once what is there of all authors is here; returns what owes its dead letter. */
  resume(): readonly Arrived[] {
    const owed = this.#arrived.all().filter(({ row }) => row.owes !== undefined)
    this.#arrived.resumed([...owed, ...this.#release(this.#epochs.resume())])
    return owed
  }

  /** An opening came. Resolves when it was looked at; envelopes that follow wait for that. */
  opening(packet: Uint8Array): Promise<void> {
    const before = this.#reading
    const reading = (async () => {
      await before
      await this.#open(packet)
    })()
    this.#reading = reading
    return reading.finally(() => {
      if (this.#reading === reading) this.#reading = undefined
    })
  }

  async #open(packet: Uint8Array): Promise<void> {
    const { identity, mesh, prekeys, clock, limits, answers } = this.#parts
    try {
      const isKnown = (epoch: string): boolean => this.#epochs.ack(epoch) !== undefined
      const options = { self: identity.id, mesh, prekeys, now: clock.now(), skew: limits.clockSkew * 1_000, isKnown }
      const { epoch, author, key, notAfter, earlier } = await readOpening(packet, options)
      if (author !== this.author) return this.#refused('wrong-author', 'an opening')
      if (key === undefined) return answers.ack(epoch)
      const opened = await InEpoch.open({ id: epoch, key, notAfter, earlier }, false)
      let outcome = this.#epochs.open(epoch, earlier)
      while (outcome === 'too-many') {
        const gone = this.#epochs.makeRoom()
        if (gone === undefined) return this.#refused('too-many-epochs', epoch)
        void this.#rows.shrink([gone])
        outcome = this.#epochs.open(epoch, earlier)
      }
      if (outcome === 'opened') this.#keys.add(opened)
      answers.ack(epoch)
    } catch (error) {
      if (!(error instanceof AfpSecurityError)) return this.#parts.onError(error)
      const { reason, epoch } = error.details
      this.#refused(reason as EnvelopeRefusal, 'an opening')
      if (reason !== 'lost-key' || error.agentId !== this.author) return
      // Said only to the author itself, once its signature held, and not of what was read while the prekey was here:
      // what it would seal anew may have arrived.
      if (this.#epochs.ack(epoch as string) === undefined) answers.lostKey(epoch as string)
      else answers.ack(epoch as string)
    }
  }

  /** An envelope came from the author itself. */
  envelope(body: Uint8Array): void | Promise<void> {
    this.#working++
    const over = (): void => void this.#working--
    try {
      const work = this.#look(readEnvelope(body))
      if (work !== undefined) return work.catch(error => this.#notTaken(error)).finally(over)
    } catch (error) {
      this.#notTaken(error)
    }
    over()
  }

  #look(envelope: Envelope): void | Promise<void> {
    const { header } = envelope
    const problem = this.#reader.problemOf(header)
    if (problem !== undefined) return this.#refused(problem, 'an envelope')
    const reading = this.#reading
    if (reading === undefined) return this.#withKey(envelope)
    // What is not numbered must not overtake what waits for an opening: nothing else tells their order.
    if (header.numbered && this.#keys.get(header.epoch) !== undefined) return this.#withKey(envelope)
    return reading.then(() => this.#withKey(envelope))
  }

  #withKey(envelope: Envelope): void | Promise<void> {
    const { header } = envelope
    const epoch = this.#keys.get(header.epoch)
    if (epoch === undefined) return this.#withoutKey(header)
    return header.numbered ? this.#numbered(epoch, envelope) : this.#once.take(epoch, envelope)
  }

  #notTaken(error: unknown): void {
    const reason = refusalOf(error)
    if (reason === undefined) this.#parts.onError(error)
    else this.#refused(reason, (error as Error).message)
  }

  /**
   * The author's states came, authenticated by its own connection or a seal.
   * @throws AfpMessageError MALFORMED; nothing of them counts then
   */
  async states(states: readonly FeedState[]): Promise<void> {
    const { onLost, answers } = this.#parts
    // They speak of epochs whose openings came just before.
    if (this.#reading !== undefined) await this.#reading
    const { news, released, unknown, changed } = this.#epochs.applyStates(states)
    for (const epoch of unknown) if (!this.#isForeign(epoch)) answers.unknown(epoch)
    for (const { epoch, lost } of news) if (lost.length > 0) onLost(this.author, epoch, lost)
    this.#release(released)
    const skipped = news.flatMap(({ epoch, skipped }) => (skipped.length > 0 ? epoch : []))
    await this.#keepNews(changed, skipped)
    await this.#rows.shrink([])
    for (const { epoch } of states) answers.ack(epoch)
  }

  /**
   * Lets go of what nobody can come back to: settled epochs after their time, and of those whose author was not heard
   * again the ones whose last message has expired. By then no opening of theirs is taken: a replay finds no way in.
   */
  tidy(): Promise<void> {
    this.#held.look()
    const now = this.#parts.clock.now()
    const ended = this.#keys.all().filter(epoch => {
      // A row without a message: its commit failed behind that of the row.
      if (!epoch.isOver(now)) return epoch.stored && this.#epochs.drop(epoch.id)
      this.#end(epoch.id)
      return this.#epochs.forget(epoch.id)
    })
    return this.#rows.shrink(ended.map(({ id }) => id))
  }

  /** What is missing of an epoch has expired, wherever it is: order waits for none of it. */
  #end(epoch: string): void {
    const holes = this.#epochs.feed(epoch)?.holes() ?? []
    const released = this.#epochs.giveUpEpochs([epoch])
    if (released.length > 0) this.#parts.onHole(this.author, epoch, holes)
    this.#release(released)
  }

  /** What order waits for, by epoch. */
  get lacks(): Map<string, Lack> {
    return lacksOf(this.#epochs)
  }

  /** Order waits no longer for this, as far as it is still missing. */
  giveUp(epoch: string, { holes, awaited }: Lack): void {
    const { released, given } = this.#epochs.giveUp(epoch, holes)
    const over = awaited && this.#epochs.awaited().has(epoch)
    if (given.length > 0 || over) this.#parts.onHole(this.author, epoch, given)
    this.#release(released)
    if (over) this.#release(this.#epochs.giveUpEpochs([epoch]))
    if (given.length > 0 || over) void this.#rows.keep([epoch])
  }

  /**
   * The writes that end a message: its row goes, its position is settled. To be committed together with what its handler
   * wrote; then call {@link Incoming.processed}. Where it owes its dead letter its row stays for that, and the other
   * follows with it.
   */
  ending(arrived: Arrived, owes?: InboxOwes): { writes: Write[]; committed: () => void } {
    const { epoch, number, row } = arrived
    const key = inboxKey(this.author, epoch, number)
    const { writes, committed } = this.#rows.put(epoch, [number])
    return {
      writes: [owes ? putInbox(key, { ...row, owes }) : { op: 'delete', table: 'inbox', key }, ...writes],
      committed: () => {
        committed()
        this.#parts.answers.ack(epoch)
      },
    }
  }

  /** What holds once a message has its end on the disk. */
  over({ epoch, number }: Arrived): Check {
    return { table: 'inbox', key: inboxKey(this.author, epoch, number), value: undefined }
  }

  /** A message has its end, and the disk has it. */
  processed(arrived: Arrived): void {
    const { epoch, number } = arrived
    this.#epochs.processed(epoch, number)
    this.#arrived.remove(arrived)
    this.#parts.answers.ack(epoch)
  }

  /** Ends a message with a reason for its author; to be called before {@link Incoming.ending}. */
  refuse({ epoch, number }: Arrived, reason: string): void {
    this.#release(this.#epochs.refuse(epoch, number, reason).released)
  }

  /** What failed is not tried again. */
  close(): void {
    this.#held.close()
    this.#rows.close()
  }

  /** The row of a message as it is now. */
  rowOf({ epoch, number, row }: Arrived): Write {
    return putInbox(inboxKey(this.author, epoch, number), row)
  }

  /** An envelope of an epoch that cannot be read: settled long ago, or not opened yet. */
  #withoutKey(header: EnvelopeHeader): void {
    const { answers } = this.#parts
    const verdict = header.numbered && this.#epochs.check(header.epoch, header)
    // Nothing can come of it in this epoch any more: in another one it can.
    if (verdict === 'over') answers.lostKey(header.epoch)
    if (verdict === 'over' || verdict === 'duplicate') return this.#again(header)
    if (this.#isForeign(header.epoch)) return
    this.#refused('unknown-epoch', header.epoch)
    answers.unknown(header.epoch)
  }

  /** Whether an epoch that is not this author's is another's; that is a refusal. */
  #isForeign(epoch: string): boolean {
    const foreign = this.#parts.readable.has(epoch)
    if (foreign) this.#refused('wrong-author', epoch)
    return foreign
  }

  /** The author repeats what it does not know to be here. */
  #again({ epoch, number }: EnvelopeHeader, reason: EnvelopeRefusal = 'duplicate'): void {
    this.#refused(reason, `number ${number}`)
    this.#parts.answers.ack(epoch)
  }

  async #numbered(epoch: InEpoch, envelope: Envelope): Promise<void> {
    const { store, clock } = this.#parts
    const { header } = envelope
    const { number, prev, priority } = header
    const verdict = this.#epochs.check(epoch.id, header)
    const full = verdict === 'new' && !this.#fits(epoch, prev)
    if (verdict === 'full' || full) return this.#refused('full', `number ${number}`)
    if (verdict === 'skipped') return this.#again(header, verdict)
    const beyond = this.#arrived.room === 0
    const there = this.#arrived.expect(envelope.sealed.length + (envelope.shared?.length ?? 0))
    let begun = false
    try {
      const opened = this.#reader.open(epoch.key, envelope)
      const { payload, about } = opened instanceof Promise ? await opened : opened
      if (this.#epochs.feed(epoch.id)?.conflict(number, fingerprintOf(envelope.sealed))) {
        return this.#refused('id-conflict', `two envelopes of ${this.author} at number ${number} of ${epoch.id}`)
      }
      begun = this.#epochs.begin(epoch.id, header)
      if (!begun) return this.#again(header)
      const judged = await this.#reader.judge(payload, header, about)
      if (judged instanceof Error) {
        // It comes again, by when clocks may agree; in the end it is its author's to fence.
        if (untimely(judged) !== undefined) throw judged
        there()
        return await this.#reject(epoch, number, judged)
      }
      const row: InboxRow = { ...judged, prev, priority, receivedAt: clock.now(), retry: NEVER_TRIED, message: payload }
      const opening = epoch.stored ? [] : this.#rows.put(epoch.id).writes
      await store.commit({ writes: [putInbox(inboxKey(this.author, epoch.id, number), row), ...opening] })
      epoch.stored = true
      there()
      this.#settle(arrivedAs(row, judged, { author: this.author, epoch: epoch.id, number }), header, beyond)
    } catch (error) {
      if (begun) this.#epochs.abandon(epoch.id, number)
      // What was said meanwhile counted the room that it took.
      if (begun) this.#parts.answers.ack(epoch.id)
      throw error
    } finally {
      there()
    }
  }

  /** Whether there is room for what comes after `prev`. Beyond what there is, all that is held may wait for this one. */
  #fits({ id }: InEpoch, prev: number): boolean {
    return this.#arrived.room > 0 || (this.credit > 0 && this.#epochs.feed(id)?.releases(prev) === true)
  }

  #settle(entry: Arrived, position: Position, beyond: boolean): void {
    const { epoch } = entry
    const { taken, released, late, others } = this.#epochs.accept(epoch, position)
    if (!taken) return
    entry.late = late
    this.#arrived.add(entry, beyond)
    if (!released.includes(entry.number)) this.#held.add(entry)
    this.#release([{ epoch, numbers: released }, ...others])
    this.#parts.answers.ack(epoch)
  }

  async #reject(epoch: InEpoch, number: number, error: Error): Promise<void> {
    const { released } = this.#epochs.refuse(epoch.id, number, rejectionOf(error))
    this.#parts.onRejected(this.author, error)
    // At once: what comes next finds nothing in its way.
    this.#release(released)
    await this.#rows.keep([epoch.id], () => this.#parts.answers.ack(epoch.id))
  }

  /**
   * Skips have to be on the disk before the author hears of them; but where nothing has arrived nothing is kept, since the
   * author goes on to name them.
   */
  #keepNews(changed: readonly string[], skipped: readonly string[]): Promise<void> {
    for (const epoch of skipped) {
      if (this.#epochs.feed(epoch)?.untouched) this.#epochs.snapshot(epoch)?.committed()
    }
    return this.#rows.keep(changed, () => {
      for (const epoch of skipped) this.#parts.answers.ack(epoch)
    })
  }

  #release(handed: readonly Handed[]): readonly Arrived[] {
    const found = handed.flatMap(({ epoch, numbers }) =>
      numbers.flatMap(number => this.#arrived.get(epoch, number) ?? []),
    )
    for (const entry of found) this.#held.delete(entry)
    if (found.length > 0) this.#parts.onReleased(found)
    return found
  }

  #refused(reason: EnvelopeRefusal, detail: string): void {
    this.#parts.onRefused(this.author, reason, detail)
  }
}
