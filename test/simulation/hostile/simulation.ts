/**
 * Honest members that write to each other, and somebody against them: on the way between them, and one of them. In the
 * end everything that was sent has come, once, in order, from whom it says, and nothing else has.
 */

import { createHash } from 'node:crypto'
import { seededRandom } from '../../../src/common/random.ts'
import { buildMessage } from '../../../src/message/build.ts'
import { decode, encode } from '../../../src/message/codec.ts'
import { contentFromWire } from '../../../src/message/content.ts'
import { createIds } from '../../../src/message/ids.ts'
import type { Guarantee } from '../../../src/message/message.ts'
import { DEFAULT_LIMITS } from '../../../src/message/validate.ts'
import { memoryStore } from '../../../src/store/memory.ts'
import { TABLES } from '../../../src/store/schema.ts'
import { storedReceipt } from '../../delivery/stored-receipt.ts'
import { DeliveryWorld, type Handler, type Node } from '../../delivery/world.ts'
import { MortalStore } from '../mortal-store.ts'
import { watchNonces } from '../nonces.ts'
import { Meddler } from './meddler.ts'
import { type Counters, logKey, type Member, noCounters, pick, type Run, type Sent } from './run.ts'

/** What happened in a run. */
export interface Outcome {
  readonly counters: Readonly<Counters>
  /** What should not have happened. */
  readonly faults: readonly string[]
  /** Of every row on every disk at the end. */
  readonly digest: string
}

/** How long everything may take to come to its end once nobody is in the way, s. */
const PATIENCE = 200

/** One run: `steps` things happen to three members, then whoever is against them is gone. */
export async function simulateHostile(seed: number, { steps = 60 } = {}): Promise<Outcome> {
  const world = new DeliveryWorld(seed, { loss: 0.03, duplication: 0.05, reordering: 0.1, delay: [1, 40] })
  const random = seededRandom(seed)
  const run: Run = {
    random,
    world,
    members: [],
    sent: [],
    once: new Map(),
    counters: noCounters(),
    faults: [],
    meddler: undefined,
    calm: false,
  }
  const unwatch = watchNonces(what => run.faults.push(what))
  const meddler = await Meddler.make(run, seededRandom(seed * 1_000))
  run.meddler = meddler
  world.arrives = (node, from, frame) => meddler.passes(node, from, frame)
  for (let i = 0; i < 3; i++) {
    const { identity } = await world.machine()
    const member: Member = { identity, id: identity.id, disk: memoryStore(), now: undefined }
    run.members.push(member)
    await boot(run, member)
  }
  for (let step = 0; step < steps; step++) {
    await happen(run)
    await meddler.speaks()
    await world.clock.advance(random.float() * 400)
  }
  run.calm = true
  world.net.setFaults({ loss: 0, duplication: 0, reordering: 0 })
  await settle(run)
  await judge(run)
  const digest = await digestOf(run.members)
  await world.close()
  unwatch()
  return { counters: run.counters, faults: run.faults, digest }
}

/** One thing happens to an honest member. */
async function happen(run: Run): Promise<void> {
  const { random, members, counters } = run
  for (const member of members) if (member.now === undefined && random.float() < 0.4) await boot(run, member)
  link(run)
  const up = members.filter(({ now }) => now !== undefined)
  if (up.length === 0) return
  const member = pick(random, up)
  const chance = random.float()
  if (chance < 0.06) crash(run, member)
  else if (chance < 0.11) {
    const ms = random.float() ** 2 * 4_000
    const now = member.now
    counters.stalls++
    now?.store.stall(ms)
    if (random.float() >= 0.6) return
    // What was said to be on the disk by then has to be there.
    run.world.clock.after(random.float() * ms, () => {
      if (member.now === now && !run.calm) crash(run, member)
    })
  } else if (chance < 0.21) sendAndCancel(run, member)
  else if (chance < 0.25) {
    // What is lost with a connection, and what goes again over the next one.
    run.world.net.kill(member.id, other(run, member).id)
  } else {
    const count = 1 + Math.floor(random.float() * 3)
    for (let i = 0; i < count; i++) send(run, member)
  }
}

/** Its power goes. */
function crash({ counters }: Run, member: Member): void {
  counters.crashes++
  member.now?.store.die()
  member.now?.node.crash()
  member.now = undefined
}

/** A message is sent, and called off while it may be on its way. */
function sendAndCancel(run: Run, member: Member): void {
  const { random, world, sent } = run
  send(run, member)
  const entry = sent.at(-1)
  world.clock.after(random.float() * 400, () => {
    if (entry?.kept !== true) return
    entry.calledOff = true
    member.now?.node.delivery.cancel(entry.id).catch(() => {})
  })
}

const other = ({ random, members }: Run, member: Member): Member =>
  pick(
    random,
    members.filter(one => one !== member),
  )

/** Each that is there has a connection with each other. */
function link({ members }: Run): void {
  for (const [i, a] of members.entries()) {
    for (const b of members.slice(i + 1)) {
      const address = b.now?.node.network.addresses()[0]
      if (address === undefined || a.now === undefined || a.now.node.network.link(b.id) !== undefined) continue
      a.now.node.network.connect(address).catch(() => {})
    }
  }
}

async function boot(run: Run, member: Member): Promise<void> {
  const { world, random, members, faults } = run
  const store = new MortalStore(member.disk, world.clock, random)
  let node: Node | undefined
  const parts = {
    onOnce: (message: { readonly sender: string; readonly content: unknown }): void => {
      const text = String(message.content)
      const sent = run.sent.find(one => one.text === text && !one.numbered && one.from.id === message.sender)
      if (sent?.to.includes(member) !== true) faults.push(`${text}: came from ${message.sender}, which did not send it`)
      const name = `${member.id} ${text}`
      const count = (run.once.get(name) ?? 0) + 1
      run.once.set(name, count)
      if (count > 1) faults.push(`${text}: sent at most once, and came ${count} times`)
      run.counters.onceHandled++
    },
    prekeyOf: (agent: string) =>
      members.some(({ id }) => id === agent) ? world.rings.get(agent)?.current() : undefined,
    nextTask: (): Promise<void> => new Promise(resolve => world.clock.after(0, resolve)),
  }
  void world.start({ identity: member.identity, store }, handlerOf(run), parts).then(started => {
    node = started
  })
  await world.clock.advanceUntil(() => node !== undefined)
  member.now = { node: node as unknown as Node, store }
  run.meddler?.greets(member)
}

function handlerOf({ random, world }: Run): Handler {
  return async ({ message, author, row }, transaction) => {
    if (random.float() < 0.1) throw new Error('a bad day')
    if (random.float() < 0.3) await new Promise<void>(resolve => world.clock.after(random.float() * 100, resolve))
    const log = logKey(author, row.priority)
    const before = ((await transaction.get(log)) as string[] | undefined) ?? []
    transaction.put(log, [...before, String(message.content)])
  }
}

function send(run: Run, from: Member): void {
  const { random, members } = run
  const others = members.filter(one => one !== from)
  const to = random.float() < 0.25 ? others : [pick(random, others)]
  const numbered = to.length > 1 || random.float() < 0.7
  const priority = pick(random, [0, 0, 5])
  // Those of one turn are sealed as one.
  const count = numbered ? 1 : pick(random, [1, 2, 3])
  for (let i = 0; i < count; i++) say(run, from, to, { numbered, priority })
}

function say(
  { random, world, sent, counters }: Run,
  from: Member,
  to: readonly Member[],
  { numbered, priority }: Pick<Sent, 'numbered' | 'priority'>,
): void {
  const node = from.now?.node
  if (node === undefined) return
  const guarantee: Guarantee = numbered ? 'exactly-once' : 'at-most-once'
  const text = `${numbered ? 'kept' : 'once'} ${++counters.sent}`
  const { clock } = world
  const context = { sender: from.id, clock, ids: createIds({ clock, random }), limits: DEFAULT_LIMITS }
  const message = buildMessage({ recipients: to.map(({ id }) => id) }, text, { guarantee, priority }, context)
  const entry: Sent = { text, from, to, priority, numbered, id: message.id, kept: false, calledOff: false }
  sent.push(entry)
  const draft = node.delivery.draft(message, 'message')
  if (!numbered) {
    counters.once++
    node.delivery.sendOnce(draft, message.recipients[0] as string).catch(() => {})
    return
  }
  node.delivery.send(draft, message.recipients).then(
    () => {
      entry.kept = true
    },
    () => {},
  )
}

/** Until nothing waits any more. */
async function settle(run: Run): Promise<void> {
  const { world, members, faults } = run
  let left: string[] = []
  for (let round = 0; round < PATIENCE; round++) {
    for (const member of members) if (member.now === undefined) await boot(run, member)
    link(run)
    await world.clock.advance(1_000)
    left = []
    for (const { id, disk } of members) {
      for (const table of ['outbox', 'inbox']) {
        for (const { key } of await disk.range(table)) left.push(`in the end ${id} still has ${table} ${key}`)
      }
    }
    if (left.length === 0) return
  }
  faults.push(...left)
}

/** Finds what should not have happened. */
async function judge({ members, sent, counters, faults }: Run): Promise<void> {
  const logs = new Map<Member, Map<string, string[]>>()
  for (const member of members) {
    for (const error of member.now?.node.errors ?? []) faults.push(`error at ${member.id}: ${(error as Error).stack}`)
    const rows = await member.disk.range('app', { prefix: ['log'] })
    const texts = rows.map(({ value }) => contentFromWire(decode(value), 2 ** 20) as string[])
    logs.set(member, new Map(rows.map(({ key }, i) => [key.slice(1).join(' '), texts[i] as string[]])))
    counters.handled += texts.flat().length
  }
  const wanted = new Map(members.map(member => [member, new Map<string, string[]>()]))
  for (const { id, text, from, to, priority, numbered, kept, calledOff } of sent) {
    if (!numbered) continue
    const receipt = await storedReceipt(from.disk, id)
    const log = `${from.id} ${priority}`
    for (const member of to) {
      const isHandled = logs.get(member)?.get(log)?.includes(text) === true
      const { state, final, inDoubt } = receipt?.recipients.get(member.id) ?? {}
      const isOff = calledOff && state === 'cancelled'
      if (isOff) counters.cancelled++
      // Of what its sender heard nothing, it may be that it was kept.
      if ((kept && !isOff) || isHandled) wanted.get(member)?.set(log, [...(wanted.get(member)?.get(log) ?? []), text])
      if (state !== undefined && (state === 'processed') !== isHandled)
        faults.push(`${text}: it is ${state}, and was ${isHandled ? '' : 'not '}handled`)
      if (kept && (state === undefined || !final || inDoubt)) faults.push(`${text}: nothing final is known of it`)
    }
  }
  for (const member of members) {
    const all = logs.get(member) ?? new Map<string, string[]>()
    for (const log of new Set([...all.keys(), ...(wanted.get(member)?.keys() ?? [])])) {
      const [seen, should] = [all.get(log) ?? [], wanted.get(member)?.get(log) ?? []]
      const strange = seen.filter(text => !should.includes(text))
      const twice = seen.filter((text, i) => seen.indexOf(text) < i)
      const lost = should.filter(text => !seen.includes(text))
      const where = `${member.id} of ${log}`
      if (strange.length > 0) faults.push(`handled, and nobody sent it: ${strange}; ${where}`)
      if (twice.length > 0) faults.push(`handled twice: ${twice}; ${where}`)
      if (lost.length > 0) faults.push(`lost: ${lost}; ${where}`)
      const inOrder =
        seen.filter(text => should.includes(text)).join() === should.filter(text => seen.includes(text)).join()
      if (!inOrder && twice.length === 0) faults.push(`out of order: ${seen} instead of ${should}; ${where}`)
    }
  }
}

/** Of everything that is left. */
async function digestOf(members: readonly Member[]): Promise<string> {
  const hash = createHash('sha256')
  for (const { disk } of members) {
    for (const table of TABLES) {
      for (const { key, value } of await disk.range(table)) hash.update(encode([table, [...key], value]))
    }
  }
  return hash.digest('hex')
}
