/** The dead letters for the page: read, kept up to date, and dealt with. Fetched when somebody first looks at them. */

import { type Agent, type DeadLetter, letterMessage, type RetryOutcome } from 'agent-flow-protocol'
import { show, summary } from './content.ts'
import { reasonOf, whyLetter } from './reasons.ts'
import type { Letter, Store } from './state.ts'

/** The most letters shown. */
export const MAX_SHOWN = 100

const outcomes: Readonly<Record<RetryOutcome, string>> = {
  retried: 'It is on its way again.',
  delivered: 'It had been delivered after all.',
  waiting: 'Whether it came is not known yet. Try again when the other side is here.',
  expired: 'Its time is over. Try again to have it handled all the same.',
}

/** What somebody did about a letter, in words. */
export type Outcome = Promise<string>

function readLetter(letter: DeadLetter): Letter {
  const { id, side, peer, attempts, createdAt, lastError, processed, notes, retry } = letter
  return {
    id,
    came: side === 'recipient',
    peer,
    reason: whyLetter(letter),
    attempts,
    time: createdAt,
    error: lastError && summary(show(lastError.message)),
    text: textOf(letter),
    done: processed,
    notes: [...notes.map(({ text }) => text), ...(retry === undefined ? [] : ['It is retried by itself.'])],
  }
}

function textOf(letter: DeadLetter): string {
  try {
    const { message } = letterMessage(letter)
    return summary(show(message.content, message.contentType))
  } catch {
    return 'Its content cannot be read'
  }
}

/** See the head of this file. */
export class LetterDesk {
  readonly #agent: Agent
  readonly #store: Store
  #reading: Promise<void> | undefined
  #stale = false

  private constructor(agent: Agent, store: Store) {
    this.#agent = agent
    this.#store = store
  }

  static async open(agent: Agent, store: Store): Promise<LetterDesk> {
    const desk = new LetterDesk(agent, store)
    for (const type of ['added', 'processed', 'removed', 'retried', 'retry-failed'] as const)
      agent.addEventListener(`dead-letter:${type}`, () => void desk.#read())
    await desk.#read()
    return desk
  }

  /** Sends or handles a letter's message again. */
  retry(id: string): Outcome {
    return inWords(async () => outcomes[await this.#agent.deadLetters.retry(id)])
  }

  /** As {@link retry}, each that nobody has dealt with, the oldest first: in the order in which they were meant. */
  retryAll(): Outcome {
    return inWords(async () => {
      // Their ids alone, a page at a time: what is in all of them together may be much.
      const open: string[] = []
      for (;;) {
        const page = await this.#agent.deadLetters.list({ processed: false, before: open.at(-1) })
        if (page.length === 0) break
        open.push(...page.map(({ id }) => id))
      }
      const counts = { retried: 0, waiting: 0, failed: 0, expired: 0 }
      for (const id of open.toReversed()) {
        const outcome = await this.#agent.deadLetters.retry(id).catch(() => 'failed' as const)
        counts[outcome === 'delivered' ? 'retried' : outcome]++
      }
      const { retried, waiting } = counts
      const failed = counts.failed + counts.expired
      const waits = waiting === 0 ? '' : `, ${waiting} not known yet whether they came`
      return `${retried} retried${waits}${failed === 0 ? '' : `, ${failed} failed again`}.`
    })
  }

  discard(id: string): Outcome {
    return inWords(async () => ((await this.#agent.deadLetters.discard(id)) ? 'Discarded.' : 'It was gone.'))
  }

  /** Marks a letter as dealt with; `note` says how, if there is something to say. */
  finish(id: string, note: string): Outcome {
    const said = note.trim() === '' ? undefined : note.trim()
    return inWords(async () =>
      (await this.#agent.deadLetters.markProcessed(id, said)) ? 'Marked as done.' : 'It was gone.',
    )
  }

  /** Deletes those that somebody has dealt with. */
  purge(): Outcome {
    return inWords(async () => {
      const count = await this.#agent.deadLetters.purge()
      return `${count} ${count === 1 ? 'letter' : 'letters'} purged.`
    })
  }

  /** One look at a time; what changes meanwhile is looked at after it. */
  #read(): Promise<void> {
    this.#stale = true
    this.#reading ??= (async () => {
      while (this.#stale) {
        this.#stale = false
        const { deadLetters } = this.#agent
        const letters = (await deadLetters.list({ limit: MAX_SHOWN })).map(readLetter)
        const allLetters = deadLetters.count()
        this.#store.update(state => ({ ...state, letters, allLetters }))
      }
    })().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }
}

/** What came of it: a failure is an outcome like others. */
const inWords = (work: () => Promise<string>): Outcome => work().catch(error => `It failed: ${reasonOf(error)}.`)
