/** Which circuit breakers are held open by hand is the same in the next run, also where the disk failed for a while. */

import { afterEach, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { CircuitBreakers } from '../../src/delivery/breakers.ts'
import { HeldOpen } from '../../src/delivery/held-open.ts'
import { memoryStore } from '../../src/store/memory.ts'

const clock = new DrivenClock()
const all: HeldOpen[] = []
afterEach(() => Promise.all(all.splice(0).map(held => held.close())))

/** A run over a disk that can fail; what it tells of that. */
async function run(store = memoryStore()) {
  const commit = store.commit.bind(store)
  const disk = { fails: false, tries: 0 }
  store.commit = (batch, options) => {
    disk.tries++
    return disk.fails ? Promise.reject(new Error('no disk')) : commit(batch, options)
  }
  const breakers = new CircuitBreakers({ clock })
  const errors: unknown[] = []
  const held = await HeldOpen.open({ breakers, store, clock, onError: error => errors.push(error) })
  all.push(held)
  return { breakers, held, disk, errors, rows: () => store.count('meta', { prefix: ['held-open'] }), store }
}

test('What could not be written is, once the disk works again: opened and reset', async () => {
  const { breakers, disk, errors, rows, store } = await run()
  breakers.getOrCreate('bob').forceOpen()
  await clock.advance(10)
  expect(await rows()).toBe(1)
  disk.fails = true
  breakers.get('bob')?.reset()
  for (const name of ['eve', 'dave']) breakers.getOrCreate(name).forceOpen()
  await clock.advance(10_000)
  // Each is tried once a second, and with each of the three changes; that is told each time.
  expect(errors.length).toBeGreaterThanOrEqual(3 * 10)
  expect(errors.length).toBeLessThanOrEqual(3 * 13)
  disk.fails = false
  const before = disk.tries
  await clock.advance(2_000)
  expect(disk.tries).toBe(before + 3)
  // Killed here.
  const next = await run(store)
  expect(next.breakers.get('bob')).toBeUndefined()
  expect(['eve', 'dave'].map(name => next.breakers.get(name)?.forced)).toEqual([true, true])
  expect(await rows()).toBe(2)
})

test('After the close it is tried once more, and no further', async () => {
  const { breakers, held, disk, errors } = await run()
  disk.fails = true
  breakers.getOrCreate('bob').forceOpen()
  await clock.advance(10)
  expect(disk.tries).toBe(1)
  await held.close()
  expect(disk.tries).toBe(2)
  await clock.advance(60_000)
  expect(disk.tries).toBe(2)
  expect(errors).toHaveLength(2)
})

test('The longest name that a breaker may have is kept, whatever characters are in it', async () => {
  const { breakers, held, errors, store } = await run()
  for (const name of ['x'.repeat(4_000), '€'.repeat(1_333), '\0'.repeat(4_000)]) breakers.getOrCreate(name).forceOpen()
  await held.close()
  expect(errors).toEqual([])
  const next = await run(store)
  expect([...next.breakers.states().values()]).toEqual(['open', 'open', 'open'])
})

test('A breaker of the application that was held open has, in the next run, the options that this one first makes it with', async () => {
  const first = await run()
  first.breakers.getOrCreate('rates', { failureThreshold: 1 }).forceOpen()
  await first.held.close()

  const { breakers } = await run(first.store)
  // Somebody looks at it, and delivery takes it, before the application says what it is for.
  const seen = breakers.get('rates')
  breakers.borrow('rates')
  const options = { failureThreshold: 2, resetTimeout: 1_000, isFailure: (error: unknown) => error !== 'fine' }
  expect(() => breakers.getOrCreate('rates', { ...options, resetTimeout: 0 })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
  const rates = breakers.getOrCreate('rates', options)
  expect(rates).toBe(seen)
  expect(rates).toMatchObject({ state: 'open', forced: true })
  // It exists from now on.
  breakers.getOrCreate('rates', { failureThreshold: 1 })

  rates.reset()
  for (const error of ['down', 'fine', 'down']) rates.admit()?.fail(error)
  expect(rates.state).toBe('closed')
  rates.admit()?.fail('down')
  expect(rates).toMatchObject({ state: 'open', retryAfter: 1_000 })
})

test('A key that names no breaker is in nobody’s way', async () => {
  const store = memoryStore()
  await store.commit({ writes: [{ op: 'put', table: 'meta', key: ['held-open'], value: Uint8Array.of(0) }] })
  const { breakers } = await run(store)
  expect(breakers.size).toBe(0)
})
