/**
 * The recipient's side towards one author: from frames to messages on the disk, each once, handed on in order; and what
 * the author is told of them. Nothing is acknowledged before it is on the disk.
 */

import { AfpMessageError, AfpSecurityError } from '../common/errors.ts'
import { Epochs, type EpochsNews, type FeedState, type Handed } from '../feed/index.ts'
import { decodeMessage, type MessageKind } from '../message/envelope.ts'
import type { Message, MessageSecurity } from '../message/message.ts'
import { readOpening } from '../security/opening.ts'
import { openDirect } from '../security/seal.ts'
import type { Check, Write } from '../store/store.ts'
import type { Arrived, EnvelopeRefusal, IncomingParts } from './arrived.ts'
import { type Envelope, type EnvelopeHeader, readEnvelope } from './frames.ts'
import { InEpoch, type KeptEpoch } from './in-epoch.ts'
import { WRITE_PAUSE } from './recorder.ts'
import { NEVER_TRIED } from './retry.ts'
import { epochKey, type InboxRow, inboxKey, putEpoch, putInbox, putSettled, type Settled } from './rows.ts'

/** What is sealed to this agent, and who sealed it is proved. */
export const SEALED: MessageSecurity = Object.freeze({
  level: 'high',
  authenticatedBy: 'signature',
  roles: [],
})

/** See the head of this file. */
export class Incoming {
  readonly author: string
  readonly #parts: IncomingParts
  readonly #epochs = new Epochs()
  readonly #keys = new Map<string, InEpoch>()
  /** Delivered and not processed, by epoch and number. */
  readonly #arrived = new Map<string, Map<number, Arrived>>()
  /** Openings that are being read: envelopes behind them wait. */
  #reading: Promise<void> | undefined
  #closed = false
  /** The last unnumbered message that is still being looked at: those behind it wait. */
  #looking: Promise<unknown> | undefined

  constructor(parts: IncomingParts, author: string) {
    this.#parts = parts
    this.author = author
  }

  /** Messages that are on the disk and not processed. */
  get size(): number {
    let size = 0
    for (const arrived of this.#arrived.values()) size += arrived.size
    return size
  }

  /** Ids of the epochs that are not settled. */
  get epochs(): string[] {
    return this.#epochs.ids
  }

  /** Whether this agent can read an epoch. */
  has(epoch: string): boolean {
    return this.#keys.has(epoch)
  }

  /** What the author is to be told of an epoch; undefined for one that is not known. */
  ack(epoch: string): ReturnType<Epochs['ack']> {
    return this.#epochs.ack(epoch)
  }

  /** Takes in what was on the disk: epochs first, with their rows. What may be handed on is. */
  async load(epochs: readonly KeptEpoch[], settled: readonly Settled[], arrived: readonly Arrived[]): Promise<void> {
    for (const { epoch, floor, at } of settled) this.#epochs.restoreSettled(epoch, floor, at)
    for (const { id, key, notAfter, earlier, snapshot } of epochs) {
      const mine = arrived.filter(({ epoch }) => epoch === id)
      const positions = mine.map(({ number, row: { prev, priority } }) => ({ number, prev, priority }))
      this.#epochs.restore(id, snapshot, positions)
      this.#arrived.set(id, new Map(mine.map(entry => [entry.number, entry])))
      this.#keys.set(id, await InEpoch.open({ id, key, notAfter, earlier }, true))
    }
    this.#release(this.#epochs.resume())
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
      const options = { self: identity.id, mesh, prekeys, now: clock.now(), skew: limits.clockSkew * 1_000 }
      const { epoch, author, key, notAfter, earlier } = await readOpening(packet, options)
      if (author !== this.author) return this.#refused('wrong-author', 'an opening')
      const opened = await InEpoch.open({ id: epoch, key, notAfter, earlier }, false)
      let outcome = this.#epochs.open(epoch, earlier)
      while (outcome === 'too-many') {
        const gone = this.#epochs.makeRoom()
        if (gone === undefined) return this.#refused('too-many-epochs', epoch)
        this.#keys.delete(gone)
        outcome = this.#epochs.open(epoch, earlier)
      }
      if (outcome === 'opened') this.#keys.set(epoch, opened)
      answers.ack(epoch)
    } catch (error) {
      if (!(error instanceof AfpSecurityError)) return this.#parts.onError(error)
      const { reason, epoch } = error.details
      this.#refused(reason as EnvelopeRefusal, 'an opening')
      // Said only to the author itself, and only once its signature held.
      if (reason === 'lost-key' && error.agentId === this.author) answers.lostKey(epoch as string)
    }
  }

  /** An envelope came, from the author itself or from somebody who keeps its envelopes. */
  async envelope(body: Uint8Array, direct: boolean): Promise<void> {
    try {
      const envelope = readEnvelope(body)
      const { header } = envelope
      const problem = this.#problemOf(header)
      if (problem !== undefined) return this.#refused(problem, 'an envelope')
      if (!this.#keys.has(header.epoch)) await this.#reading
      const epoch = this.#keys.get(header.epoch)
      if (epoch === undefined) return this.#withoutKey(header)
      if (header.numbered) await this.#numbered(epoch, envelope)
      else if (direct) await (await this.#inTurn(() => this.#once(epoch, envelope)))?.work
      else this.#refused('not-direct', 'an unnumbered envelope')
    } catch (error) {
      this.#failed(error)
    }
  }

  /**
   * The author's states came, authenticated by its own connection or a seal.
   * @throws AfpMessageError MALFORMED; nothing of them counts then
   */
  async states(states: readonly FeedState[]): Promise<void> {
    const { onLost, onError, answers, store } = this.#parts
    const { news, released, unknown } = this.#epochs.applyStates(states)
    for (const epoch of unknown) answers.unknown(epoch)
    for (const { epoch, lost } of news) if (lost.length > 0) onLost(this.author, epoch, lost)
    this.#release(released)
    await this.#keepNews(news)
    const { settled, forgotten } = this.#epochs.shrink(this.#parts.clock.now())
    for (const { epoch } of settled) {
      this.#keys.delete(epoch)
      this.#arrived.delete(epoch)
    }
    const writes = [
      ...settled.map(entry => putSettled(this.author, entry)),
      ...forgotten.map(epoch => ({ op: 'delete', table: 'epochs', key: epochKey('in', this.author, epoch) }) as const),
    ]
    // Where they stay, the author's next word settles them anew after a restart.
    if (writes.length > 0) await store.commit({ writes }).catch(onError)
    for (const { epoch } of states) answers.ack(epoch)
  }

  /** Order waits no longer for what is missing by the author's own word. */
  giveUpHoles(): void {
    for (const epoch of this.#epochs.ids) {
      const holes = this.#epochs.feed(epoch)?.holes() ?? []
      if (holes.length === 0) continue
      const { released, given } = this.#epochs.giveUp(epoch, holes)
      if (given.length > 0) this.#parts.onHole(this.author, epoch, given)
      this.#release(released)
    }
  }

  /** Whether order waits for anything. */
  get hasHoles(): boolean {
    return this.#epochs.ids.some(epoch => (this.#epochs.feed(epoch)?.holes(1).length ?? 0) > 0)
  }

  /**
   * The writes that end a message: its row goes, its position is settled. To be committed together with what its handler
   * wrote; then call {@link Incoming.processed}.
   */
  ending(arrived: Arrived): { writes: Write[]; committed: () => void } {
    const { epoch, number } = arrived
    const { writes, committed } = this.#snapshot(epoch, [number])
    return {
      writes: [{ op: 'delete', table: 'inbox', key: inboxKey(this.author, epoch, number) }, ...writes],
      committed,
    }
  }

  /** What holds once a message has its end on the disk. */
  over({ epoch, number }: Arrived): Check {
    return { table: 'inbox', key: inboxKey(this.author, epoch, number), value: undefined }
  }

  /** A message has its end, and the disk has it. */
  processed({ epoch, number }: Arrived): void {
    this.#epochs.processed(epoch, number)
    this.#arrived.get(epoch)?.delete(number)
    this.#parts.answers.ack(epoch)
  }

  /** Ends a message with a reason for its author; to be called before {@link Incoming.ending}. */
  refuse({ epoch, number }: Arrived, reason: string): void {
    this.#release(this.#epochs.refuse(epoch, number, reason).released)
  }

  /** What failed is not tried again. */
  close(): void {
    this.#closed = true
  }

  /** The row of a message as it is now. */
  rowOf({ epoch, number, row }: Arrived): Write {
    return putInbox(inboxKey(this.author, epoch, number), row)
  }

  #problemOf({ mesh, destination, expiresAt }: EnvelopeHeader): EnvelopeRefusal | undefined {
    const { identity, clock } = this.#parts
    if (mesh !== this.#parts.mesh) return 'wrong-mesh'
    if (!destination.every((byte, i) => byte === identity.publicKey[i])) return 'wrong-recipient'
    // Its author fences it and says so; until then nothing is settled here.
    return expiresAt < clock.now() ? 'expired' : undefined
  }

  /** An envelope of an epoch that cannot be read: settled long ago, or not opened yet. */
  #withoutKey(header: EnvelopeHeader): void {
    const { answers } = this.#parts
    if (header.numbered && this.#epochs.check(header.epoch, header) === 'duplicate') return answers.ack(header.epoch)
    this.#refused('unknown-epoch', header.epoch)
    answers.unknown(header.epoch)
  }

  async #numbered(epoch: InEpoch, { header, headerBytes, sealed }: Envelope): Promise<void> {
    const { store, clock, answers } = this.#parts
    const { number, prev, priority } = header
    const position = { number, prev, priority }
    const verdict = this.#epochs.check(epoch.id, position)
    if (verdict === 'full' || this.size >= this.#parts.maxInbox) return this.#refused('full', `number ${number}`)
    if (verdict === 'skipped') return answers.ack(epoch.id)
    const opened = openDirect(epoch.key, { number, numbered: true }, headerBytes, sealed)
    const payload = opened instanceof Uint8Array ? opened : await opened
    if (this.#epochs.feed(epoch.id)?.conflict(number, fingerprintOf(sealed))) {
      return this.#refused('id-conflict', `two envelopes of ${this.author} at number ${number} of ${epoch.id}`)
    }
    // The author repeats what it does not know to be here.
    if (!this.#epochs.begin(epoch.id, position)) return answers.ack(epoch.id)
    try {
      const judged = await this.#judge(payload, header)
      if (judged instanceof Error) return await this.#reject(epoch, number, judged)
      const row: InboxRow = { ...judged, prev, priority, receivedAt: clock.now(), retry: NEVER_TRIED, message: payload }
      const opening = epoch.stored ? [] : this.#snapshot(epoch.id).writes
      await store.commit({ writes: [putInbox(inboxKey(this.author, epoch.id, number), row), ...opening] })
      epoch.stored = true
      const { message, kind } = judged
      const entry: Arrived = {
        author: this.author,
        epoch: epoch.id,
        number,
        message,
        kind,
        row,
        late: false,
        redelivered: false,
      }
      this.#settle(entry, position)
    } catch (error) {
      this.#epochs.abandon(epoch.id, number)
      throw error
    }
  }

  #settle(entry: Arrived, position: { number: number; prev: number; priority: number }): void {
    const { epoch, number } = entry
    const { taken, released, late, others } = this.#epochs.accept(epoch, position)
    if (!taken) return
    entry.late = late
    const arrived = this.#arrived.get(epoch) ?? new Map<number, Arrived>()
    this.#arrived.set(epoch, arrived.set(number, entry))
    this.#release([{ epoch, numbers: released }, ...others])
    this.#parts.answers.ack(epoch)
  }

  /** The message in a payload, or why it is refused. */
  async #judge(payload: Uint8Array, header: EnvelopeHeader): Promise<{ message: Message; kind: MessageKind } | Error> {
    const { limits, judge } = this.#parts
    try {
      const { message, kind } = decodeMessage(payload, { sender: this.author, security: SEALED, limits })
      // What routes and stores went by has to be what the message says.
      if (message.priority !== header.priority || message.expiresAt !== header.expiresAt) {
        return new AfpMessageError('MALFORMED', 'its header says something else')
      }
      await judge(message, kind)
      return { message, kind }
    } catch (error) {
      return error as Error
    }
  }

  async #reject(epoch: InEpoch, number: number, error: Error): Promise<void> {
    const { released } = this.#epochs.refuse(epoch.id, number, 'rejected')
    this.#parts.onRejected(this.author, error)
    await this.#keep(epoch.id, released)
  }

  /** Does something after what was begun so before: no number says in which order unnumbered messages were sent. */
  async #inTurn<T>(look: () => Promise<T>): Promise<T> {
    const before = this.#looking
    const looking = before === undefined ? look() : before.then(look)
    const done = looking
      .catch(() => {})
      .then(() => {
        if (this.#looking === done) this.#looking = undefined
      })
    this.#looking = done
    return looking
  }

  /**
   * One that is not numbered: taken once, from the author itself, and not kept. What is under way when it is handed on
   * is `work`: the next one need not wait for it.
   */
  async #once(
    epoch: InEpoch,
    { header, headerBytes, sealed }: Envelope,
  ): Promise<{ work: void | Promise<void> } | undefined> {
    const { number } = header
    if (epoch.hadOnce(number)) {
      this.#refused('duplicate', `number ${number}`)
      return
    }
    const opened = openDirect(epoch.key, { number, numbered: false }, headerBytes, sealed)
    const payload = opened instanceof Uint8Array ? opened : await opened
    epoch.noteOnce(number)
    const judged = await this.#judge(payload, header)
    if (judged instanceof Error) {
      this.#parts.onRejected(this.author, judged)
      return
    }
    return { work: this.#parts.onOnce(judged.message, judged.kind, payload.length) }
  }

  /** Skips have to be on the disk before the author hears of them. */
  async #keepNews(news: EpochsNews['news']): Promise<void> {
    const changed = news.filter(({ skipped }) => skipped.length > 0)
    await Promise.all(changed.map(({ epoch }) => this.#keep(epoch, [])))
  }

  /** Writes how an epoch stands. Where that fails it is tried again later, and holds up nothing that comes meanwhile. */
  async #keep(epoch: string, released: readonly Handed[]): Promise<void> {
    const { store, clock, onError, answers } = this.#parts
    const { writes, committed } = this.#snapshot(epoch)
    try {
      await store.commit({ writes })
      committed()
      this.#release(released)
      answers.ack(epoch)
    } catch (error) {
      if (this.#closed) return
      onError(error)
      clock.after(WRITE_PAUSE, () => void this.#keep(epoch, released))
    }
  }

  #snapshot(epoch: string, ended: readonly number[] = []): { writes: Write[]; committed: () => void } {
    const kept = this.#keys.get(epoch)
    const snapshot = this.#epochs.snapshot(epoch, ended)
    if (kept === undefined || snapshot === undefined) return { writes: [], committed: () => {} }
    const write = putEpoch(this.author, epoch, { ...kept.kept, snapshot: snapshot.value })
    return { writes: [write], committed: snapshot.committed }
  }

  #release(handed: readonly Handed[]): void {
    const found = handed.flatMap(({ epoch, numbers }) =>
      numbers.flatMap(number => this.#arrived.get(epoch)?.get(number) ?? []),
    )
    if (found.length > 0) this.#parts.onReleased(found)
  }

  #failed(error: unknown): void {
    if (error instanceof AfpSecurityError) return this.#refused('undecryptable', error.message)
    if (!(error instanceof AfpMessageError)) return this.#parts.onError(error)
    const { reason } = error.details
    this.#refused(reason === 'wrong-version' ? reason : 'malformed', error.message)
  }

  #refused(reason: EnvelopeRefusal, detail: string): void {
    this.#parts.onRefused(this.author, reason, detail)
  }
}

/** 48 bits of the tag, which depends on every byte. */
function fingerprintOf(sealed: Uint8Array): number {
  let value = 0
  for (const byte of sealed.subarray(-6)) value = value * 256 + byte
  return value
}
