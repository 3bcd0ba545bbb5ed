/** A message that a policy sends again and again ends, in whatever run, with the last retry that the policy allows. */

import { expect, it } from 'vitest'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { MortalStore } from '../simulation/mortal-store.ts'
import { DeliveryWorld, type Node } from './world.ts'

const RETRIES = 2

it.each([
  ['its key known', true, false],
  ['its key known, its sender started anew after each', true, true],
  ['its key unknown', false, false],
  ['its key unknown, its sender started anew after each', false, true],
])('To one that is away a policy has a message go as often as it says: %s', async (_, known, anew) => {
  const world = new DeliveryWorld()
  const { clock } = world
  const bob = await world.start(await world.machine())
  const prekeyOf = () => (known ? bob.prekeys.current() : undefined)
  const { identity } = await world.machine()
  const rows = memoryStore()
  let disk: MortalStore
  let made: unknown[] = []
  const start = async (): Promise<Node> => {
    const policies = { expired: fixedRetry({ delay: 5_000, retries: RETRIES }) }
    disk = new MortalStore(rows, clock, world.random)
    const node = await driven(world.start({ identity, store: disk }, undefined, { prekeyOf }, { policies }))
    node.deadLetters.addEventListener('dead-letter:added', ({ detail }) => made.push(detail.letter.retry?.attempts))
    node.deadLetters.start()
    return node
  }
  /** Disks take their time. */
  async function driven<T>(work: Promise<T>): Promise<T> {
    let over = false
    const end = (): void => {
      over = true
    }
    work.then(end, end)
    await clock.advanceUntil(() => over)
    return work
  }
  let ada = await start()
  const again = async (): Promise<void> => {
    if (!anew) return
    disk.die()
    ada.crash()
    ada = await start()
  }
  /** All that comes of one try that nobody asked a policy for. */
  async function all(): Promise<unknown[]> {
    made = []
    for (let life = 0; life <= RETRIES; life++) {
      await clock.advance(6_000)
      // What is sealed may have left before, for all that the next run knows: then it waits for a word.
      if (!known) await again()
      await clock.advanceUntil(() => made.length > life)
      await again()
    }
    await clock.advance(60_000)
    return made
  }
  await driven(ada.send(bob, 'hello', { ttl: 10 }))
  expect(await all()).toEqual([1, 2, undefined])
  expect(ada.deadLetters.nextDueAt).toBeUndefined()
  // Whoever asks for it by hand has it begin anew.
  const [letter] = await ada.deadLetters.list({ processed: false })
  expect(await driven(ada.deadLetters.retry(letter?.id as string))).toBe('retried')
  expect(await all()).toEqual([1, 2, undefined])
  expect(ada.deadLetters.count({ processed: false })).toBe(1)
  expect(ada.deadLetters.count()).toBe(2 * (RETRIES + 1))
  expect(ada.errors).toEqual([])
  await world.close()
})
