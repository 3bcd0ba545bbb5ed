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
  bob = await world.start(await world.machine(), (arrived, transaction) => handler(arrived, transaction), parts)
  const ada = await world.start(await world.machine())
  await ada.meet(bob)
  await ada.send(bob, 'x', { guarantee: 'exactly-once' })
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
