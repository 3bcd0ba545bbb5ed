/** Agents that write to each other while the network fails and machines lose power; in the end everything is looked at. */

import { createHash } from 'node:crypto'
import { seededRandom } from '../../src/common/random.ts'
import { encode } from '../../src/message/codec.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { TABLES } from '../../src/store/schema.ts'
import type { Refusals } from './mortal-store.ts'
import { connect, happen } from './simulation-acts.ts'
import { judge } from './simulation-judge.ts'
import { boot, see } from './simulation-machines.ts'
import { type Life, noCounters, type Outcome, type Run } from './simulation-state.ts'
import { DeliveryWorld } from './world.ts'

/** One run: `steps` things happen to `agents` agents, then the network heals and everything has to come to its end. */
export async function simulate(seed: number, { agents = 3, steps = 100 } = {}): Promise<Outcome> {
  const world = new DeliveryWorld(seed, { loss: 0.05, duplication: 0.1, reordering: 0.1, delay: [1, 60] })
  const run: Run = {
    seed,
    random: seededRandom(seed),
    world,
    lives: [],
    sent: [],
    byId: new Map(),
    counters: noCounters(),
    faults: [],
    refusals: refusalsOf(seed),
    calm: true,
  }
  world.greeted = ({ id, delivery }, peer) => see(run, id, peer, delivery)
  for (let i = 0; i < agents; i++) {
    const { identity, store } = await world.machine(memoryStore())
    const life: Life = {
      identity,
      id: identity.id,
      disk: store,
      lostKeys: 0,
      lostDisks: 0,
      cards: new Map(),
      now: undefined,
    }
    run.lives.push(life)
    await boot(run, life)
  }
  run.calm = false
  for (let step = 0; step < steps; step++) {
    await happen(run)
    await world.clock.advance(run.random.float() * 400)
  }
  run.calm = true
  for (const { now } of run.lives) {
    now?.store.dieAfter(Number.POSITIVE_INFINITY)
    now?.store.refuse(undefined)
  }
  run.counters.refused = run.refusals?.count ?? 0
  world.net.heal()
  world.net.setFaults({ loss: 0, duplication: 0, reordering: 0 })
  await settleAll(run)
  await judge(run)
  const digest = await digestOf(run.lives)
  await world.close()
  return { counters: run.counters, faults: run.faults, digest }
}

/** In a part of the runs disks refuse 2 to 20 % of what they are given. Other seeds do what they did. */
function refusalsOf(seed: number): Refusals | undefined {
  if (seed % 3 !== 1) return undefined
  const random = seededRandom(seed * 1_000)
  return { part: 0.02 + random.float() * 0.18, random, count: 0 }
}

/** Starts and links everybody until nothing is under way any more. */
async function settleAll(run: Run): Promise<void> {
  const { world, lives, faults } = run
  for (let round = 0; round < 400; round++) {
    for (const life of lives) if (life.now === undefined) await boot(run, life)
    for (const a of lives) for (const b of lives) if (a.id < b.id) connect(a, b)
    await world.clock.advance(1_000)
    const left = await Promise.all(
      lives.map(async ({ disk }) => (await disk.count('outbox')) + (await disk.count('inbox'))),
    )
    if (left.every(count => count === 0)) return
  }
  for (const { disk, id } of lives)
    for (const table of ['outbox', 'inbox'])
      for (const { key } of await disk.range(table)) faults.push(`${id} still has ${table} ${key}`)
}

/** Of everything that is left. */
async function digestOf(lives: readonly Life[]): Promise<string> {
  const hash = createHash('sha256')
  for (const { disk } of lives) {
    for (const table of TABLES) {
      for (const { key, value } of await disk.range(table)) hash.update(encode([table, [...key], value]))
    }
  }
  return hash.digest('hex')
}
