/** Agents that write to each other while the network fails and machines lose power; in the end everything is looked at. */

import { createHash } from 'node:crypto'
import { seededRandom } from '../../../src/common/random.ts'
import { encode } from '../../../src/message/codec.ts'
import { TABLES } from '../../../src/store/schema.ts'
import { DeliveryWorld } from '../../delivery/world.ts'
import type { Refusals } from '../mortal-store.ts'
import { watchNonces } from '../nonces.ts'
import { connect, happen } from './acts.ts'
import { judge } from './judge.ts'
import { newDisk, putAway, waitingOn } from './letters.ts'
import { boot, see } from './machines.ts'
import { crash, hasSmallInbox, type Life, noCounters, type Outcome, type Run } from './state.ts'

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
    replies: new Map(),
    byHand: new Set(),
    begun: new Map(),
    calm: true,
    roomy: false,
  }
  world.greeted = ({ id, delivery }, peer) => see(run, id, peer, delivery)
  const unwatch = watchNonces(what => run.faults.push(what))
  for (let i = 0; i < agents; i++) {
    const { identity } = await world.machine()
    const { id } = identity
    const away = new Set<string>()
    const life: Life = {
      identity,
      id,
      ...newDisk(run, { id, putAway: away }),
      putAway: away,
      letterRoom: undefined,
      small: false,
      stalledUntil: 0,
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
  unwatch()
  return { counters: run.counters, faults: run.faults, digest }
}

/** In a part of the runs disks refuse 2 to 20 % of what they are given. Other seeds do what they did. */
function refusalsOf(seed: number): Refusals | undefined {
  if (seed % 3 !== 1) return undefined
  const random = seededRandom(seed * 1_000)
  return { part: 0.02 + random.float() * 0.18, random, count: 0 }
}

/** Everything has to come to its end: without room for letters all but these, and these once there is some. */
async function settleAll(run: Run): Promise<void> {
  const { seed, lives, faults } = run
  const others = await settle(run, 150, ({ others }) => others.length === 0)
  // What waits for room among the letters takes up some where there is little for messages as well.
  const tight = hasSmallInbox(run) || lives.some(({ small }) => small)
  if (!tight) for (const what of others) faults.push(`without room for letters ${what}`)
  // Where nobody puts any away there is more room in the next run.
  const anew = seed % 2 === 0
  run.roomy = anew
  if (anew) for (const life of lives) crash(run, life)
  const left = await settle(
    run,
    400,
    ({ owed, others }) => owed + others.length === 0,
    async () => {
      if (!anew) for (const life of lives) if (life.letterRoom !== undefined) await putAway(run, life)
    },
  )
  for (const what of left) faults.push(`in the end ${what}`)
}

type Waiting = Awaited<ReturnType<typeof waitingOn>>

/** Starts and links everybody until that is so of each, for so many seconds at most; what there is else. */
async function settle(
  run: Run,
  seconds: number,
  isOver: (waiting: Waiting) => boolean,
  also = async (): Promise<void> => {},
): Promise<string[]> {
  const { world, lives } = run
  let left: string[] = []
  for (let round = 0; round < seconds; round++) {
    for (const life of lives) if (life.now === undefined) await boot(run, life)
    for (const a of lives) for (const b of lives) if (a.id < b.id) connect(a, b)
    await also()
    await world.clock.advance(1_000)
    const all = await Promise.all(lives.map(async life => ({ life, waiting: await waitingOn(run, life) })))
    if (all.every(({ waiting }) => isOver(waiting))) return []
    left = all.flatMap(({ life, waiting: { owed, others } }) => [
      ...others.map(row => `${life.id} still has ${row}`),
      ...(owed > 0 ? [`${life.id} owes ${owed} letters`] : []),
    ])
  }
  return left
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
