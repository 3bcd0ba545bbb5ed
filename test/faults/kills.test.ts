/** Real processes, real disks, kill -9 at any moment: what a send has promised is there, once, in order. */

import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Random, seededRandom } from '../../src/common/random.ts'
import { freePort, type Sent, Stage, sentBy } from './parties.ts'
import type { Party } from './party-process.ts'
import { GUARANTEES, PRIORITIES, waysOf } from './ways.ts'

const KILLS = Number(process.env.AFP_KILLS ?? 25)
const seed = Number(process.env.AFP_SEED ?? 1)
const TIMEOUT = 240_000

let stage: Stage
let random: Random
beforeEach(async () => {
  stage = await Stage.open()
  random = seededRandom(seed)
})
afterEach(() => stage.close())

/**
 * Waits until something has moved: a number that was tried from now on is processed. Then lets the sender say some more
 * lines, so that the kill comes in the middle of whatever is done then.
 * @returns how many numbers were processed meanwhile
 */
async function moved(sender: Party): Promise<number> {
  const from = sender.lines.length
  const [, n] = await sender.says(/^try (\d+)$/, from)
  await sender.says(new RegExp(`^processed ${n}$`), from)
  await sender.said(sender.lines.length + 1 + Math.floor(random.float() * 40))
  return sender.lines.slice(from).filter(line => line.startsWith('processed ')).length
}

/** What the kills met. */
class Lives {
  /** What was processed in each life that was let work. */
  readonly #busy: number[] = []
  /** How long each was let live that was killed as it started, ms, and whether it had done so by then. */
  readonly #starting: { ms: number; ready: boolean }[] = []

  /** Whether the next one is killed as it starts, while it takes up what the earlier ones left. */
  get startNext(): boolean {
    return (this.#busy.length + this.#starting.length) % 3 === 2
  }

  /** Lets a life work. */
  async work(sender: Party): Promise<void> {
    this.#busy.push(await moved(sender))
  }

  /** Lets a life start, for a moment of it, and as far as it says with `reached`. */
  async start(party: Party, reached = /^open$/): Promise<void> {
    const ms = Math.floor(random.float() * 300)
    // The moment of the kill is what is varied. Where all is slow nothing would be taken up by then.
    await Promise.all([setTimeout(ms), party.says(reached)])
    this.#starting.push({ ms, ready: party.lines.some(line => /^(ready|try) /.test(line)) })
  }

  /** @param met - what the sender had said by the last kill */
  judge(...met: readonly Sent[]): void {
    const starting = this.#starting.map(({ ms, ready }) => `${ms}${ready ? '' : '*'}`).join(' ')
    process.stdout.write(
      `seed ${seed}; processed before each of ${this.#busy.length} kills: ${this.#busy.join(' ')}; ms before each of ` +
        `${this.#starting.length} kills at a start (* not ready yet): ${starting}\n`,
    )
    expect(this.#busy.length + this.#starting.length, `seed ${seed}`).toBe(KILLS)
    expect(this.#starting.length, `seed ${seed}`).toBeGreaterThan(0)
    // Each of the others hit a life that had done something.
    expect(Math.min(...this.#busy), `seed ${seed}`).toBeGreaterThan(0)
    const kept = met.flatMap(life => life.kept).map(waysOf)
    const of = (holds: (way: (typeof kept)[number]) => boolean): number => kept.filter(holds).length
    // How many there were, and the least: far below what a run has, of whom kills of the sender leave the fewest.
    const counts: [string, number, number][] = [
      ['requests answered', met.flatMap(life => life.replied).length, KILLS / 10],
      ['of the second class', of(({ priority }) => priority === PRIORITIES[1]), KILLS / 2],
      ...GUARANTEES.map((name): [string, number, number] => [
        name,
        of(({ guarantee }) => guarantee === name),
        KILLS / 2,
      ]),
    ]
    process.stdout.write(`among the kills: ${counts.map(([what, count]) => `${what} ${count}`).join(', ')}\n`)
    for (const [what, count, least] of counts) expect(count, `${what}, seed ${seed}`).toBeGreaterThan(least)
  }
}

const listening = async (): Promise<string[]> => [`/ip4/127.0.0.1/tcp/${await freePort()}`]

/**
 * Everything that was kept was noted, once, in the order of its class; each reply tells of the one note of its request.
 * Requests hold nothing up, so that their order is none, and those of a sender that was killed are called off.
 */
async function judged(...sent: readonly Sent[]): Promise<void> {
  const noted = await stage.noted()
  const kept = sent.flatMap(life => life.kept)
  const replied = sent.flatMap(life => life.replied)
  process.stdout.write(`${kept.length} kept, ${replied.length} requests answered, ${noted.length} noted\n`)
  expect(kept.length, `seed ${seed}`).toBeGreaterThan(KILLS)
  expect(new Set(noted).size, `seed ${seed}`).toBe(noted.length)
  for (const priority of PRIORITIES) {
    const ofClass = noted.filter(n => waysOf(n).priority === priority && !waysOf(n).asked)
    expect(ofClass.length, `seed ${seed}`).toBeGreaterThan(0)
    expect(ofClass, `class ${priority}, seed ${seed}`).toEqual(ofClass.toSorted((a, b) => a - b))
  }
  expect(
    replied.filter(([n, place]) => noted[place] !== n),
    `seed ${seed}`,
  ).toEqual([])
  const lost = new Set(kept)
  for (const n of noted) lost.delete(n)
  expect([...lost], `seed ${seed}`).toEqual([])
}

describe(`nothing that was kept is lost, nothing is noted twice or out of the order of its class, with ${KILLS} kills`, () => {
  test('of the sender', { timeout: TIMEOUT }, async () => {
    const { folder } = stage
    const receiver = await stage.enter({ role: 'receiver', folder, listen: await listening() })
    const [, to = '', address = ''] = await receiver.says(/^ready (\S+) (\S+)$/)
    const lifetimes: Sent[] = []
    const lives = new Lives()
    let first = 1
    const enter = (): Promise<Party> => stage.enter({ role: 'sender', folder, to, peers: [address], first })
    for (let kills = 0; kills < KILLS; kills++) {
      const sender = await enter()
      await (lives.startNext ? lives.start(sender) : lives.work(sender))
      await sender.kill()
      const sent = sentBy(sender)
      lifetimes.push(sent)
      first = Math.max(first, sent.next)
    }
    const sender = await enter()
    await sender.says(/^kept/)
    sender.tell('enough')
    await sender.says(/^done$/)
    await receiver.kill()
    lives.judge(...lifetimes)
    await judged(...lifetimes, sentBy(sender))
  })

  test('of the recipient, whose store keeps who it is', { timeout: TIMEOUT }, async () => {
    const { folder } = stage
    const listen = await listening()
    const enter = (): Promise<Party> => stage.enter({ role: 'receiver', folder, listen, unnamed: true })
    // While its store is given to it, or just before or after.
    const earlier = await enter()
    await earlier.says(/^open$/)
    await earlier.kill()
    let receiver = await enter()
    const [, to = '', address = ''] = await receiver.says(/^ready (\S+) (\S+)$/)
    const sender = await stage.enter({ role: 'sender', folder, to, peers: [address], first: 1 })
    const lives = new Lives()
    for (let kills = 0; kills < KILLS; kills++) {
      if (lives.startNext) await lives.start(receiver)
      else {
        const [, id] = await receiver.says(/^ready (\S+)/)
        expect(id).toBe(to)
        await lives.work(sender)
      }
      await receiver.kill()
      receiver = await enter()
    }
    lives.judge(sentBy(sender))
    sender.tell('enough')
    await sender.says(/^done$/)
    await receiver.kill()
    await judged(sentBy(sender))
  })

  test('of the relay between them', { timeout: TIMEOUT }, async () => {
    const { folder } = stage
    const listen = (await listening()).map(address => `${address}/ws`)
    const enter = (): Promise<Party> => stage.enter({ role: 'relay', folder, listen })
    let relay = await enter()
    const [, , address = ''] = await relay.says(/^ready (\S+) (\S+)$/)
    const receiver = await stage.enter({ role: 'receiver', folder, listen: [], relays: [address] })
    const [, to = ''] = await receiver.says(/^ready (\S+) (\S+)$/)
    const sender = await stage.enter({ role: 'sender', folder, to, relays: [address], first: 1 })
    const lives = new Lives()
    for (let kills = 0; kills < KILLS; kills++) {
      if (lives.startNext) await lives.start(relay, /^standby$/)
      else {
        await relay.says(/^ready/)
        await lives.work(sender)
      }
      await relay.kill()
      relay = await enter()
    }
    lives.judge(sentBy(sender))
    sender.tell('enough')
    await sender.says(/^done$/)
    await receiver.kill()
    await judged(sentBy(sender))
  })
})
