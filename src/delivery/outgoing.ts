/**
 * The author's side towards one recipient: from a message to a sealed envelope on the disk, and on until the recipient
 * says what became of it. Bytes leave only after their commit, and are the same at every try.
 */

import { isConflict } from '../common/errors.ts'
import { inSlices } from '../common/slices.ts'
import { Turns } from '../common/turns.ts'
import type { FeedAck } from '../feed/index.ts'
import { publicKeyOf } from '../identity/keys.ts'
import type { Deadline } from '../network/network.ts'
import type { Prekey } from '../security/prekeys.ts'
import type { Batch, Check, Write } from '../store/store.ts'
import type { CircuitBreaker } from './breaker.ts'
import { fateOf } from './entries.ts'
import { Envelopes } from './envelopes.ts'
import { EpochEnds } from './epoch-ends.ts'
import { Fencing } from './fencing.ts'
import { Heard } from './heard.ts'
import type { OutgoingRemains } from './loading.ts'
import { LostEpochs } from './lost-epochs.ts'
import { OnceSender } from './once-sender.ts'
import { type Entries, type Entry, newEntry, type OutEpoch, openEpoch } from './out-epoch.ts'
import { type Draft, type From, headOf, type OutgoingParts } from './outgoing-parts.ts'
import { OwnEpochs } from './own-epochs.ts'
import { commitFates, Recorder } from './recorder.ts'
import { outboxKey, putOpening, putOutbox } from './rows.ts'
import { type Destination, sealFrame } from './sealing.ts'
import { Sender } from './sender.ts'
import { type Append, Unsealed } from './unsealed.ts'

/** See the head of this file. */
export class Outgoing {
  readonly recipient: string
  readonly ends: EpochEnds
  readonly #parts: OutgoingParts
  readonly #to: Destination
  readonly #breaker: CircuitBreaker
  readonly #sender: Sender
  readonly #unsealed: Unsealed
  readonly #recorder: Recorder
  readonly #fencing: Fencing
  readonly #envelopes: Envelopes
  readonly #heard: Heard
  readonly #lost: LostEpochs
  readonly #epochs: OwnEpochs
  #opening: Promise<void> | undefined
  #order = 0
  readonly #once: OnceSender
  /** Messages that are being sealed and will be kept. */
  readonly #appending = new Turns()
  #closed = false

  constructor(parts: OutgoingParts, recipient: string) {
    this.#parts = parts
    this.recipient = recipient
    this.#recorder = new Recorder(parts)
    this.#to = { mesh: parts.mesh, destination: publicKeyOf(recipient) as Uint8Array }
    this.#breaker = parts.breaker(recipient)
    this.#epochs = new OwnEpochs(recipient, parts.clock, () => this.cardChanged())
    const envelopes = new Envelopes({ ...parts, author: parts.identity.id, recipient })
    this.#envelopes = envelopes
    this.#unsealed = new Unsealed({ ...parts, recorder: this.#recorder, envelopes }, recipient)
    this.#sender = new Sender({
      ...parts,
      recipient,
      envelopes,
      copy: draft => this.sendOnce(draft),
      breaker: this.#breaker,
      states: () => this.#epochs.states(),
      waits: () => !this.#epochs.settled,
      onHanded: entry => parts.tries.handed(recipient, entry),
      onOverdue: entry => this.#overdue(entry),
      onOver: (entry, reason) => void this.#fencing.end(entry, reason),
    })
    this.#once = new OnceSender({
      recipient,
      lines: parts.lines,
      to: this.#to,
      usable: () => this.#usable(),
      open: () => this.#open(),
      announce: epoch => this.#sender.announce(epoch),
    })
    const own = { recipient, envelopes, epochs: this.#epochs, sender: this.#sender, recorder: this.#recorder }
    const shared = { ...parts, ...own }
    this.ends = new EpochEnds({
      ...shared,
      drop: epoch => this.#drop(epoch),
      // There may be room to open another.
      onDropped: () => this.cardChanged(),
    })
    this.#heard = new Heard({
      ...shared,
      remove: (epoch, number) => this.#remove(epoch, number),
      ends: this.ends,
      onRoom: () => this.cardChanged(),
    })
    this.#fencing = new Fencing(shared)
    this.#lost = new LostEpochs({
      ...shared,
      fencing: this.#fencing,
      unsealed: this.#unsealed,
      remove: (epoch, number) => this.#remove(epoch, number),
      drop: epoch => this.#drop(epoch),
      onWaiting: () => void this.#open(),
    })
  }

  /** Messages that are not settled. */
  get size(): number {
    return this.#sender.size + this.#unsealed.size
  }

  /** Whether an epoch is this agent's own towards this recipient, or was not long ago. */
  has(epoch: string): boolean {
    return this.#epochs.knows(epoch)
  }

  /** Whether a message that waits is on the disk. */
  keeps(messageId: string): boolean {
    return this.#epochs.find(messageId) !== undefined || this.#unsealed.keeps(messageId)
  }

  /**
   * Takes a message; resolves when it is on the disk.
   * @throws AfpRoutingError QUEUE_FULL; AfpDataStoreError STORE_FULL, STORE_FAILED; then nothing of it was kept
   */
  async send(draft: Draft): Promise<void> {
    const { quota } = this.#parts
    quota.take(draft.payload.length, draft.awaited)
    try {
      await this.#place(draft)
    } catch (error) {
      quota.give(draft.payload.length, draft.awaited)
      throw error
    }
  }

  /** Hands a message to the connection that is open, sealed but not kept. @throws AfpRoutingError NO_ROUTE */
  sendOnce(draft: Draft, signal?: AbortSignal): Promise<void> {
    return this.#once.send(draft, signal)
  }

  /** See {@link OnceSender.sendNow}. */
  sendNow(draft: Draft, deadline: Deadline): Promise<void> | undefined {
    return this.#once.sendNow(draft, deadline)
  }

  /** The recipient's card came or changed. */
  cardChanged(): void {
    if (this.#unsealed.waiting > 0 && !this.#closed) void this.#open()
  }

  linked(): void {
    this.#epochs.linked()
    this.#envelopes.linked = true
    this.#sender.linked(this.#epochs.used)
  }

  unlinked(): void {
    this.#envelopes.linked = false
    this.#sender.unlinked()
  }

  /**
   * What the recipient says it has.
   * @throws AfpMessageError MALFORMED for numbers that were never given out; nothing of the acknowledgement counts then
   */
  acked(ack: FeedAck): Promise<void> {
    return this.#heard.acked(ack)
  }

  /** How many more messages the recipient has room for. */
  credit(messages: number): void {
    this.#sender.credit(messages)
  }

  /** The recipient does not know these epochs: it gets their openings again. */
  unknownEpochs(ids: readonly string[]): void {
    const epochs = ids.map(id => this.#epochs.get(id)).filter(epoch => epoch !== undefined)
    // What is under way of others has not been lost with them.
    if (epochs.length > 0) this.#sender.forgotten(epochs)
  }

  /** The recipient said, signed, that it can never open these epochs. See {@link LostEpochs}. */
  lostKey(ids: readonly string[]): Promise<void> {
    return this.#lost.lose(ids)
  }

  /** Calls a message off. False when it is settled, or not known. */
  async cancel(messageId: string): Promise<boolean> {
    if (await this.#unsealed.cancel(messageId)) return true
    const entry = this.#epochs.find(messageId)
    return entry !== undefined && this.#fencing.fence(entry, 'cancelled')
  }

  /** Calls a message off for good: it does not leave any more. Resolves once it was tried to write that. */
  async callOff(messageId: string): Promise<void> {
    if (await this.#unsealed.callOff(messageId)) return
    const entry = this.#epochs.find(messageId)
    if (entry !== undefined) await this.#fencing.end(entry, 'cancelled')
  }

  /** Nobody asks any more what became of a message that has left. */
  async forget(messageId: string): Promise<void> {
    const deletion = await this.#epochs.forget(messageId)
    if (deletion !== undefined) await this.#recorder.persist([], () => [deletion])
  }

  /** Takes in what was on the disk. Epochs of an earlier run are closed: no nonce of a lost row is ever used again. */
  async load({ epochs, waiting, owed }: OutgoingRemains): Promise<void> {
    this.#heard.load(owed)
    const entries = this.#epochs.load(epochs).flatMap(({ entries }) => inOrder(entries))
    for await (const entry of inSlices(entries, this.#parts.nextTask)) {
      entry.order = ++this.#order
      this.#parts.tries.resume(this.recipient, entry)
      this.#sender.add(entry, entry.retry.nextAt)
      // Whoever waited for its reply is gone with that run. From here on it does not leave.
      const end = entry.owed ?? (entry.row.asks ? 'cancelled' : undefined)
      if (end !== undefined) void this.#fencing.end(entry, end)
    }
    this.#unsealed.load(waiting, () => ++this.#order)
  }

  /** Goes on with it, once everything else of that run is here. */
  resume(): void {
    this.cardChanged()
    if (this.#parts.lines.isOpen(this.recipient)) this.linked()
    // Nobody is there, and it expires all the same.
    else this.#sender.pump()
  }

  /** Whether nothing waits and nothing is under way: what is left is memory of what is over. */
  get idle(): boolean {
    return (
      this.size === 0 && !this.#once.busy && this.#opening === undefined && !this.#recorder.busy && this.#epochs.over
    )
  }

  /** Whether there is no epoch, here or on the disk. */
  get blank(): boolean {
    return this.#epochs.size === 0
  }

  /** Stops; what is on the disk stays there. */
  close(): void {
    this.#closed = true
    this.#sender.close()
    this.#envelopes.close()
    this.#epochs.close()
    this.#fencing.close()
    this.#unsealed.close()
    this.#recorder.close()
  }

  /** Numbers and seals a message, or keeps it until there is a key. Numbers are given out in the order of the calls. */
  #place(draft: Draft): Promise<void> {
    const order = ++this.#order
    const epoch = this.#unsealed.waiting === 0 ? this.#usable() : undefined
    if (epoch !== undefined) return this.#append(epoch, draft, { order, bytes: draft.payload.length })
    const placed = this.#unsealed.add(draft, order)
    void this.#open()
    return placed
  }

  #usable(): OutEpoch | undefined {
    return this.#epochs.usable(this.#parts.clock.now(), this.#parts.prekey(this.recipient))
  }

  /** Opens an epoch to the recipient's newest prekey, and puts into it what waits for one. */
  #open(): Promise<void> {
    this.#opening ??= this.#openNow()
      .catch(error => {
        this.#unsealed.refuse(error)
        return true
      })
      .then(opened => {
        this.#opening = undefined
        // It may have come meanwhile, or another message that is to be kept without it.
        const again = this.#openable() !== undefined || this.#unsealed.unkept
        if (!opened && !this.#closed && again) return this.#open()
      })
    return this.#opening
  }

  #openable(): Prekey | undefined {
    return this.#epochs.openable(this.#parts.clock.now(), this.#parts.prekey(this.recipient))
  }

  /** False: there is no prekey to open one to. */
  async #openNow(): Promise<boolean> {
    const { identity, mesh, random, clock } = this.#parts
    const shown = this.#openable()
    if (shown === undefined) {
      await this.#unsealed.keep()
      return false
    }
    if (this.#usable() === undefined) {
      this.#epochs.end()
      const to = { mesh, recipient: this.recipient, prekey: shown, earlier: this.#epochs.earlier() }
      this.#epochs.begin(await openEpoch({ author: identity, ...to, random, now: clock.now() }))
    }
    const append: Append = (...draft) => this.#append(...draft)
    void this.#unsealed.seal(() => this.#usable(), append).then(() => this.cardChanged())
    return true
  }

  #append(epoch: OutEpoch, draft: Draft, from: From): Promise<void> {
    return epoch.writing.add(this.#appendNow(epoch, draft, from))
  }

  async #appendNow(epoch: OutEpoch, draft: Draft, from: From): Promise<void> {
    const { number, prev } = epoch.feed.next(draft.priority)
    try {
      let frame = sealFrame(epoch, draft, { number, prev, numbered: true }, this.#to)
      // As above: where one takes the place of a row, the next one is committed after it.
      if (!(frame instanceof Uint8Array) || this.#appending.busy) frame = await this.#appending.take(async () => frame)
      await this.#commit(epoch, draft, number, frame, from)
    } catch (error) {
      // Never given out again: the recipient is told that nothing will come at this position.
      if (!epoch.messages.has(number)) {
        epoch.feed.skip(number)
        this.#sender.stateChanged()
      }
      throw error
    }
  }

  async #commit(epoch: OutEpoch, draft: Draft, number: number, frame: Uint8Array, from: From): Promise<void> {
    const { replaces, before, bytes, order } = from
    const { clock, tries } = this.#parts
    const row = headOf(draft, clock.now())
    const fates = [fateOf(this.recipient, epoch, number, draft.messageId, 'queued')]
    const batch = (): Batch => {
      // With an earlier row they were written with that.
      const { checks = [], writes: also } = (replaces === undefined && draft.also?.()) || { writes: [] }
      const writes = [putOutbox(outboxKey(this.recipient, epoch.id, number), { ...row, frame }), ...also]
      if (!epoch.stored) writes.push(putOpening(this.recipient, epoch.id, epoch))
      if (replaces !== undefined) writes.push({ op: 'delete', table: 'outbox', key: replaces })
      const ordered: Check[] = before === undefined ? [] : [{ table: 'outbox', key: before.row, value: undefined }]
      return { checks: [...checks, ...ordered], writes }
    }
    try {
      await commitFates(this.#parts, fates, batch)
    } catch (error) {
      // The one before it may have had to wait for a receipt that it shares. Where that failed, this has failed with it.
      if (before === undefined || !isConflict(error)) throw error
      await before.gone
      await commitFates(this.#parts, fates, batch)
    }
    epoch.stored = true
    epoch.messages.set(number, row)
    const entry = newEntry(epoch, number, row, { bytes, order })
    // There were some under another number where the recipient lost the key of that.
    tries.resume(this.recipient, entry)
    epoch.entries.add(entry)
    this.#envelopes.keep(entry, frame)
    this.#sender.add(entry)
    this.#sender.pump()
  }

  #overdue(entry: Entry): void {
    const step = this.#parts.tries.failed(this.recipient, entry)
    if ('at' in step) this.#sender.again(entry, step.at)
    else void this.#fencing.end(entry, step.exhausted)
  }

  /** Takes a message out of memory. */
  #remove(epoch: OutEpoch, number: number): void {
    const entry = epoch.entries.get(number)
    if (entry !== undefined) {
      this.#parts.quota.give(entry.bytes, entry.awaited)
      this.#sender.remove(entry)
      epoch.entries.delete(number)
    }
    epoch.fences.delete(number)
  }

  #drop(epoch: OutEpoch): Write {
    this.#sender.stateChanged()
    return this.#epochs.drop(epoch)
  }
}

/** What comes last on the disk is what owes a letter. */
const inOrder = (entries: Entries): Entry[] => [...entries.values()].sort((a, b) => a.number - b.number)
