/** What happens in the simulation: one thing at a time, chosen at random. */

import { fixedRetry } from '../../../src/delivery/retry.ts'
import { buildMessage } from '../../../src/message/build.ts'
import { createIds } from '../../../src/message/ids.ts'
import { DEFAULT_LIMITS } from '../../../src/message/validate.ts'
import type { Batch } from '../../../src/store/store.ts'
import type { Node } from '../../delivery/world.ts'
import { Refused } from '../mortal-store.ts'
import { putAway, retryOne } from './letters.ts'
import { boot, close, crashAt } from './machines.ts'
import { begin, crash, isOver, type Life, lossesOf, pick, type Run, type Sent, type Way } from './state.ts'

type Act = (run: Run, life: Life) => Promise<void> | void

/** Each thing that may happen, as often as it does in a hundred. */
const ACTS: readonly Act[] = [
  ...times(45, sendSome),
  ...times(8, cancelOne),
  ...times(9, retryOne),
  ...times(2, putAway),
  ...times(3, fail),
  ...times(4, crash),
  ...times(3, crashWriting),
  ...times(3, closeAmidst),
  ...times(4, cut),
  ...times(4, ({ world }) => world.net.heal()),
  ...times(15, connectOne),
]

function times(count: number, act: Act): Act[] {
  return new Array<Act>(count).fill(act)
}

/** One thing happens. */
export async function happen(run: Run): Promise<void> {
  const { random, lives } = run
  for (const life of lives) if (life.now === undefined && random.float() < 0.2) await boot(run, life)
  const up = lives.filter(({ now }) => now !== undefined)
  if (up.length === 0) return
  await pick(random, ACTS)(run, pick(random, up))
}

/** Makes a connection between two machines, if both are there. */
export function connect(a: Life, b: Life): void {
  const address = b.now?.node.network.addresses()[0]
  if (a === b || address === undefined || a.now?.node.network.link(b.id) !== undefined) return
  a.now?.node.network.connect(address).catch(() => {})
}

const otherThan = ({ random, lives }: Run, life: Life): Life =>
  pick(
    random,
    lives.filter(other => other !== life),
  )

function connectOne(run: Run, life: Life): void {
  connect(life, otherThan(run, life))
}

function cut(run: Run, life: Life): void {
  run.counters.cuts++
  run.world.net.partition([life.id], [otherThan(run, life).id])
}

function sendSome(run: Run, life: Life): void {
  const { random } = run
  const to = recipients(run, life)
  const count = 1 + Math.floor(random.float() * 3)
  for (let i = 0; i < count; i++) if (life.now !== undefined) send(run, life, life.now.node, to)
}

/** Its power goes while it reads or writes something, soon. */
function crashWriting(run: Run, life: Life): void {
  const { random } = run
  const store = life.now?.store
  store?.dieAfter(Math.floor(random.float() * 40), () => crashAt(run, life, store))
  sendSome(run, life)
}

/** Its disk writes nothing for a while, or refuses it: all, or what has to do with dead letters or with ends. */
function fail(run: Run, life: Life): void {
  const { now } = life
  const { random, world, counters, refusals } = run
  const ms = 500 + random.float() ** 2 * 15_000
  if (refusals === undefined) {
    counters.stalls++
    now?.store.stall(ms)
    life.stalledUntil = world.clock.monotonic() + ms
    return
  }
  counters.outages++
  const kind = pick(random, ['all', 'dead-letters', 'dead-letters', 'inbox', 'outbox'])
  const of = ({ writes }: Batch): boolean => kind === 'all' || writes.some(({ table }) => table === kind)
  const whole = { part: 1, random: refusals.random, of, count: 0 }
  now?.store.refuse(whole)
  const breaks = random.float() < 0.5
  world.clock.after(ms, () => {
    refusals.count += whole.count
    now?.store.refuse(run.calm ? undefined : refusals)
    // What was refused until now is nowhere, and what was not is there.
    if (breaks && !run.calm && now !== undefined) crashAt(run, life, now.store)
  })
}

/** It closes while something is under way. */
function closeAmidst(run: Run, life: Life): Promise<void> {
  sendSome(run, life)
  return close(run, life)
}

/** One other agent; sometimes two or three, this one perhaps among them. */
function recipients(run: Run, life: Life): Life[] {
  const { random, lives } = run
  if (random.float() >= 0.15) return [otherThan(run, life)]
  const all = [...lives]
  const count = random.float() < 0.6 ? 2 : 3
  while (all.length > count) all.splice(Math.floor(random.float() * all.length), 1)
  return all
}

function send(
  { seed, random, world, sent, byId, counters, faults, refusals }: Run,
  life: Life,
  node: Node,
  to: Life[],
): void {
  const kind = to.length === 1 && random.float() < 0.15 ? 'request' : 'message'
  const counted = random.float() < 0.3 ? '+' : ''
  const text = `${seed}-${++counters.sent}${counted}${random.float() < 0.08 ? '?' : ''}`
  const guarantee = random.float() < 0.7 ? 'exactly-once' : 'at-least-once'
  const priority = pick(random, [0, 0, 0, 5])
  const hurried = random.float() < 0.25
  const strategy = random.float() < 0.1 ? fixedRetry({ delay: 500, retries: 1 }) : undefined
  if (hurried) counters.hurried++
  if (to.length > 1) counters.several++
  if (kind === 'request') counters.requests++
  const { clock } = world
  const context = { sender: life.id, clock, ids: createIds({ clock, random }), limits: DEFAULT_LIMITS }
  const init = { guarantee, priority, ttl: hurried ? 0.05 + random.float() * 8 : undefined } as const
  const message = buildMessage({ recipients: to.map(({ id }) => id) }, text, init, context)
  const fresh = (to: Life): Way => ({
    to,
    disk: to.lostDisks,
    unsaid: false,
    over: false,
    calledOff: false,
    handledAgain: false,
    failedIn: undefined,
    ended: false,
    // It may be sealed to a key that is gone.
    loose: lossesOf(to) > (life.cards.get(to.id)?.losses ?? 0),
    lost: false,
  })
  const ways = new Map(to.map(life => [life.id, fresh(life)]))
  const { id } = message
  const entry: Sent = {
    id,
    text,
    kind,
    guarantee,
    priority,
    from: life,
    node,
    disk: life.lostDisks,
    ways,
    state: 'asked',
  }
  sent.push(entry)
  byId.set(id, entry)
  node.delivery.send(node.delivery.draft(message, kind, strategy), message.recipients).then(
    ({ receipt }) => {
      entry.state = 'kept'
      const unsent = [...receipt.recipients].filter(([, { final, left }]) => final && !left)
      const hindered = node !== life.now?.node || refusals !== undefined || life.letterRoom !== undefined
      for (const [recipient] of unsent) (ways.get(recipient) as Way).unsaid = hindered
      if (unsent.length > 0) counters.partly++
    },
    error => {
      entry.state = 'thrown'
      counters.thrown++
      const expected = error?.code === 'QUEUE_FULL' || error instanceof Refused || node !== life.now?.node
      if (!expected) faults.push(`${text}: could not be sent: ${error}`)
    },
  )
}

function cancelOne(run: Run, life: Life): void {
  const { random, sent, counters, faults } = run
  const mine = sent.filter(({ from, disk, state }) => from === life && disk === life.lostDisks && state === 'kept')
  const entry = mine.at(-1 - Math.floor(random.float() ** 2 * Math.min(30, mine.length)))
  if (entry === undefined || life.now === undefined) return
  const { node, store } = life.now
  for (const way of entry.ways.values()) way.calledOff = true
  const cancelling = node.delivery.cancel(entry.id)
  begin(run, `${entry.text} is called off`, node, cancelling)
  cancelling.then(
    async done => {
      const receipt = await node.tracker.get(entry.id)
      if (!done || receipt === undefined || store.dead) return
      counters.cancels++
      for (const [recipient, { state, ...rest }] of receipt.recipients) {
        if (state === 'cancelled' && isOver({ state, ...rest })) (entry.ways.get(recipient) as Way).over = true
      }
    },
    error => {
      if (!(error instanceof Refused)) faults.push(`${entry.text}: could not be called off: ${error}`)
    },
  )
}
