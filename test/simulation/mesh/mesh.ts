/**
 * Whole meshes in one process: agents and relays, on a network in memory, disks that fail and a clock that is driven. Things
 * happen to them; then nothing fails any more, and everything has to come to its end. In plain Node it needs `register.mjs`.
 */

import { primitives } from '#crypto'
import { seededRandom } from '../../../src/common/random.ts'
import { createIdentity } from '../../../src/identity/keys.ts'
import { MemoryNet } from '../../../src/network/memory.ts'
import type { Refusals } from '../mortal-store.ts'
import { happen, settleClones, startRelay } from './acts.ts'
import { check } from './checker.ts'
import { MeshClock } from './clock.ts'
import { setClocks } from './clocks.ts'
import { cipherNews, primitives as ours, useCrypto } from './crypto.ts'
import { newDisk } from './disks.ts'
import { Files } from './file-disk.ts'
import { History } from './history.ts'
import { boot, crash } from './machines.ts'
import { checkClosed, settle } from './settling.ts'
import { type Machine, noCounters, type Outcome, type Relay, type Run, type Way } from './state.ts'

/** How a run may differ from what its seed says. */
export interface MeshOptions {
  /** Takes the lines of what happened. */
  readonly timeline?: (lines: string) => void
}

/** The furthest that wall clocks are set ahead or back, ms: others believe what is within 120 s of theirs, or they do not. */
const FURTHEST = { mostly: 50_000, inSome: 1_500_000 }
/** In which part of the runs that is so far. */
const FAR = 0.2

const NAMES = ['ada', 'bob', 'cleo', 'dan', 'eve']

/** One run: it is the same for the same seed, to the last thing that happens. */
export async function simulateMesh(seed: number, { timeline }: MeshOptions = {}): Promise<Outcome> {
  if (primitives !== ours) throw new Error('the simulation of meshes runs with its own #crypto: see register.mjs')
  const isReal = seed % 20 === 0
  useCrypto(isReal ? 'real' : 'quick')
  const run = await open(seed)
  try {
    return await play(run, isReal, timeline)
  } finally {
    run.files?.remove()
  }
}

async function play(run: Run, isReal: boolean, timeline: MeshOptions['timeline']): Promise<Outcome> {
  run.counters.realCrypto = isReal ? 1 : 0
  const { random, clock, net, machines, relays, counters, history } = run
  const steps = 40 + Math.floor(random.float() * 60)
  for (let step = 0; step < steps; step++) {
    await happen(run)
    await clock.advance(random.float() * (random.float() < 0.03 ? 15_000 : 300))
    if (step === Math.floor(steps / 2)) for (const machine of machines) if (machine.doomed) leave(run, machine)
  }
  run.calm = true
  net.heal()
  net.setFaults({ loss: 0, duplication: 0, reordering: 0 })
  for (const relay of relays) {
    relay.corrupts = 0
    startRelay(run, relay)
  }
  setClocks(run)
  for (const machine of machines) {
    machine.now?.store.dieAfter(Number.POSITIVE_INFINITY)
    machine.now?.store.refuse(undefined)
  }
  counters.refusedWrites = run.refusals?.count ?? 0
  await settle(run)
  settleClones(run)
  await check(run)
  await checkClosed(run)
  for (const file of [...run.over, ...machines.map(({ file }) => file)]) await file?.end()
  counters.seals = cipherNews().seals
  const events = net.history
  for (const { type } of events) if (type === 'lost' || type === 'duplicated' || type === 'reordered') counters[type]++
  timeline?.(history.timeline(events, id => [...machines, ...relays].find(one => one.id === id)?.name ?? id))
  return { counters, faults: run.faults, digest: history.digest(events) }
}

/** A mesh in which nothing has happened yet. */
async function open(seed: number): Promise<Run> {
  const clock = new MeshClock()
  const random = seededRandom(seed)
  const faults = { loss: 0.03, duplication: 0.05, reordering: 0.05, delay: [1, 40] as const }
  const net = new MemoryNet({ clock, random, faults, historySize: Number.MAX_SAFE_INTEGER })
  const count = 3 + Math.floor(random.float() * 3)
  const relays: Relay[] = []
  for (let i = 0; i < 1 + Math.floor(random.float() * 2); i++) {
    const { id } = await createIdentity(undefined, random)
    relays.push({
      name: `relay${i}`,
      id,
      address: `/memory/${id}/p2p/${id}`,
      carrier: undefined,
      corrupts: random.float() < 0.3 ? 0.1 : 0,
    })
  }
  const run: Run = {
    seed,
    random,
    clock,
    net,
    history: new History(() => clock.monotonic()),
    machines: [],
    relays,
    sent: [],
    byText: new Map(),
    byId: new Map(),
    counters: noCounters(),
    faults: [],
    // With each of what is in every so many runs, over time.
    files: seed % 7 === 3 ? new Files() : undefined,
    blind: seed % 7 !== 3 && seed % 2 === 0,
    written: 0,
    over: [],
    furthest: random.float() < FAR ? FURTHEST.inSome : FURTHEST.mostly,
    refusals: refusalsOf(seed),
    lossesAt: new Map(),
    begun: new Map(),
    calm: true,
  }
  for (const relay of relays) startRelay(run, relay)
  const leaves = seed % 5 === 2
  for (let i = 0; i < count; i++) {
    const identity = await createIdentity(undefined, random)
    const { id } = identity
    const machine = {
      name: NAMES[i] as string,
      identity,
      id,
      place: id,
      // Some are behind a relay, as tabs are.
      listens: i === 0 || random.float() < 0.55,
      doomed: leaves && i === count - 1,
      original: undefined,
      copiedAt: 0,
      settledBefore: new Set<Way>(),
      arrived: new Set<string>(),
      snapshot: undefined,
      file: undefined,
      generation: 0,
      losses: 0,
      boots: 0,
      gone: false,
      skew: 0,
      mostSkew: 0,
      unshown: false,
      now: undefined,
    }
    const whole: Machine = Object.assign(machine, await newDisk(run, machine))
    run.machines.push(whole)
    boot(run, whole)
    await clock.advance(20)
  }
  run.calm = false
  return run
}

/** In a part of the runs disks refuse 1 to 10 % of what they are given. */
function refusalsOf(seed: number): Refusals | undefined {
  if (seed % 3 !== 1) return undefined
  const random = seededRandom(seed * 1_000)
  return { part: 0.01 + random.float() * 0.09, random, count: 0 }
}

/** A machine goes, and never returns. */
function leave(run: Run, machine: Machine): void {
  machine.gone = true
  run.counters.neverReturned++
  if (machine.now !== undefined) crash(run, machine, machine.now, 'for good')
}
