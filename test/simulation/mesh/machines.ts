/** The machines of a mesh: how they start, how they go down, and what becomes of their disks meanwhile. */

import type { Agent } from '../../../src/agent/agent.ts'
import { createAgent } from '../../../src/agent/create-agent.ts'
import { AfpError } from '../../../src/common/errors.ts'
import { fixedRetry } from '../../../src/delivery/retry.ts'
import { readOutbox } from '../../../src/delivery/rows.ts'
import { pick } from '../delivery/state.ts'
import { MortalStore, Refused } from '../mortal-store.ts'
import { MachineClock } from './clock.ts'
import { setClock } from './clocks.ts'
import { behindRelays } from './corruption.ts'
import { newDisk, nextTry, opened } from './disks.ts'
import { listen } from './handlers.ts'
import { type Snapshot, snapshotOf } from './snapshot.ts'
import { type Boot, begin, fault, type Machine, MESH, type Run } from './state.ts'

/** By then whoever dialled what was just closing has heard so, ms. */
const LATEST = 100

/** Starts a machine, which may lose its power meanwhile. */
export function boot(run: Run, machine: Machine): void {
  const { random, counters, history, net, machines, relays } = run
  const clock = new MachineClock(run.clock, () => machine.skew)
  // What is being written when an agent closes is its store's to finish.
  const store = new MortalStore(opened(run, machine), run.clock, random)
  const { id, place, identity, name } = machine
  const carrier = net.carrier(id, { place, listen: machine.listens, relays: relays.map(({ address }) => address) })
  const few = !run.calm && random.float() < 0.25
  const policy = fixedRetry({ delay: 300 + random.float() * 3_000, retries: 1 + Math.floor(random.float() * 2) })
  const policies = { 'handler-error': policy, expired: policy, 'attempts-exhausted': policy, rejected: policy }
  const tries = pick(random, [undefined, 0, 1, 3])
  const small = !run.calm && random.float() < 0.2
  const now: Boot = {
    number: machine.boots++,
    clock,
    store,
    carrier,
    agent: undefined,
    state: 'booting',
    begun: new Set(),
    byHand: new Set(),
    failing: run.calm ? 0.05 : pick(random, [0.05, 0.05, 0.3]),
  }
  machine.now = now
  counters.boots++
  history.add(name, 'boot', { number: now.number })
  behindRelays(run, carrier)
  const start = carrier.start.bind(carrier)
  // What has no power joins nothing.
  carrier.start = options => (now.state === 'dead' ? new Promise(() => {}) : start(options))
  if (!run.calm && random.float() < 0.1) crashSoon(run, machine, now, 40)
  if (!run.calm && run.refusals !== undefined && random.float() < 0.2)
    store.refuse({ part: 0.4, random: run.refusals.random, count: 0 })
  const others = machines.filter(other => other !== machine && other.listens && other.id !== id)
  const peers = others.filter(() => random.float() < 0.7).map(other => `/memory/${other.place}/p2p/${other.id}`)
  const starting = createAgent({
    name,
    mesh: MESH,
    identity,
    store,
    clock,
    random,
    peers,
    relays: relays.map(({ address }) => address),
    carrier: () => carrier,
    handlerRetry: tries === undefined ? undefined : fixedRetry({ delay: 200, retries: tries }),
    deadLetterRetry: !run.calm && random.float() < 0.3 ? policies : undefined,
    deadLetters: few ? { maxEntries: 2 + Math.floor(random.float() * 4) } : undefined,
    inbox: run.seed % 4 === 0 ? { messages: 2 + (run.seed % 7) } : undefined,
    outbox: small ? { messages: 3 + Math.floor(random.float() * 8) } : undefined,
  })
  begin(run, `${name} starts`, now, starting)
  starting.then(
    agent => {
      if (isOver(now)) return
      now.agent = agent
      now.state = 'up'
      machine.unshown = false
      store.refuse(run.calm ? undefined : run.refusals)
      history.add(name, 'up', { number: now.number })
      run.lossesAt.set(agent.card.instance, machine.losses)
      follow(run, machine, now, agent)
      listen(run, machine, now, agent)
    },
    error => {
      if (isOver(now)) return
      counters.bootsFailed++
      history.add(name, 'told', { failed: String(error) })
      if (!(error instanceof Refused)) fault(run, 'error', `${name} does not start: ${error?.stack ?? error}`)
      powerOff(run, machine, now)
    },
  )
  void nextTry(machine.disk).then(at => {
    if (at > clock.now()) counters.bootsInBackoff++
  })
}

const isOver = (boot: Boot): boolean => boot.state === 'dead'

/** Errors that are told because the run made them. */
const isExpected = (error: unknown): boolean =>
  error instanceof Refused ||
  (error instanceof AfpError && ['QUEUE_FULL', 'MESSAGE_EXPIRED', 'CLOSED'].includes(error.code)) ||
  (error instanceof Error && (/^a bad /.test(error.message) || isExpected(error.cause ?? undefined)))

/** Notes what an agent tells. */
function follow(run: Run, machine: Machine, boot: Boot, agent: Agent): void {
  const { history, counters, byId } = run
  const { name } = machine
  const tell = (what: string, detail: Readonly<Record<string, unknown>>): void => {
    if (!isOver(boot)) history.add(name, 'told', { event: what, ...detail })
  }
  const nameOf = (id: string): string => run.machines.find(other => other.id === id)?.name ?? id
  agent.addEventListener('delivery:changed', ({ detail: { id, recipient, receipt } }) => {
    if (isOver(boot)) return
    const { state, inDoubt, reason } = receipt
    const sent = byId.get(id)
    history.add(name, 'receipt', { message: sent?.text ?? id, to: nameOf(recipient), state, inDoubt, reason })
    const way = sent?.ways.get(recipient)
    if (sent === undefined || way === undefined) return
    way.processed = state === 'processed'
    if (['dead', 'expired', 'cancelled'].includes(state)) way.over = !inDoubt
    else if (state === 'queued') way.over = false
    // By the clock of any of those that may have said so.
    const latest = run.clock.now() + Math.max(...run.machines.map(({ mostSkew }) => mostSkew))
    const isEarly = sent.kind !== 'request' && !way.sentAgain && Math.ceil(latest) < Math.floor(sent.expiresAt)
    if (state === 'expired' && isEarly)
      fault(run, 'lost', `${sent.text} to ${nameOf(recipient)} has expired ${sent.expiresAt - latest} ms too soon`)
  })
  agent.addEventListener('dead-letter:retried', ({ detail }) => {
    if (isOver(boot)) return
    if (detail.outcome === 'delivered') counters.foundDelivered++
    if (detail.outcome === 'retried' && !boot.byHand.has(detail.id)) counters.retriedByPolicy++
  })
  agent.addEventListener('refused', ({ detail: { peer, reason, detail } }) => {
    if (isOver(boot)) return
    counters.refusedFrames++
    // Of messages, not of gossip.
    if (reason === 'clock-skew' && detail?.startsWith('made ')) counters.refusedTooEarly++
    history.add(name, 'refused', { peer: nameOf(peer), reason })
  })
  agent.addEventListener('store:error', ({ detail: { error } }) => {
    tell('store:error', { error: String(error) })
    if (!isOver(boot) && !isExpected(error))
      fault(run, 'error', `a disk failed at ${name}: ${(error as Error)?.stack ?? error}`)
  })
  agent.addEventListener('handler:error', ({ detail: { error } }) => {
    tell('handler:error', { error: String(error) })
    if (!isOver(boot) && !isExpected(error)) fault(run, 'error', `${name}: ${(error as Error)?.stack ?? error}`)
  })
  agent.addEventListener('feed:rollback', ({ detail: { peer } }) => {
    tell('feed:rollback', { peer: nameOf(peer) })
    if (!isOver(boot)) counters.rollbacksTold++
  })
  for (const type of ['feed:hole', 'feed:lost'] as const)
    agent.addEventListener(type, ({ detail: { peer, count } }) => tell(type, { peer: nameOf(peer), count }))
  agent.addEventListener('identity:in-use', () => {
    tell('identity:in-use', {})
    // Its card goes on being told for a while when the copy is gone.
    const isCloned = run.machines.some(({ original }) => original === machine || machine.original !== undefined)
    if (!isOver(boot) && !isCloned) fault(run, 'error', `${name} takes itself for two`)
  })
  agent.addEventListener('closed', () => {
    if (isOver(boot)) return
    tell('closed', {})
    // By itself: it has seen that there is another one of it.
    if (boot.state === 'up') {
      history.add(name, 'closed', { byItself: true })
      powerOff(run, machine, boot, 'closed')
    }
  })
}

/** Its power goes, and some of what was on its way to the disk with it. */
export function crash(run: Run, machine: Machine, boot: Boot, why: string): void {
  if (boot.state === 'dead') return
  run.counters.crashes++
  run.history.add(machine.name, 'crash', { why })
  powerOff(run, machine, boot, 'cut')
  void boot.store.tear(run.random).then(({ underWay, landed, overtaken }) => {
    const { counters } = run
    counters.landedUnheard += landed
    if (underWay > 0) counters.torn++
    if (landed < underWay) counters.tornLost++
    if (landed > 0 && landed < underWay) counters.tornInParts++
    if (overtaken) counters.tornReordered++
  })
}

/** It is not there any more: its power was cut, which is its disk's matter, its process was killed, or it has closed. */
export function powerOff(run: Run, machine: Machine, boot: Boot, why: 'cut' | 'killed' | 'closed' = 'killed'): void {
  const { carrier, clock, store } = boot
  boot.state = 'dead'
  store.die()
  clock.stop()
  if (why === 'killed') machine.file?.kill()
  if (why === 'closed') void machine.file?.close()
  if (carrier.running) run.net.crash(machine.place)
  if (machine.now === boot) machine.now = undefined
}

/** Its power goes at one of the next awaits: of its disk, or at any other. */
export function crashSoon(run: Run, machine: Machine, boot: Boot, within = 400): void {
  const { random, clock, counters } = run
  if (random.float() < 0.6) {
    boot.store.dieAfter(Math.floor(random.float() * 40), () => {
      if (boot.state === 'dead') return
      counters.crashesWriting++
      crash(run, machine, boot, 'at its disk')
    })
    return
  }
  let turns = Math.floor(random.float() * 60)
  const turn = (): void => {
    if (boot.state === 'dead' || run.calm) return
    if (turns-- > 0) return queueMicrotask(turn)
    counters.crashesAtAwait++
    crash(run, machine, boot, 'at an await')
  }
  clock.after(random.float() * within, turn)
}

/** It closes as it should; its power may go meanwhile. */
export function close(run: Run, machine: Machine, mayCrash: boolean): void {
  const { random, history, counters, clock } = run
  const { now } = machine
  if (now?.agent === undefined || now.state !== 'up') return
  now.state = 'closing'
  history.add(machine.name, 'closing')
  if (mayCrash && random.float() < 0.4) {
    clock.after(random.float() * 30, () => {
      if (now.state === 'dead') return
      counters.crashesClosing++
      crash(run, machine, now, 'closing')
    })
  }
  const closing = now.agent.close()
  begin(run, `${machine.name} closes`, now, closing)
  closing.then(
    () => {
      if (now.state === 'dead') return
      counters.closed++
      history.add(machine.name, 'closed')
      // What rests for one turn of the event loop has it.
      clock.after(0, () => checkOver(run, machine, now))
    },
    error => {
      if (now.state !== 'dead') fault(run, 'error', `${machine.name} does not close: ${error?.stack ?? error}`)
    },
  )
}

/** Nothing is left of what has closed but what it had on its disk. */
function checkOver(run: Run, machine: Machine, boot: Boot): void {
  if (boot.state === 'dead') return
  const { clock, carrier } = boot
  if (clock.pending > 0) fault(run, 'leaked', `${clock.pending} timers of ${machine.name}, which has closed`)
  clock.after(LATEST, () => {
    if (carrier.connections().length > 0) fault(run, 'leaked', `connections of ${machine.name}, which has closed`)
    powerOff(run, machine, boot, 'closed')
  })
}

/** What it had of messages that had arrived is gone, unless it is on the disk that it has now. */
function excuse({ sent }: Run, machine: Machine, had: ReadonlySet<string>, has: ReadonlySet<string>): void {
  for (const { id, ways } of sent) {
    const way = ways.get(machine.id)
    if (way === undefined || has.has(id)) continue
    way.loose = true
    if (had.has(id)) way.excused = 'it went with the disk of its recipient'
  }
}

/**
 * What waits on a copy of a disk that a sender had, and is not sealed yet or has to be sealed anew, goes under a number that
 * its recipient has not seen, though it may have gone under another one since: nothing tells it that this is one message.
 */
export function mayGoTwice({ byId }: Run, rows: Snapshot): void {
  for (const row of rows.find(({ table }) => table === 'outbox')?.rows ?? []) {
    const { recipient, epoch, row: out } = readOutbox(row)
    const way = byId.get(out.messageId)?.ways.get(recipient)
    if (way === undefined) continue
    way.copied = true
    // What goes anew goes behind what was sent since.
    way.loose = true
    if (epoch === '') way.mayGoTwice = true
  }
}

/** What is on its way from a machine whose disk knows nothing of it any more is handled as it comes, and told to be late. */
function scatter({ sent }: Run, machine: Machine, accepted?: ReadonlySet<string>): void {
  for (const entry of sent) {
    if (entry.from !== machine) continue
    if (accepted?.has(entry.id) !== true) entry.forgotten = true
    for (const way of entry.ways.values()) if (!way.to.arrived.has(entry.id)) way.loose = true
  }
}

/** A machine that is down has another disk from now on: none, or an earlier one. */
export async function changeDisk(run: Run, machine: Machine, to: 'empty' | 'earlier'): Promise<void> {
  const { counters, history } = run
  const before = to === 'earlier' ? machine.snapshot : undefined
  if (to === 'earlier' && before === undefined) return
  const had = machine.arrived
  machine.arrived = new Set(before?.arrived)
  excuse(run, machine, had, machine.arrived)
  scatter(run, machine, before?.accepted)
  machine.generation++
  machine.losses++
  if (to === 'empty') machine.snapshot = undefined
  counters[to === 'empty' ? 'lostDisks' : 'rolledBack']++
  // The numbers of its cards went with the disk: where its clock was set back too, who knew it before believes the old one.
  machine.unshown = true
  setClock(run, machine, machine.mostSkew)
  history.add(machine.name, 'disk', { now: to })
  Object.assign(machine, await newDisk(run, machine, before?.rows))
  mayGoTwice(run, before?.rows ?? [])
}

/** A machine that is down loses its keys. */
export async function loseKeys(run: Run, machine: Machine): Promise<void> {
  run.counters.lostKeys++
  machine.losses++
  run.history.add(machine.name, 'disk', { lost: 'keys' })
  const { disk, file } = machine
  await (file?.model === disk ? file : disk).commit({ writes: [{ op: 'deleteRange', table: 'prekeys', range: {} }] })
  // What was sealed to a key that is gone goes again, behind what was sealed to the new one.
  for (const { id, ways } of run.sent) {
    const way = ways.get(machine.id)
    if (way !== undefined && !machine.arrived.has(id)) way.loose = true
  }
}

/** Notes what a disk has now, to be set back to it. */
export async function keepSnapshot(run: Run, machine: Machine): Promise<void> {
  const arrived = new Set(machine.arrived)
  // By now: what is accepted while it is read may be there as well.
  const accepted = new Set(
    run.sent.flatMap(({ id, from, state }) => (from === machine && state === 'accepted' ? id : [])),
  )
  machine.snapshot = { rows: await snapshotOf(machine.disk), arrived, accepted }
}
