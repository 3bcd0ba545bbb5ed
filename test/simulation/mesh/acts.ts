/** What happens in a mesh: one thing at a time, chosen at random. */

import type { Batch } from '../../../src/store/store.ts'
import { pick } from '../delivery/state.ts'
import { setClock } from './clocks.ts'
import { boot, changeDisk, close, crash, crashSoon, keepSnapshot, loseKeys } from './machines.ts'
import { cancelOne, retryOne, sendOne, tellAll } from './sends.ts'
import type { Boot, Machine, Relay, Run } from './state.ts'
import { clone, endClone } from './twins.ts'

type Act = (run: Run, machine: Machine, boot: Boot) => Promise<void> | void

/** How long a cut or an outage lasts at most, ms. */
const LONGEST = 25_000

/** Each thing that may happen, as often as it does in a hundred. */
const ACTS: readonly Act[] = [
  ...times(40, send),
  ...times(5, (run, machine, now) => now.agent && tellAll(run, machine, now, now.agent)),
  ...times(6, (run, machine, now) => now.agent && cancelOne(run, machine, now, now.agent)),
  ...times(8, retry),
  ...times(4, (run, machine, now) => crash(run, machine, now, 'power')),
  ...times(6, crashAmidst),
  ...times(3, closeAmidst),
  ...times(3, fail),
  ...times(5, partition),
  ...times(4, cutOneWay),
  ...times(3, unheard),
  ...times(2, kill),
  ...times(3, relayFails),
  ...times(3, jump),
  ...times(4, keepSnapshot),
  ...times(1, cloneOne),
]

function times(count: number, act: Act): Act[] {
  return new Array<Act>(count).fill(act)
}

/** One thing happens. */
export async function happen(run: Run): Promise<void> {
  const { random, machines } = run
  for (const machine of machines) {
    if (machine.now === undefined && !machine.gone && random.float() < 0.2) await comeBack(run, machine)
  }
  settleClones(run)
  const up = machines.filter(({ now }) => now?.state === 'up')
  if (up.length === 0) return
  const machine = pick(random, up)
  await pick(random, ACTS)(run, machine, machine.now as Boot)
}

/** A machine starts again, with or without what it had. */
async function comeBack(run: Run, machine: Machine): Promise<void> {
  const fate = run.random.float()
  if (machine.original === undefined) {
    if (fate < 0.05) await changeDisk(run, machine, 'empty')
    else if (fate < 0.15) await changeDisk(run, machine, 'earlier')
    else if (fate < 0.2) await loseKeys(run, machine)
  }
  boot(run, machine)
}

/** Where a copy or its original has stopped by itself, they are one again. */
export function settleClones(run: Run): void {
  for (const twin of run.machines) {
    const { original } = twin
    if (original === undefined || twin.gone) continue
    const noticed = run.history.entries.some(
      ({ who, what, detail }) =>
        what === 'told' && detail.event === 'identity:in-use' && (who === twin.name || who === original.name),
    )
    if (noticed) endClone(run, twin)
  }
}

function cloneOne(run: Run, machine: Machine): Promise<void> | undefined {
  const { machines, seed } = run
  // Not in each run: what is promised of it is little, and hides what is promised of others.
  if (seed % 3 !== 0 || machine.doomed || machines.some(({ original }) => original !== undefined)) return undefined
  return clone(run, machine)
}

const others = ({ machines }: Run, machine: Machine): Machine[] =>
  machines.filter(({ id, original }) => id !== machine.id && original === undefined)

function send(run: Run, machine: Machine, now: Boot): void {
  const { random } = run
  const all = others(run, machine)
  const several = random.float() < 0.15
  const to = several ? [...all, machine].filter(() => random.float() < 0.6) : [pick(random, all)]
  // To oneself alone nothing goes over the network: that is of the agent's tests.
  const wanted = to.filter(other => other !== machine && other.original === undefined)
  const count = 1 + Math.floor(random.float() * 3)
  for (let i = 0; i < count; i++) {
    if (now.agent !== undefined && wanted.length > 0 && now.state === 'up')
      sendOne(run, machine, now, now.agent, wanted)
  }
}

function crashAmidst(run: Run, machine: Machine, now: Boot): void {
  crashSoon(run, machine, now)
  send(run, machine, now)
}

function closeAmidst(run: Run, machine: Machine, now: Boot): void {
  send(run, machine, now)
  close(run, machine, true)
}

/** Its disk writes nothing for a while, or refuses it: all, or what has to do with some of its tables. */
function fail(run: Run, machine: Machine, { store }: Boot): void {
  const { random, clock, counters, refusals, history } = run
  const ms = 500 + random.float() ** 2 * 15_000
  history.add(machine.name, 'disk', { fails: refusals === undefined ? 'stalls' : 'refuses', ms: Math.round(ms) })
  if (refusals === undefined) {
    counters.stalls++
    // The number of a card that it shows meanwhile may not be there yet when it stops.
    machine.unshown = true
    return store.stall(ms)
  }
  counters.outages++
  const kind = pick(random, ['all', 'dead-letters', 'inbox', 'outbox', 'epochs', 'receipts'])
  const of = ({ writes }: Batch): boolean => kind === 'all' || writes.some(({ table }) => table === kind)
  const whole = { part: 1, random: refusals.random, of, count: 0 }
  store.refuse(whole)
  clock.after(ms, () => {
    refusals.count += whole.count
    store.refuse(run.calm ? undefined : refusals)
  })
}

/** For a while only. */
function mend(run: Run, ...pairs: (readonly [string, string])[]): void {
  run.clock.after(1_000 + run.random.float() ** 2 * LONGEST, () => {
    for (const [a, b] of pairs) run.net.heal(a, b)
  })
}

/** The direct way between two, or between one and everybody else; a relay may still lead around. */
function partition(run: Run, machine: Machine): void {
  const { random, net, counters, history, relays } = run
  counters.partitions++
  const all = others(run, machine)
  const cut = (random.float() < 0.7 ? [pick(random, all)] : all).map(({ place }) => place)
  if (random.float() < 0.2) cut.push(...relays.map(({ id }) => id))
  history.add(machine.name, 'network', { event: 'partition', from: cut.length })
  net.partition([machine.place], cut)
  mend(run, ...cut.map(place => [machine.place, place] as const))
}

function cutOneWay(run: Run, machine: Machine): void {
  const { random, net, counters, history } = run
  counters.oneWayCuts++
  const { place, name } = pick(random, others(run, machine))
  history.add(machine.name, 'network', { event: 'cut', to: name })
  net.cut(machine.place, place)
  mend(run, [machine.place, place])
}

/** What comes of a message is not heard until its time is over: every way back is cut, the one there is not. */
function unheard(run: Run, machine: Machine, now: Boot): void {
  const { random, net, relays, clock, history } = run
  const to = pick(random, others(run, machine))
  if (now.agent === undefined || to.now?.state !== 'up' || !to.listens) return
  history.add(machine.name, 'network', { event: 'hears nothing', of: to.name })
  sendOne(run, machine, now, now.agent, [to], true)
  const places = [machine.place, ...relays.map(({ id }) => id)]
  // Once it is there, and before its word is back.
  clock.after(3 + random.float() * 30, () => {
    for (const place of places) net.cut(to.place, place)
    mend(run, ...places.map(place => [to.place, place] as const))
  })
}

function kill(run: Run, machine: Machine): void {
  run.counters.kills++
  run.net.kill(machine.place, pick(run.random, others(run, machine)).place)
}

/** A relay goes down for a while, or begins to change what it forwards, or stops that. */
function relayFails(run: Run): void {
  const { random, net, counters, clock, relays, history } = run
  const relay = pick(random, relays)
  if (random.float() < 0.5) {
    relay.corrupts = relay.corrupts > 0 ? 0 : 0.05 + random.float() * 0.3
    history.add(relay.name, 'network', { event: 'corrupts', part: relay.corrupts })
    return
  }
  if (relay.carrier === undefined) return
  counters.relayCrashes++
  history.add(relay.name, 'crash')
  relay.carrier = undefined
  net.crash(relay.id)
  clock.after(random.float() * LONGEST, () => startRelay(run, relay))
}

export function startRelay({ net, history }: Run, relay: Relay): void {
  if (relay.carrier !== undefined) return
  relay.carrier = net.carrier(relay.id, { relay: true })
  history.add(relay.name, 'boot')
  void relay.carrier.start()
}

/** Somebody sets its clock. */
function jump(run: Run, machine: Machine): void {
  const { random, counters, history, furthest } = run
  counters.jumps++
  setClock(run, machine, Math.round((random.float() * 2 - 1) * furthest))
  history.add(machine.name, 'clock', { ahead: machine.skew })
}

/** Not waited for: its power may go meanwhile. */
function retry(run: Run, machine: Machine, now: Boot): void {
  if (now.agent !== undefined) void retryOne(run, machine, now, now.agent)
}
