/** Retries of dead letters: one by hand, or by themselves as a policy for each reason says. */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpDeliveryError, AfpError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { toFailure } from '../message/failure.ts'
import type { Write } from '../store/store.ts'
import {
  cutFailure,
  type DeadLetter,
  type DeadReason,
  entryOf,
  type LetterEntry,
  processedEntry,
  putEntry,
} from './dead-letter.ts'
import { NEVER_TRIED, nextRetry, type RetryState, type RetryStrategy } from './retry.ts'
import { RetrySchedule } from './retry-schedule.ts'

/**
 * What became of a retry. `retried`: the message is on its way again; `delivered`: it had been delivered after all, and
 * that is the outcome; `waiting`: that cannot be known yet, the letter stays as it is. `expired`, of retries that nobody
 * asked for: what came and could not be handled has expired, and no handler starts on it any more unless somebody retries
 * it by hand; or it is a request that this agent sent, and nobody waits for its reply. The letter stays, and is not
 * retried by itself again.
 */
export type RetryOutcome = 'retried' | 'delivered' | 'waiting' | 'expired'

/**
 * Sends or handles the message of a letter again, once it is certain that the first one will not be: the fence is its
 * business. For `retried` it commits `settled`, which marks the letter as dealt with, in one batch with the rows of the
 * new try: so a crash neither loses the message nor sends it twice. It rejects when the retry failed. `automatic`: nobody
 * asked for it but a policy.
 */
export type RetryLetter = (letter: DeadLetter, settled: readonly Write[], automatic: boolean) => Promise<RetryOutcome>

/** What {@link LetterRetries} needs. */
export interface LetterRetriesOptions {
  readonly clock: Clock
  readonly random: Random
  readonly policies: Readonly<Partial<Record<DeadReason, RetryStrategy>>>
  readonly retry: RetryLetter | undefined
  /** Letters whose automatic retries follow one another: those that have to do with one peer. */
  readonly lane: (id: string) => string
  readonly read: (id: string) => Promise<DeadLetter | undefined>
  /** Commits an entry in its new form. */
  readonly store: (entry: LetterEntry) => Promise<void>
  /** Takes note of an entry that was committed by others. */
  readonly keep: (entry: LetterEntry) => void
  readonly settled: (id: string, outcome: RetryOutcome) => void
  readonly failed: (id: string, error: unknown, nextAt: number | undefined) => void
}

/** The longest wait for the next retry in one go, ms: wall time may be set meanwhile. */
const LONGEST_WAIT = 60_000
/** How many letters are retried by themselves at once: a handler that hangs holds up those of its author only. */
const MOST_AT_ONCE = 16

/** See the head of this file. */
export class LetterRetries {
  readonly #options: LetterRetriesOptions
  readonly #policies: ReadonlyMap<DeadReason, RetryStrategy>
  readonly #schedule = new RetrySchedule()
  /** Out of the schedule, and waiting for their turn. */
  readonly #lanes = new Map<string, string[]>()
  /** Lanes of which one is retried. */
  readonly #atWork = new Set<string>()
  /** Taken out of the schedule, not settled yet. */
  readonly #taken = new Set<string>()
  readonly #underWay = new Map<string, Promise<RetryOutcome>>()
  #retry: ((id: string) => Promise<RetryOutcome>) | undefined
  #timer: Timer | undefined
  #stopped = false

  /** @throws AfpError INVALID_OPTION for a policy without an end, since letters do not expire, or without a way to retry */
  constructor(options: LetterRetriesOptions) {
    this.#options = options
    const given = Object.entries(options.policies).filter(([, policy]) => policy !== undefined)
    this.#policies = new Map(given as [DeadReason, RetryStrategy][])
    for (const [reason, { retries }] of this.#policies) {
      if (retries === null) throw new AfpError('INVALID_OPTION', `the retry policy for '${reason}' has no end`)
      if (options.retry === undefined) throw new AfpError('INVALID_OPTION', 'retry policies need a way to retry')
    }
  }

  /**
   * The state that a new letter begins with.
   * @param before tries of its message that ended in letters which a policy retried; what has just failed is the next one
   */
  first(reason: DeadReason, before: number): RetryState | undefined {
    const policy = this.#policies.get(reason)
    if (policy === undefined) return undefined
    const { clock, random } = this.#options
    const step = nextRetry(policy, { ...NEVER_TRIED, attempts: before }, { now: clock.now(), random })
    return 'at' in step ? step.state : undefined
  }

  /** Takes in a letter, new or of an earlier run. */
  restore({ id, reason, processed, retry }: LetterEntry): void {
    const policy = this.#policies.get(reason)
    if (policy === undefined || retry === undefined || processed) return
    this.#schedule.restore(id, policy, retry, this.#options.clock.now())
    this.#arm()
  }

  /** Forgets a letter. */
  cancel(id: string): void {
    this.#taken.delete(id)
    this.#schedule.cancel(id)
  }

  /** When the next is due. */
  get nextDueAt(): number | undefined {
    return this.#schedule.nextDueAt
  }

  /** Takes out what is due. */
  due(now: number): string[] {
    const ids = this.#schedule.due(now).map(({ id }) => id)
    for (const id of ids) this.#taken.add(id)
    return ids
  }

  /** Retries a letter, or joins the retry of it that is under way; `alone` runs work when nothing else changes it. */
  run(id: string, alone: (work: () => Promise<RetryOutcome>) => Promise<RetryOutcome>): Promise<RetryOutcome> {
    const underWay = this.#underWay.get(id)
    if (underWay !== undefined) return underWay
    const result = alone(() => this.#run(id)).finally(() => this.#underWay.delete(id))
    this.#underWay.set(id, result)
    return result
  }

  /** Begins to retry what is due, of each lane one at a time. */
  start(retry: (id: string) => Promise<RetryOutcome>): void {
    this.#retry = retry
    this.#arm()
  }

  /** Ends that; what fails from now on is no failure of a letter's. */
  stop(): void {
    this.#stopped = true
    this.#retry = undefined
    this.#timer?.cancel()
  }

  #arm(): void {
    this.#timer?.cancel()
    const { clock } = this.#options
    const { nextDueAt } = this.#schedule
    if (this.#retry === undefined || nextDueAt === undefined) return
    const wait = Math.min(Math.max(0, nextDueAt - clock.now()), LONGEST_WAIT)
    this.#timer = clock.after(wait, () => this.#drive())
  }

  #drive(): void {
    const { clock, lane } = this.#options
    for (const { id } of this.#schedule.due(clock.now())) {
      const waiting = this.#lanes.get(lane(id)) ?? []
      waiting.push(id)
      this.#lanes.set(lane(id), waiting)
    }
    this.#fill()
    this.#arm()
  }

  /** Lets each lane that waits have its turn. */
  #fill(): void {
    for (const [lane, waiting] of [...this.#lanes]) {
      if (this.#retry === undefined || this.#atWork.size >= MOST_AT_ONCE) return
      if (!this.#atWork.has(lane)) void this.#turn(lane, waiting, this.#retry)
    }
  }

  async #turn(lane: string, waiting: string[], retry: (id: string) => Promise<unknown>): Promise<void> {
    let id = waiting.shift()
    // Somebody may have dealt with it meanwhile.
    while (id !== undefined && this.#schedule.get(id) === undefined) id = waiting.shift()
    // The last one to have its next turn.
    this.#lanes.delete(lane)
    if (waiting.length > 0) this.#lanes.set(lane, waiting)
    if (id === undefined) return
    this.#atWork.add(lane)
    this.#taken.add(id)
    // Its failure is noted in the letter and told as an event.
    await retry(id).catch(() => {})
    this.#atWork.delete(lane)
    this.#fill()
    this.#arm()
  }

  async #run(id: string): Promise<RetryOutcome> {
    const { clock, retry, read, store, keep, settled } = this.#options
    let letter: DeadLetter | undefined
    try {
      letter = await read(id)
      if (letter === undefined) throw new AfpDeliveryError('UNKNOWN_LETTER', `there is no dead letter ${id}`)
      if (letter.processed) throw new AfpError('INVALID_OPTION', `the dead letter ${id} has been dealt with`)
      if (retry === undefined) throw new AfpError('INVALID_OPTION', 'nothing was given that retries dead letters')
      const done = processedEntry(letter, clock.now(), 'retried')
      const outcome = await retry(letter, [putEntry(done)], this.#taken.has(id))
      if (outcome === 'retried') keep(done)
      else if (outcome === 'delivered') await store(processedEntry(letter, clock.now(), 'had been delivered'))
      else if (outcome === 'waiting') this.#postpone(id)
      else {
        await store({ ...entryOf(letter), retry: undefined })
        this.cancel(id)
      }
      settled(id, outcome)
      return outcome
    } catch (error) {
      if (letter === undefined || letter.processed || retry === undefined) {
        if (letter === undefined) this.#again(id)
        throw error
      }
      return this.#failed(letter, error)
    }
  }

  /** Notes a retry that failed, and throws its error. */
  async #failed(letter: DeadLetter, error: unknown): Promise<RetryOutcome> {
    const { read, store, keep, settled, failed } = this.#options
    const { id } = letter
    const now = await read(id).catch(() => undefined)
    if (now?.processed) {
      // It was committed before it failed at something else: the message is on its way, and must not go twice.
      keep(entryOf(now))
      settled(id, 'retried')
      return 'retried'
    }
    if (this.#stopped) throw error
    const automatic = this.#taken.has(id)
    const state = automatic ? this.#again(id) : letter.retry
    const lastError = cutFailure(toFailure(error))
    // If this cannot be stored either, the schedule in memory still holds for this run.
    await store({ ...entryOf(letter), attempts: letter.attempts + 1, lastError, retry: state }).catch(() => {})
    failed(id, error, state?.nextAt)
    throw error
  }

  /** Schedules the next automatic retry after one that failed; undefined when there are no more. */
  #again(id: string): RetryState | undefined {
    if (!this.#taken.delete(id)) return undefined
    const { clock, random } = this.#options
    try {
      return this.#schedule.schedule(id, { now: clock.now(), random })
    } catch {
      return undefined
    }
  }

  /** Asks again after the same number of tries: this one was none. */
  #postpone(id: string): void {
    const held = this.#schedule.get(id)
    if (held === undefined || !this.#taken.delete(id)) return
    const { clock, random } = this.#options
    const { strategy, state } = held
    const now = clock.now()
    const step = nextRetry(strategy, { ...state, attempts: state.attempts - 1 }, { now, random })
    if ('at' in step) this.#schedule.restore(id, strategy, step.state, now)
  }
}
