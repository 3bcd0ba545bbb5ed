/** What messages that wait cost of the memory: their content is in the store, and there alone. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { newPath } from '../store/files.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

const COUNT = 1_500
const CONTENT = 'x'.repeat(8_192)
/** Before anything is measured: what is there once however many wait, as the redo log of a store, is there then. */
const FIRST = 500
/** What a message may cost, bytes: twice what one does, a quarter of its content. */
const MOST = 2_500

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of objects and buffers. */
function memory(): number {
  // Of buffers that are garbage only the next collection knows.
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

let world: DeliveryWorld
let store: Store
let adas: Machine
let bob: Node
beforeEach(async () => {
  world = new DeliveryWorld()
  store = await sqliteStore(newPath())
  adas = { ...(await world.machine()), store }
  bob = await world.start(await world.machine())
})
afterEach(async () => {
  world.close()
  await store.close()
})

const fill = async (ada: Node, count: number): Promise<void> => {
  for (let sent = 0; sent < count; sent += 250)
    await Promise.all(Array.from({ length: 250 }, () => ada.send(bob, CONTENT)))
}

/** What a message costs while it waits, in this run and in the next. */
async function expectSmall(prekeyOf?: () => undefined): Promise<void> {
  const parts = prekeyOf && { prekeyOf }
  const ada = await world.start(adas, undefined, parts)
  await fill(ada, FIRST)
  const before = memory()
  await fill(ada, COUNT)
  expect((memory() - before) / COUNT).toBeLessThan(MOST)
  await ada.delivery.close()
  ada.crash()
  const ended = memory()
  const again = await world.start(adas, undefined, parts)
  expect((memory() - ended) / (FIRST + COUNT)).toBeLessThan(MOST)
  again.crash()
}

describe('a message that waits in a store costs a small part of its content, in this run and in the next', () => {
  it('sealed', () => expectSmall(), 120_000)

  it('for its recipient’s key', () => expectSmall(() => undefined), 120_000)
})
