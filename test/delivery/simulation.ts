/** Agents that write to each other while the network fails and machines lose power; in the end everything is looked at. */

import { type Random, seededRandom } from '../../src/common/random.ts'
import { decode } from '../../src/message/codec.ts'
import { contentFromWire } from '../../src/message/content.ts'
import type { Guarantee } from '../../src/message/message.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { MortalStore } from './mortal-store.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

/** What happened in a run. */
export interface Outcome {
  readonly seed: number
  sent: number
  crashes: number
  cuts: number
  handled: number
  /** What should not have happened. */
  readonly faults: string[]
}

interface Sent {
  readonly text: string
  readonly from: string
  readonly to: string
  readonly priority: number
  readonly guarantee: Guarantee
  /** Its send resolved. */
  kept: boolean
}

interface Life {
  readonly disk: Machine
  node: Node
  store: MortalStore
}

/** One run: `steps` things happen to `agents` agents, then the network heals and everything has to come to its end. */
export async function simulate(seed: number, { agents = 3, steps = 120 } = {}): Promise<Outcome> {
  const random = seededRandom(seed)
  const world = new DeliveryWorld(seed, { loss: 0.05, duplication: 0.1, reordering: 0.1, delay: [1, 60] })
  const outcome: Outcome = { seed, sent: 0, crashes: 0, cuts: 0, handled: 0, faults: [] }
  const sent: Sent[] = []
  const lives: Life[] = []
  for (let i = 0; i < agents; i++) {
    const disk = await world.machine(memoryStore())
    lives.push(await boot(world, disk, random))
  }
  for (let step = 0; step < steps; step++) {
    await happen(world, lives, sent, random, outcome)
    await world.clock.advance(random.float() * 400)
  }
  world.net.heal()
  world.net.setFaults({ loss: 0, duplication: 0, reordering: 0 })
  await settleAll(world, lives, outcome)
  await judge(lives, sent, outcome)
  await world.close()
  return outcome
}

async function boot(world: DeliveryWorld, disk: Machine, random: Random): Promise<Life> {
  const store = new MortalStore(disk.store, world.clock, random)
  let node: Node | undefined
  const handler: Handler = async ({ message, author, row }, transaction) => {
    if (random.float() < 0.1) throw new Error('a bad day')
    if (random.float() < 0.3) await new Promise<void>(resolve => world.clock.after(random.float() * 200, resolve))
    if (message.guarantee !== 'exactly-once') return
    const log = ['log', author, row.priority]
    const before = ((await transaction.get(log)) as string[] | undefined) ?? []
    transaction.put(log, [...before, String(message.content)])
  }
  // Others have their turn by the clock that is driven: a run of a seed is the same each time.
  const nextTask = (): Promise<void> => new Promise(resolve => world.clock.after(0, resolve))
  const starting = world.start({ identity: disk.identity, store }, handler, { nextTask }).then(started => {
    node = started
  })
  await world.clock.advanceUntil(() => node !== undefined)
  await starting
  return { disk, node: node as unknown as Node, store }
}

async function happen(world: DeliveryWorld, lives: Life[], sent: Sent[], random: Random, outcome: Outcome) {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.float() * list.length)] as T
  const roll = random.float()
  const life = pick(lives)
  const others = lives.filter(other => other !== life)
  const other = pick(others)
  if (roll < 0.72) {
    const count = 1 + Math.floor(random.float() * 4)
    for (let i = 0; i < count; i++) {
      const guarantee: Guarantee = random.float() < 0.7 ? 'exactly-once' : 'at-least-once'
      const text = `${outcome.seed}-${++outcome.sent}`
      const entry: Sent = {
        text,
        from: life.node.id,
        to: other.node.id,
        priority: pick([0, 0, 0, 5]),
        guarantee,
        kept: false,
      }
      sent.push(entry)
      const { node } = life
      node
        .send(other.node, text, { guarantee, priority: entry.priority })
        .then(() => {
          entry.kept = true
        })
        .catch(error => outcome.faults.push(`send failed: ${error}`))
    }
  } else if (roll < 0.8) {
    outcome.crashes++
    life.store.die()
    life.node.crash()
    await world.clock.advance(random.float() * 3_000)
    lives[lives.indexOf(life)] = await boot(world, life.disk, random)
  } else if (roll < 0.86) {
    outcome.cuts++
    world.net.partition([life.node.id], [other.node.id])
  } else if (roll < 0.9) world.net.heal()
  else if (life.node.network.link(other.node.id) === undefined) connect(life.node, other.node)
}

function connect(node: Node, other: Node): void {
  const address = other.network.addresses()[0]
  if (address !== undefined) node.network.connect(address).catch(() => {})
}

/** Links everybody until nothing is under way any more. */
async function settleAll(world: DeliveryWorld, lives: Life[], outcome: Outcome): Promise<void> {
  for (let round = 0; round < 400; round++) {
    for (const a of lives)
      for (const b of lives)
        if (a !== b && a.node.id < b.node.id && a.node.network.link(b.node.id) === undefined) connect(a.node, b.node)
    await world.clock.advance(1_000)
    const left = await Promise.all(
      lives.map(async ({ disk }) => (await disk.store.count('outbox')) + (await disk.store.count('inbox'))),
    )
    if (left.every(count => count === 0)) return
  }
  for (const { disk, node } of lives)
    for (const table of ['outbox', 'inbox'])
      for (const { key } of await disk.store.range(table)) outcome.faults.push(`${node.id} still has ${table} ${key}`)
}

async function judge(lives: Life[], sent: readonly Sent[], outcome: Outcome): Promise<void> {
  for (const { node } of lives) for (const error of node.errors) outcome.faults.push(`error: ${(error as Error).stack}`)
  for (const { node, disk } of lives) {
    const dead = new Set((await node.deadLetters.list({ limit: 10_000 })).map(({ messageId }) => messageId))
    if (dead.size > 0) outcome.faults.push(`${node.id} has ${dead.size} dead letters`)
    for (const { key, value } of await disk.store.range('app', { prefix: ['log'] })) {
      const [, author, priority] = key
      const log = readLog(value)
      outcome.handled += log.length
      if (new Set(log).size !== log.length) outcome.faults.push(`twice in ${key.join(' ')}: ${twice(log)}`)
      const mine = sent.filter(
        entry =>
          entry.guarantee === 'exactly-once' &&
          entry.from === author &&
          entry.to === node.id &&
          entry.priority === priority,
      )
      const order = mine.filter(({ text }) => log.includes(text)).map(({ text }) => text)
      if (order.join() !== log.join()) outcome.faults.push(`order of ${key.join(' ')}: ${log} instead of ${order}`)
    }
    for (const entry of sent.filter(({ to, kept }) => to === node.id && kept)) {
      if (entry.guarantee !== 'exactly-once') continue
      const value = await disk.store.get('app', ['log', entry.from, entry.priority])
      if (!value || !readLog(value).includes(entry.text)) outcome.faults.push(`lost: ${entry.text}`)
    }
  }
}

const twice = (log: readonly string[]): string[] => log.filter((text, i) => log.indexOf(text) !== i)

const readLog = (value: Uint8Array): string[] => contentFromWire(decode(value), 2 ** 20) as unknown as string[]
