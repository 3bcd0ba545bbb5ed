import { beforeEach, describe, expect, it, vi } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { DeadLetter } from '../../src/delivery/dead-letter.ts'
import type { DeadLetterEvents } from '../../src/delivery/dead-letter-options.ts'
import type { RetryLetter, RetryOutcome } from '../../src/delivery/dead-letter-retries.ts'
import type { DeadLetters, DeadLettersOptions } from '../../src/delivery/dead-letters.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store, Write } from '../../src/store/store.ts'
import { newLetter, openLetters } from '../contracts/dead-letters.ts'

const boom = new Error('boom')

let clock: DrivenClock
let store: Store
let letters: DeadLetters
let failures: DeadLetterEvents['dead-letter:retry-failed'][]
/** What was retried, and when. */
let tried: { id: string; at: number }[]
/** What a retry does. */
let retry: RetryLetter
beforeEach(async () => {
  clock = new DrivenClock()
  store = memoryStore()
  retry = resend
  await open()
})

/** A retry that puts an outbox row and settles the letter in one batch, as delivery does. */
const resend = async (letter: DeadLetter, settled: readonly Write[]): Promise<RetryOutcome> => {
  const row = { op: 'put', table: 'outbox', key: [letter.id], value: letter.message } as const
  await store.commit({ writes: [row, ...settled] })
  return 'retried'
}

async function open(options: Partial<DeadLettersOptions> = {}): Promise<void> {
  tried = []
  failures = []
  letters = await openLetters(store, clock, {
    retry: (letter, ...rest) => {
      tried.push({ id: letter.id, at: clock.now() })
      return retry(letter, ...rest)
    },
    ...options,
  })
  letters.addEventListener('dead-letter:retry-failed', ({ detail }) => failures.push(detail))
}

const add = async (fields: Parameters<typeof newLetter>[0] = {}): Promise<string> =>
  (await letters.add(newLetter(fields))).id

describe('a retry by hand', () => {
  it('settles the letter in the batch that sends its message again', async () => {
    const id = await add()
    const outcomes: unknown[] = []
    letters.addEventListener('dead-letter:retried', ({ detail }) => outcomes.push(detail))
    expect(await letters.retry(id)).toBe('retried')
    expect(await store.count('outbox')).toBe(1)
    // As it is in the store, not only in memory.
    await open()
    expect(await letters.get(id)).toMatchObject({ processed: true, notes: [{ at: clock.now(), text: 'retried' }] })
    expect(outcomes).toEqual([{ id, outcome: 'retried' }])
  })

  it('that finds the message delivered settles the letter with that', async () => {
    retry = async () => 'delivered'
    const id = await add()
    expect(await letters.retry(id)).toBe('delivered')
    expect(await letters.get(id)).toMatchObject({ processed: true, notes: [{ text: 'had been delivered' }] })
  })

  it('that cannot know yet leaves the letter as it is', async () => {
    retry = async () => 'waiting'
    const id = await add()
    const before = await letters.get(id)
    expect(await letters.retry(id)).toBe('waiting')
    expect(await letters.get(id)).toEqual(before)
  })

  it('that fails leaves the letter there, counts, and keeps the error', async () => {
    retry = () => Promise.reject(boom)
    const id = await add()
    await expect(letters.retry(id)).rejects.toBe(boom)
    expect(await letters.get(id)).toMatchObject({
      processed: false,
      attempts: 4,
      lastError: { code: 'HANDLER_FAILED', message: 'boom' },
    })
    expect(failures).toEqual([{ id, error: boom, nextAt: undefined }])
  })

  it('happens once for two who ask at once, and not again when it is done', async () => {
    const id = await add()
    expect(await Promise.all([letters.retry(id), letters.retry(id)])).toEqual(['retried', 'retried'])
    await expect(letters.retry(id)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    expect(tried).toHaveLength(1)
  })

  it('that fails after its batch was committed has happened: the message must not go twice', async () => {
    retry = async (letter, settled) => {
      await resend(letter, settled)
      throw boom
    }
    const id = await add()
    expect(await letters.retry(id)).toBe('retried')
    expect(await letters.get(id)).toMatchObject({ processed: true })
    expect(failures).toEqual([])
  })

  it('is not disturbed by whoever discards, purges or needs room meanwhile', async () => {
    await open({ maxEntries: 1 })
    const gate = Promise.withResolvers<void>()
    retry = async (letter, settled) => {
      await gate.promise
      return resend(letter, settled)
    }
    const id = await add()
    const under = letters.retry(id)
    const discarded = letters.discard(id)
    expect(await letters.purge({ processed: 'any' })).toBe(0)
    expect(() => letters.stage(newLetter())).toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }))
    gate.resolve()
    expect(await under).toBe('retried')
    expect(await discarded).toBe(true)
    expect(await store.count('dead-letters')).toBe(0)
  })

  it('is an error where nothing was given that retries', async () => {
    await open({ retry: undefined })
    const id = await add()
    await expect(letters.retry(id)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    expect(await letters.get(id)).toMatchObject({ processed: false, attempts: 3 })
  })
})

describe('automatic retries', () => {
  const policies = { 'no-route': fixedRetry({ delay: 10_000, retries: 3 }) }
  let start: number
  beforeEach(async () => {
    await open({ policies })
    start = clock.now()
  })
  const times = (): number[] => tried.map(({ at }) => at - start)

  it('come when their policy says, as often as it says, and then no more', async () => {
    retry = () => Promise.reject(boom)
    const id = await add()
    letters.start()
    await clock.advance(600_000)
    expect(times()).toEqual([10_000, 20_000, 30_000])
    expect(failures.map(({ nextAt }) => nextAt && nextAt - start)).toEqual([20_000, 30_000, undefined])
    expect(await letters.get(id)).toMatchObject({ processed: false, attempts: 6, retry: undefined })
    expect(letters.nextDueAt).toBeUndefined()
    expect(clock.pending).toBe(0)
  })

  it('end with the first that works', async () => {
    let left = 1
    retry = (letter, settled) => (left-- > 0 ? Promise.reject(boom) : resend(letter, settled))
    const id = await add()
    letters.start()
    await clock.advance(600_000)
    expect(times()).toEqual([10_000, 20_000])
    expect(await letters.get(id)).toMatchObject({ processed: true })
  })

  it('come for letters of their reason only', async () => {
    letters.start()
    await add({ reason: 'expired' })
    expect(letters.nextDueAt).toBeUndefined()
    await clock.advance(600_000)
    expect(tried).toEqual([])
  })

  it('do not come for letters that somebody dealt with, or deleted', async () => {
    letters.start()
    await letters.markProcessed(await add())
    await letters.discard(await add())
    const purged = await add()
    await letters.purge({ processed: false })
    const byHand = await add()
    await letters.retry(byHand)
    expect(letters.nextDueAt).toBeUndefined()
    await clock.advance(600_000)
    expect(tried.map(({ id }) => id)).toEqual([byHand])
    expect(await letters.get(purged)).toBeUndefined()
  })

  it('ask again later, without counting, where it cannot be known yet', async () => {
    const outcomes: RetryOutcome[] = ['waiting', 'waiting', 'waiting', 'waiting', 'retried']
    retry = async (letter, settled) => {
      const outcome = outcomes.shift() as RetryOutcome
      return outcome === 'retried' ? resend(letter, settled) : outcome
    }
    const id = await add()
    letters.start()
    await clock.advance(600_000)
    expect(times()).toEqual([10_000, 20_000, 30_000, 40_000, 50_000])
    expect(await letters.get(id)).toMatchObject({ processed: true, attempts: 3 })
  })

  it('of one peer that hang hold up no other, of whom some are at work at once', async () => {
    const gates = new Map<string, () => void>()
    retry = (letter, settled) =>
      new Promise((resolve, reject) => gates.set(letter.id, () => void resend(letter, settled).then(resolve, reject)))
    letters.start()
    const hanging = [await add({ peer: 'eve' }), await add({ peer: 'eve' })]
    const others: string[] = []
    for (let i = 0; i < 17; i++) others.push(await add({ peer: `${i}` }))
    await clock.advance(20_000)
    expect(tried.map(({ id }) => id)).toEqual([hanging[0], ...others.slice(0, 15)])
    // What somebody deals with meanwhile is not tried any more.
    await letters.markProcessed(others[15] as string)
    const read = vi.spyOn(store, 'get')
    gates.get(others[3] as string)?.()
    await clock.advance(1)
    expect(tried.slice(16).map(({ id }) => id)).toEqual([others[16]])
    expect(read.mock.calls.flatMap(([, key]) => key)).not.toContain(others[15])
    for (const id of others) gates.get(id)?.()
    await clock.advance(1)
    expect(letters.count({ processed: false })).toBe(2)
    expect(tried).toHaveLength(17)
    gates.get(hanging[0] as string)?.()
    await clock.advance(1)
    expect(tried.slice(17).map(({ id }) => id)).toEqual([hanging[1]])
    gates.get(hanging[1] as string)?.()
    await letters.close()
    expect(letters.count({ processed: false })).toBe(0)
  })

  it('that wait for another of their peer are not counted by retries by hand either', async () => {
    const gate = Promise.withResolvers<never>()
    const [first, second] = [await add(), await add()]
    retry = ({ id }) => (id === first ? gate.promise : Promise.reject(boom))
    letters.start()
    await clock.advance(10_000)
    expect(tried.map(({ id }) => id)).toEqual([first])
    await expect(letters.retry(second)).rejects.toBe(boom)
    expect(await letters.get(second)).toMatchObject({ attempts: 4, retry: { attempts: 1 } })
    gate.reject(boom)
    await clock.advance(1)
    expect(tried.map(({ id }) => id)).toEqual([first, second, second])
    expect(await letters.get(second)).toMatchObject({ attempts: 5, retry: { attempts: 2 } })
  })

  it('of one peer run one at a time, in order', async () => {
    let under = 0
    let most = 0
    retry = async (letter, settled) => {
      most = Math.max(most, ++under)
      await resend(letter, settled)
      under--
      return 'retried'
    }
    const first = await add()
    await clock.advance(1_000)
    const second = await add()
    await clock.advance(60_000)
    letters.start()
    await clock.advance(1)
    expect(tried.map(({ id }) => id)).toEqual([first, second])
    expect(most).toBe(1)
  })

  it('are not counted by retries by hand, which leave their times alone', async () => {
    retry = () => Promise.reject(boom)
    const id = await add()
    letters.start()
    await clock.advance(4_000)
    for (let i = 0; i < 5; i++) await expect(letters.retry(id)).rejects.toBe(boom)
    expect(await letters.get(id)).toMatchObject({ attempts: 8, retry: { attempts: 1, nextAt: start + 10_000 } })
    tried = []
    await clock.advance(600_000)
    expect(times()).toEqual([10_000, 20_000, 30_000])
  })

  it('can be driven by a caller instead, with what is due', async () => {
    const id = await add()
    expect(letters.nextDueAt).toBe(start + 10_000)
    expect(letters.due(start + 9_999)).toEqual([])
    expect(letters.due(start + 10_000)).toEqual([id])
    expect(letters.due(start + 10_000)).toEqual([])
    retry = () => Promise.reject(boom)
    await expect(letters.retry(id)).rejects.toBe(boom)
    expect(letters.nextDueAt).toBe(start + 10_000)
  })

  it('stop when the letters are closed, after the one under way', async () => {
    const gate = Promise.withResolvers<void>()
    retry = async (letter, settled) => {
      await gate.promise
      return resend(letter, settled)
    }
    const first = await add()
    await add()
    letters.start()
    await clock.advance(10_000)
    const closed = letters.close()
    gate.resolve()
    await closed
    await clock.advance(600_000)
    expect(tried.map(({ id }) => id)).toEqual([first])
    expect(await letters.get(first)).toMatchObject({ processed: true })
    expect(clock.pending).toBe(0)
  })

  it('go on when the letter cannot be read or written at the moment', async () => {
    const id = await add()
    letters.start()
    vi.spyOn(store, 'get').mockRejectedValueOnce(boom)
    await clock.advance(10_000)
    expect(tried).toEqual([])
    retry = () => Promise.reject(boom)
    vi.spyOn(store, 'commit').mockRejectedValueOnce(new Error('disk'))
    await clock.advance(10_000)
    expect(failures).toEqual([{ id, error: boom, nextAt: start + 30_000 }])
    retry = resend
    await clock.advance(10_000)
    expect(await letters.get(id)).toMatchObject({ processed: true })
  })

  it('notice within a minute that the wall clock was set forward', async () => {
    await open({ policies: { 'no-route': fixedRetry({ delay: 86_400_000 }) } })
    await add()
    letters.start()
    clock.jump(86_400_000)
    await clock.advance(60_000)
    expect(tried).toHaveLength(1)
  })
})
