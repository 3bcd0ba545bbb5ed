import { afterEach, describe, expect, it } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { StorageState, Store } from '../../src/store/store.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
afterEach(() => world.close())

/** A store that says how full it is, as SQLite's and IndexedDB's do. */
function storeOf(
  room: { usage: number | undefined },
  durability: Store['durability'] = 'memory',
): Store & { asked: number } {
  const state = async (): Promise<StorageState> => ({ persistent: false, usage: room.usage, quota: 1_000 })
  const store = Object.assign(memoryStore(), {
    asked: 0,
    durability,
    state,
    persist: async () => {
      store.asked++
      return true
    },
  })
  return store
}

describe('room for what is kept', () => {
  it('is watched: little of it is told, once until there is enough again', async () => {
    world = drivenWorld()
    const room = { usage: 100 as number | undefined }
    const agent = await world.join('ada', { store: storeOf(room) })
    const told: unknown[] = []
    agent.addEventListener('storage:low', ({ detail }) => told.push(detail))
    await world.clock.advance(120_000)
    expect(told).toEqual([])
    room.usage = 900
    await world.clock.advance(120_000)
    expect(told).toEqual([{ usage: 900, quota: 1_000 }])
    room.usage = 860
    await world.clock.advance(60_000)
    room.usage = 910
    await world.clock.advance(60_000)
    expect(told).toHaveLength(1)
    room.usage = undefined
    await world.clock.advance(60_000)
    room.usage = 100
    await world.clock.advance(60_000)
    room.usage = 950
    await world.clock.advance(60_000)
    expect(told.at(-1)).toEqual({ usage: 950, quota: 1_000 })
    expect(told).toHaveLength(2)
    expect(await agent.storage.state()).toEqual({ persistent: false, usage: 950, quota: 1_000 })
  })

  it('is asked to stay where it is on a disk, but for one that is given with an identity, or when the application says so', async () => {
    world = drivenWorld()
    const store = storeOf({ usage: 1 })
    const agent = await world.join('ada', { store })
    expect(store.asked).toBe(0)
    expect(await agent.storage.persist()).toBe(true)
    expect(store.asked).toBe(1)
    const asking = storeOf({ usage: 1 })
    await world.join('bob', { store: asking, persistStorage: true })
    expect(asking.asked).toBe(1)
    const disk = storeOf({ usage: 1 }, 'strict')
    await world.join('eve', { store: disk })
    expect(disk.asked).toBe(1)
    const brought = storeOf({ usage: 1 }, 'strict')
    await world.join('zoe', { store: brought, identity: await createIdentity() })
    expect(brought.asked).toBe(0)
    const quiet = storeOf({ usage: 1 }, 'strict')
    await world.join('grace', { store: quiet, persistStorage: false })
    expect(quiet.asked).toBe(0)
  })

  it('is unknown in memory, where nothing stays', async () => {
    world = drivenWorld()
    const agent = await world.join('ada', { store: memoryStore() })
    expect(await agent.storage.state()).toEqual({ persistent: false, usage: undefined, quota: undefined })
    expect(await agent.storage.persist()).toBe(false)
  })
})
