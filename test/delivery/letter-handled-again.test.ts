/** A recipient's own dead letter is handled again, while others change what its handler reads. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { keptValues, type Transaction } from '../../src/delivery/transaction.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
let bob: Node
/** What the handler does once it is not broken any more. */
let handler: Handler
let letter: string
beforeEach(async () => {
  world = new DeliveryWorld()
  handler = async () => {
    throw new Error('broken')
  }
  const parts = { handlerStrategy: fixedRetry({ delay: 1, retries: 0 }) }
  const policies = { 'handler-error': fixedRetry({ delay: 60_000, retries: 3 }) }
  const take: Handler = (arrived, transaction) => handler(arrived, transaction)
  bob = await world.start(await world.machine(), take, parts, { policies })
  const ada = await world.start(await world.machine())
  await ada.meet(bob)
  await ada.send(bob, 'x', { guarantee: 'exactly-once', ttl: 90 })
  await world.clock.advanceUntil(() => bob.deadLetters.count() === 1)
  letter = (await bob.deadLetters.list())[0]?.id as string
})
afterEach(() => world.close())

const values = () => keptValues(() => bob.machine.store)
const number = (value: unknown): number => (value as number | undefined) ?? 0
const count = async (transaction: Transaction, key: string): Promise<void> => {
  transaction.put([key], number(await transaction.get([key])) + 1)
}
/** Adds one, `rivals` times after somebody else did so since it looked. */
const contended = (rivals: number): { runs: number } => {
  const seen = { runs: 0 }
  handler = async (_arrived, transaction) => {
    await transaction.get(['count'])
    if (seen.runs++ < rivals) await values().change(other => count(other, 'count'))
    await count(transaction, 'count')
  }
  return seen
}

describe('a letter whose handler reads what others write', () => {
  it('is handled anew until nobody was in its way, and counts once', async () => {
    const seen = contended(3)
    expect(await bob.deadLetters.retry(letter)).toBe('retried')
    expect(seen.runs).toBe(4)
    expect(await values().list()).toEqual([{ key: ['count'], value: 4 }])
    expect(await bob.deadLetters.get(letter)).toMatchObject({ processed: true })
  })

  it('fails where that does not end', async () => {
    const seen = contended(Number.POSITIVE_INFINITY)
    await expect(bob.deadLetters.retry(letter)).rejects.toMatchObject({ code: 'STORE_CONFLICT' })
    expect(seen.runs).toBe(17)
    expect(await bob.deadLetters.get(letter)).toMatchObject({ processed: false, attempts: 2 })
  })

  it('runs once where its handler throws, also a conflict of its own making', async () => {
    const conflict = new AfpDataStoreError('STORE_CONFLICT', 'elsewhere')
    let runs = 0
    handler = async () => {
      runs++
      throw conflict
    }
    await expect(bob.deadLetters.retry(letter)).rejects.toBe(conflict)
    expect(runs).toBe(1)
  })
})

describe('a letter whose handler throws', () => {
  it('leaves it a transaction in which nothing can be written any more', async () => {
    let kept: Transaction | undefined
    handler = async (_arrived, transaction) => {
      kept = transaction
      transaction.put(['half'], true)
      throw new Error('broken')
    }
    await expect(bob.deadLetters.retry(letter)).rejects.toThrow('broken')
    expect(() => kept?.put(['other half'], true)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(await values().list()).toEqual([])
  })
})

describe('a letter whose message has expired', () => {
  const outcomes = (): unknown[] => {
    const told: unknown[] = []
    bob.deadLetters.addEventListener('dead-letter:retried', ({ detail }) => told.push(detail.outcome))
    return told
  }

  it('is handled by nobody unless somebody retries it by hand', async () => {
    const told = outcomes()
    bob.deadLetters.start()
    await world.clock.advance(60_001)
    const before = await bob.deadLetters.get(letter)
    expect(bob.got).toHaveLength(2)
    expect(before).toMatchObject({ attempts: 2, retry: { attempts: 2 } })
    handler = async () => {}
    await world.clock.advance(600_000)
    expect(bob.got).toHaveLength(2)
    expect(told).toEqual(['expired'])
    expect(await bob.deadLetters.get(letter)).toEqual({ ...before, retry: undefined })
    expect(bob.deadLetters.nextDueAt).toBeUndefined()
    expect(await bob.deadLetters.retry(letter)).toBe('retried')
    expect(bob.got).toHaveLength(3)
    expect(await bob.deadLetters.get(letter)).toMatchObject({ processed: true })
  })

  it('is not handled once more where it expires while others are in the way of its handler', async () => {
    const told = outcomes()
    handler = async (_arrived, transaction) => {
      await transaction.get(['count'])
      world.clock.jump(60_000)
      await values().change(other => count(other, 'count'))
      await count(transaction, 'count')
    }
    bob.deadLetters.start()
    await world.clock.advanceUntil(() => told.length > 0)
    expect(told).toEqual(['expired'])
    expect(bob.got).toHaveLength(2)
    expect(await values().list()).toEqual([{ key: ['count'], value: 1 }])
  })
})
