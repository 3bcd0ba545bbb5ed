/**
 * Letters are retried while disks are slow, links break, the circuit to the recipient is held open and both sides lose
 * power: nothing has two effects, no receipt is wrong, and nothing is left in the end.
 */

import { expect, it } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { keptValues } from '../../src/delivery/transaction.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { MortalStore } from '../simulation/mortal-store.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

const FIRST = Number(process.env.AFP_SEED ?? 1)
const RUNS = Number(process.env.AFP_RUNS ?? 15)
const STEPS = 60
/** How long a commit takes at most, ms; drawn anew for each life of a machine. */
const SLOWEST = [20, 1_000, 2_500]

type Count = (below: number) => number

/** A machine, life after life. */
class Side {
  readonly rows = memoryStore()
  node!: Node
  readonly #world: DeliveryWorld
  readonly #below: Count
  readonly #handler: Handler | undefined
  #machine: Promise<Node['machine']>
  #disk: MortalStore | undefined

  constructor(world: DeliveryWorld, below: Count, handler?: Handler) {
    this.#world = world
    this.#below = below
    this.#handler = handler
    this.#machine = world.machine(this.rows)
  }

  async start(): Promise<void> {
    const { clock, random } = this.#world
    const { identity } = await this.#machine
    const disk = new MortalStore(this.rows, clock, random, SLOWEST[this.#below(SLOWEST.length)])
    const starting = this.#world.start({ identity, store: disk }, this.#handler, {
      inbox: { messages: 3 + this.#below(10) },
      prekeyOf: agent => this.#world.rings.get(agent)?.current(),
    })
    let started = false
    starting.then(() => {
      started = true
    })
    await clock.advanceUntil(() => started)
    this.node = await starting
    this.#disk = disk
  }

  async again(): Promise<void> {
    this.#disk?.die()
    this.node.crash()
    await this.#world.clock.advance(this.#below(3_000))
    await this.start()
  }
}

/** What is wrong in the end. */
async function run(seed: number): Promise<string[]> {
  const world = new DeliveryWorld(seed)
  const { clock } = world
  const random = seededRandom(seed * 7_919)
  const below: Count = most => Math.floor(random.float() * most)
  const adas = new Side(world, below)
  const bobs = new Side(world, below, async ({ message }, transaction) => {
    if (below(4) === 0) await new Promise<void>(resolve => void clock.after(below(800), resolve))
    const key = ['n', message.id]
    transaction.put(key, ((await transaction.get<number>(key)) ?? 0) + 1)
  })
  await adas.start()
  await bobs.start()
  await adas.node.meet(bobs.node)
  const ids: string[] = []
  let held = false
  const send = (): void => {
    const { node: ada } = adas
    const init = { ttl: 1 + below(4), guarantee: 'exactly-once', priority: below(3) } as const
    const message = ada.message(bobs.node, 'x', init)
    const tries = fixedRetry({ delay: 50 + below(500), retries: below(2) })
    const sending = ada.delivery.send(ada.delivery.draft(message, 'message', tries), [bobs.node.id])
    sending.then(
      () => ids.push(message.id),
      () => {},
    )
  }
  const retry = async (): Promise<void> => {
    for (const { id } of await letters()) if (below(2) === 0) adas.node.deadLetters.retry(id).catch(() => {})
  }
  const letters = () => adas.node.deadLetters.list({ processed: false }).catch(() => [])
  const meet = async (): Promise<void> => {
    if (adas.node.network.link(bobs.node.id) === undefined) await adas.node.meet(bobs.node)
  }
  const circuit = (open: boolean): void => {
    const breaker = adas.node.breakers.getOrCreate(bobs.node.id)
    if (open) breaker.forceOpen()
    else breaker.reset()
    held = open
  }
  for (let step = 0; step < STEPS; step++) {
    const act = below(14)
    if (act < 5) send()
    else if (act < 8) circuit(!held)
    // With that its recipient is told of what has not left.
    else if (act < 11 && ids.length > 0) adas.node.delivery.cancel(ids.at(-1 - below(3)) ?? '').catch(() => {})
    else if (act === 11) world.net.kill(adas.node.id, bobs.node.id)
    else if (act === 12 && below(3) === 0) await bobs.again()
    else if (act === 13 && below(12) === 0) await adas.again()
    const reading = retry()
    await clock.advance(below(1_500))
    await reading
    if (below(2) === 0) await meet()
  }
  await bobs.again()
  await adas.again()
  circuit(false)
  await meet()
  // Whatever is left is tried until nothing is.
  for (let i = 0; i < 8; i++) {
    const reading = retry()
    await clock.advance(10_000)
    await reading
  }
  await clock.advance(30_000)
  const wrong: string[] = []
  const counted = new Map(
    (await keptValues(() => bobs.rows).list({ prefix: ['n'] })).map(({ key, value }) => [key[1], value]),
  )
  for (const id of ids) {
    const count = Number(counted.get(id) ?? 0)
    const receipt = adas.node.tracker.latest(id)?.recipients.get(bobs.node.id)
    const { state, arrived = false, inDoubt = false, final = true } = receipt ?? (await stored(id)) ?? {}
    const told = `${id} is ${state}, ${count} effects`
    if (count > 1 || (state === 'processed' && count === 0)) wrong.push(told)
    if (final && state !== 'processed' && !inDoubt && !arrived && count > 0) wrong.push(`${told}, without doubt`)
    if (!final) wrong.push(`${told}, without an end`)
  }
  async function stored(id: string) {
    return (await adas.node.tracker.get(id))?.recipients.get(bobs.node.id)
  }
  const left = [await adas.rows.count('outbox'), await bobs.rows.count('inbox')]
  if (left.some(count => count > 0)) wrong.push(`rows are left: ${left}`)
  for (const { node } of [adas, bobs]) node.crash()
  return wrong
}

it('What is tried again has one effect, and a receipt that says so, whatever is slow, cut or held up.', async () => {
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) expect(await run(seed), `seed ${seed}`).toEqual([])
}, 120_000)
