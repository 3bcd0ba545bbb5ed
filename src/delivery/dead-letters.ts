/**
 * Messages that could not be delivered or handled, in the store, until somebody deals with them: the sender's and the
 * recipient's side in one place.
 *
 * The number is bounded. At the bound processed letters give way, the oldest first; if there are none, a new letter is
 * refused and its message stays where it was: nothing that nobody has dealt with is ever lost, unless by its age, where
 * one is given.
 */

import { AgeSet } from '../common/age-set.ts'
import type { Clock } from '../common/clock.ts'
import { AfpDataStoreError, AfpError } from '../common/errors.ts'
import { TypedEventTarget } from '../common/events.ts'
import type { Random } from '../common/random.ts'
import { paged } from '../store/paged.ts'
import type { Store, Write } from '../store/store.ts'
import {
  checkNewLetter,
  type DeadLetter,
  type DeadReason,
  deleteLetter,
  entryKey,
  type LetterEntry,
  letterOf,
  MAX_NOTE_LENGTH,
  MAX_NOTES,
  messageKey,
  type NewDeadLetter,
  newEntry,
  processedEntry,
  putEntry,
  putMessage,
  readEntry,
} from './dead-letter.ts'
import { type LetterFilter, LetterIndex, type Summary, summaryOf } from './dead-letter-index.ts'
import {
  type DeadLetterEvents,
  type LetterLimits,
  type ListLettersOptions,
  letterBounds,
  type PurgeOptions,
} from './dead-letter-options.ts'
import { LetterRetries, type RetryLetter, type RetryOutcome } from './dead-letter-retries.ts'
import { LetterRoom, LettersFull } from './letter-room.ts'
import { LetterTurns } from './letter-turns.ts'
import type { RetryStrategy } from './retry.ts'

/** Options of {@link DeadLetters.open}. */
export interface DeadLettersOptions extends LetterLimits {
  /** Where they are kept; nobody else writes its table. */
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  /** Makes UUIDv7, see `createIds`. */
  readonly ids: () => string
  /** Sends or handles a letter's message again. Without it letters cannot be retried. */
  readonly retry?: RetryLetter | undefined
  /**
   * When letters are retried by themselves, for each reason; the others are by hand only. A letter keeps to the policy
   * of its reason that is in force, and one that was made without any gets none later. Of a message that was sent again
   * the next letter goes on where the one before it was. Default: none.
   */
  readonly policies?: Readonly<Partial<Record<DeadReason, RetryStrategy>>> | undefined
  /** Told of letters that a list leaves out, since their rows are damaged. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** A letter that is about to be stored together with other rows. One of its functions has to be called. */
export interface StagedLetter {
  readonly letter: DeadLetter
  /** What has to be in the batch. */
  readonly writes: readonly Write[]
  /** The batch was committed. */
  committed(): void
  /** It was not, and will not be. */
  abandoned(): void
}

/** Rows that are deleted at a time. */
const PAGE = 500
/** The most messages of which it is known that their letters were refused: of further ones that is told again. */
const MAX_REFUSED = 65_536

/** See the head of this file. */
export class DeadLetters extends TypedEventTarget<DeadLetterEvents> {
  readonly #options: DeadLettersOptions
  readonly #index: LetterIndex
  readonly #bounds: { readonly maxEntries: number; readonly maxBytes: number }
  readonly #room: LetterRoom
  /** Messages for whose letters there was no room. */
  readonly #refused = new AgeSet<string>()
  readonly #retries: LetterRetries
  readonly #turns = new LetterTurns()

  private constructor(options: DeadLettersOptions) {
    super()
    const { clock, random, policies = {}, retry, maxAge } = options
    this.#options = options
    this.#bounds = letterBounds(options)
    this.#index = new LetterIndex({ entries: this.#bounds.maxEntries, bytes: this.#bounds.maxBytes, maxAge })
    this.#room = new LetterRoom(clock, this.#index)
    this.#retries = new LetterRetries({
      clock,
      random,
      policies,
      retry,
      lane: id => this.#index.laneOf(id),
      read: id => this.get(id),
      store: entry => this.#store(entry),
      keep: entry => this.#keep(entry, putEntry(entry).value.length),
      settled: (id, outcome) => this.emit('dead-letter:retried', { id, outcome }),
      failed: (id, error, nextAt) => this.emit('dead-letter:retry-failed', { id, error, nextAt }),
    })
  }

  /**
   * Reads what earlier runs left.
   * @throws AfpError INVALID_OPTION for a bound that is no positive integer, or a policy without an end or `retry`
   * @throws AfpDataStoreError STORE_FAILED when a row is damaged
   */
  static async open(options: DeadLettersOptions): Promise<DeadLetters> {
    const letters = new DeadLetters(options)
    await letters.#load()
    return letters
  }

  /** How many letters match; default: all. @throws AfpError INVALID_OPTION for a filter that is none */
  count(filter: LetterFilter = {}): number {
    return this.#index.select(filter, this.#options.clock.now()).length
  }

  /**
   * Whether a letter that can be retried was in doubt when it was made: what its recipient has said since then is in the
   * receipt of its message, which therefore has to stay.
   */
  asksFor(messageId: string): boolean {
    return this.#index.asksFor(messageId)
  }

  /**
   * Prepares a letter for a batch that the caller commits together with other rows, such as the deletion of its outbox
   * row. Room is set aside until {@link StagedLetter.committed} or {@link StagedLetter.abandoned} is called.
   * @param before tries of its message that a policy counts, without the one that has just failed
   * @throws AfpDeliveryError QUEUE_FULL when there is no room
   */
  stage(letter: NewDeadLetter, before = 0): StagedLetter {
    const { clock, ids } = this.#options
    const id = ids()
    const retry = this.#retries.first(letter.reason, before)
    const entry = newEntry(letter, { id, createdAt: clock.now(), retry })
    const put = putEntry(entry)
    const summary = summaryOf(entry, put.value.length)
    const made = letterOf(entry, new Uint8Array(letter.message))
    const room = { side: entry.side, peer: entry.peer, entries: 1, bytes: summary.bytes }
    const gone = this.#index.reserve(room, clock.now(), candidate => !this.#turns.has(candidate))
    if (gone === undefined) throw this.#full(made, summary.bytes)
    let open = true
    const end = (effect: () => void) => (): void => {
      if (!open) return
      open = false
      this.#index.release(room)
      effect()
    }
    return {
      letter: made,
      writes: [...gone.flatMap(({ id }) => deleteLetter(id)), put, putMessage(id, made.message)],
      committed: end(() => {
        this.#refused.delete(nameOf(entry))
        this.#index.set(summary)
        this.#retries.restore(entry)
        this.#removed(gone, 'room')
        this.emit('dead-letter:added', { letter: made })
        this.#look()
      }),
      abandoned: end(() => {
        for (const each of gone) this.#index.set(each)
        this.#room.failed()
      }),
    }
  }

  /**
   * Stores a letter by itself.
   * @throws AfpError INVALID_OPTION for one that could not be read again
   * @throws AfpDeliveryError QUEUE_FULL when there is no room
   * @throws AfpDataStoreError when the store fails; then nothing was stored
   */
  async add(letter: NewDeadLetter): Promise<DeadLetter> {
    checkNewLetter(letter)
    const staged = this.stage(letter)
    try {
      await this.#turns.add(this.#options.store.commit({ writes: staged.writes }))
    } catch (error) {
      staged.abandoned()
      throw error
    }
    staged.committed()
    return staged.letter
  }

  /** A letter by its id. @throws AfpDataStoreError STORE_FAILED when its rows are damaged */
  async get(id: string): Promise<DeadLetter | undefined> {
    if (!this.#index.has(id)) return undefined
    const { store } = this.#options
    const [row, message] = await Promise.all([
      store.get('dead-letters', entryKey(id)),
      store.get('dead-letters', messageKey(id)),
    ])
    if (!this.#index.has(id)) return undefined
    if (row !== undefined && message !== undefined) return letterOf(readEntry(id, row), message)
    throw new AfpDataStoreError('STORE_FAILED', `the dead letter ${id} in the store is not whole`, { reference: id })
  }

  /**
   * The letters that match, the newest first; the limit is taken after that. One whose rows are damaged is left out, and
   * told as `store:error`, with its id as `reference`.
   * @throws AfpError INVALID_OPTION for an option that is none, and a limit that is no whole number
   * @throws AfpDataStoreError when the store fails
   */
  async list(options: ListLettersOptions = {}): Promise<DeadLetter[]> {
    const { limit = 100, before } = options
    if (!Number.isSafeInteger(limit) || limit < 0) throw invalid('limit has to be a whole number from 0')
    const ids = this.#index
      .select(options, this.#options.clock.now())
      .filter(id => before === undefined || id < before)
      .slice(0, limit)
    const letters = await Promise.all(ids.map(id => this.get(id).catch(error => this.#leftOut(id, error))))
    return letters.filter(letter => letter !== undefined)
  }

  /**
   * Marks a letter as dealt with, with a note if there is something to say; one that is marked already only gets the
   * note. False when there is no such letter.
   * @throws AfpError INVALID_OPTION for a note of more than 1,024 characters, or the 101st of a letter
   */
  markProcessed(id: string, note?: string): Promise<boolean> {
    return this.#alone(id, async () => {
      if (note !== undefined && note.length > MAX_NOTE_LENGTH)
        throw invalid(`a note has up to ${MAX_NOTE_LENGTH} characters`)
      const letter = await this.get(id)
      if (letter === undefined) return false
      if (note !== undefined && letter.notes.length >= MAX_NOTES) throw invalid(`a letter has up to ${MAX_NOTES} notes`)
      await this.#store(processedEntry(letter, this.#options.clock.now(), note?.toWellFormed()))
      this.emit('dead-letter:processed', { id, note })
      return true
    })
  }

  /** Deletes a letter, processed or not. False when there is no such letter. */
  discard(id: string): Promise<boolean> {
    return this.#alone(id, async () => (await this.#remove([id], 'discarded')) > 0)
  }

  /** Deletes letters, default: processed ones; tells how many. Those being retried stay. @throws AfpError INVALID_OPTION */
  purge(options: PurgeOptions = {}): Promise<number> {
    return this.#turns.add(this.#purge(options))
  }

  async #purge({ olderThan, processed = true }: PurgeOptions): Promise<number> {
    const filter = { olderThan, processed: processed === 'any' ? undefined : processed }
    const ids = this.#index.select(filter, this.#options.clock.now())
    let count = 0
    while (ids.length > 0) {
      const page = ids.splice(-PAGE).filter(id => !this.#turns.has(id))
      count += await this.#remove(page, 'purged')
      this.#look()
    }
    return count
  }

  /**
   * Sends or handles a letter's message again. A second call for the same letter while the first is under way joins it.
   * What comes of sending it again is in the receipt of its message; its time to live begins anew. Handling it again is
   * told to nobody: its sender's receipt stays failed, and the reply to a request finds nobody who waits. The handler
   * starts also where the message has expired: whoever calls this wants that; retries by a policy do not do it. For the
   * next letter of what is sent again a policy begins anew.
   *
   * A letter that is in doubt is `waiting` until its recipient says what became of the message, which may be never. Who
   * cannot wait any longer discards it and sends the content as a new message, with an id of its own: if the first one came
   * all the same, it happens twice. See {@link RetryOutcome}.
   * @throws AfpDeliveryError UNKNOWN_LETTER when there is no such letter
   * @throws AfpError INVALID_OPTION when it has been dealt with, or without a way to retry; CLOSED when the agent closes
   *   meanwhile: then the letter stays as it was; DUPLICATE_MESSAGE while another message is being sent under its id
   * @throws what the retry throws; the letter keeps it as its last error
   */
  retry(id: string): Promise<RetryOutcome> {
    return this.#retries.run(id, work => this.#alone(id, work))
  }

  /** Takes out the ids of letters whose retry is due at `now`, the earliest first; for who calls {@link retry} himself. */
  due(now: number): string[] {
    return this.#retries.due(now)
  }

  /** When the next automatic retry is due, ms since 1970, if there is one. */
  get nextDueAt(): number | undefined {
    return this.#retries.nextDueAt
  }

  /** Begins to retry letters by itself as their policies say, of each peer one at a time. */
  start(): void {
    this.#retries.start(id => this.retry(id))
    // What earlier runs left may be too much already.
    this.#look()
  }

  /** Retries nothing by itself any more; what fails from now on is no failure of a letter's. */
  pause(): void {
    this.#retries.stop()
  }

  /** Pauses, and resolves when nothing is under way: whoever retries gives up, and the letter stays as it is. Idempotent. */
  async close(): Promise<void> {
    this.pause()
    this.#room.close()
    await this.#turns.ended()
  }

  /** Why there is no letter. Apart from where it was made: whoever waits for room keeps this, and not the message. */
  #full(letter: DeadLetter, bytes: number): LettersFull {
    const { messageId } = letter
    const name = nameOf(letter)
    const again = messageId !== undefined && this.#refused.has(name)
    const error = new LettersFull(letter, { again, room: waitFor(this.#room, letter, bytes) })
    if (again) return error
    this.#refused.add(name)
    if (this.#refused.size > MAX_REFUSED) this.#refused.delete(this.#refused.oldest as string)
    this.emit('dead-letter:refused', { letter, error })
    return error
  }

  /** Says what comes of a change for the room that there is. */
  #look(): void {
    this.#room.changed()
    const { maxEntries, maxBytes } = this.#bounds
    for (const side of this.#room.runningLow({ entries: maxEntries, bytes: maxBytes }))
      this.emit('dead-letter:low', { side, ...this.#index.kept(side), ...this.#bounds })
  }

  async #load(): Promise<void> {
    for await (const { key, value } of paged(this.#options.store, 'dead-letters', ['entry'])) {
      const entry = readEntry(String(key[1]), value)
      this.#index.set(summaryOf(entry, value.length))
      this.#retries.restore(entry)
    }
  }

  /** Writes an entry that exists in its new form. */
  async #store(entry: LetterEntry): Promise<void> {
    const put = putEntry(entry)
    await this.#options.store.commit({ writes: [put] })
    this.#keep(entry, put.value.length)
  }

  #keep(entry: LetterEntry, rowBytes: number): void {
    this.#room.written()
    this.#index.set(summaryOf(entry, rowBytes))
    if (entry.processed) this.#retries.cancel(entry.id)
  }

  async #remove(ids: readonly string[], why: 'discarded' | 'purged'): Promise<number> {
    // Out of the index first: from here on nobody else touches these rows.
    const gone = ids.map(id => this.#index.delete(id)).filter(summary => summary !== undefined)
    if (gone.length === 0) return 0
    try {
      await this.#options.store.commit({ writes: gone.flatMap(({ id }) => deleteLetter(id)) })
    } catch (error) {
      for (const summary of gone) this.#index.set(summary)
      throw error
    }
    this.#removed(gone, why)
    return gone.length
  }

  #removed(gone: readonly Summary[], why: 'discarded' | 'purged' | 'room'): void {
    this.#room.written()
    for (const { id } of gone) this.#retries.cancel(id)
    if (gone.length > 0) this.emit('dead-letter:removed', { ids: gone.map(({ id }) => id), why })
  }

  /** Where it is this letter that is damaged, and not the store that fails. */
  #leftOut(id: string, error: unknown): undefined {
    if (!(error instanceof AfpDataStoreError) || error.reference !== id) throw error
    this.#options.onError?.(error)
  }

  #alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    return this.#turns.alone(id, work, () => this.#look())
  }
}

function waitFor(room: LetterRoom, { side, peer }: DeadLetter, bytes: number): () => Promise<void> {
  return () => room.wait(side, peer, bytes)
}

const nameOf = ({ side, peer, messageId }: Pick<LetterEntry, 'side' | 'peer' | 'messageId'>): string =>
  `${side} ${peer} ${messageId}`

const invalid = (message: string): AfpError => new AfpError('INVALID_OPTION', message)
