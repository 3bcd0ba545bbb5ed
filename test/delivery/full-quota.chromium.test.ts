/** The browser gives no more room: what was promised is kept, the rest is refused, and with room work goes on by itself. */

import { deleteDB } from 'idb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cdp } from 'vitest/browser'
import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { AgentOptions, Receipt } from '../../src/agent/options.ts'
import { systemClock } from '../../src/common/clock.ts'
import { systemRandom } from '../../src/common/random.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { decode } from '../../src/message/codec.ts'
import { contentFromWire } from '../../src/message/content.ts'
import { MemoryNet } from '../../src/network/memory.ts'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { until } from '../agent/waiting.ts'

/** Protocol methods that the driver's types do not list. */
const devtools = cdp() as unknown as { send(method: string, params: object): Promise<void> }
const { origin } = location
const allow = (quotaSize?: number): Promise<void> =>
  devtools.send('Storage.overrideQuotaForOrigin', { origin, ...(quotaSize === undefined ? {} : { quotaSize }) })

const QUOTA = 3_000_000
const ROOM = 100_000_000
/** Its random bytes are no more than the platform gives at a time. */
const BODY = 80_000

/** As text, random because engines compress what they store. */
function body(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(Math.floor((bytes * 3) / 4)))
  return btoa(String.fromCharCode(...random))
}

let net: MemoryNet
let store: Store
let name: string
let small: Agent
let machine: { identity: Identity; store: Store }
let bob: Agent | undefined
beforeEach(async () => {
  // Chromium goes on for many seconds with the room it found earlier, unless the origin starts anew.
  await devtools.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' })
  await allow(QUOTA)
  net = new MemoryNet({ clock: systemClock, random: systemRandom })
  name = `quota-${crypto.randomUUID()}`
  store = await indexedDbStore(name)
  small = await join({ name: 'small', identity: await createIdentity(), store })
  // Closing an agent must leave what it kept.
  machine = { identity: await createIdentity(), store: memoryStore() }
})
afterEach(async () => {
  await bob?.close()
  bob = undefined
  await small.close()
  await store.close()
  await deleteDB(name)
  await allow()
})

const join = (options: Pick<AgentOptions, 'name' | 'identity' | 'store' | 'peers'>): Promise<Agent> =>
  createAgent({
    mesh: 'quota',
    guarantee: 'exactly-once',
    carrier: ({ id }) => net.carrier(id),
    retry: fixedRetry({ delay: 100, retries: 100_000 }),
    breaker: { resetTimeout: 200 },
    ...options,
  })

/** The agent with room; both know each other then. */
async function meet(): Promise<Agent> {
  bob = await join({ name: 'bob', ...machine, peers: small.addresses })
  await Promise.all([bob.waitFor(small.id), small.waitFor(bob.id)])
  return bob
}

/** Resolves once a handler has had the number `n`, with all that it had. */
function numbersAt(agent: Agent, n: number): Promise<number[]> {
  const got: number[] = []
  return new Promise(resolve => {
    agent.handle<{ n: number }>(({ content }) => {
      got.push(content.n)
      if (content.n === n) resolve(got)
    })
  })
}

const refusedFor = (error: unknown): string => (error as { code: string }).code

describe('a sender whose quota is exhausted', () => {
  test.each([
    ['is given more', ROOM],
    ['delivers what waits', QUOTA],
  ])('refuses with a typed error, keeps what it took, and has room again when it %s', async (_, quota) => {
    await (await meet()).close()
    const { id } = machine.identity
    const kept: { n: number; receipt: Receipt }[] = []
    const codes = new Set<string>()
    let n = 1
    for (let refused = 0; refused < 3; n++) {
      await small.send(id, { n, body: body(BODY) }).then(
        receipt => {
          kept.push({ n, receipt })
        },
        error => {
          refused++
          codes.add(refusedFor(error))
        },
      )
    }
    expect([...codes]).toEqual(['STORE_FULL'])
    expect(kept.length).toBeGreaterThan(5)
    expect(await store.count('outbox')).toBe(kept.length)
    expect(await small.deliveries.get(kept[0]?.receipt.id as string)).toMatchObject({ status: 'pending' })

    await allow(quota)
    const again = await meet()
    const numbers = kept.map(({ n }) => n)
    expect(await numbersAt(again, numbers.at(-1) as number)).toEqual(numbers)
    for (const { receipt } of kept) await receipt.processed
    // Engines take a while to count what they gave back.
    let receipt: Receipt | undefined
    for (; receipt === undefined; n++) receipt = await small.send(id, { n, body: body(BODY) }).catch(() => undefined)
    await receipt.processed
    expect(await store.count('outbox')).toBe(0)
  })
})

describe('a recipient whose quota is exhausted', () => {
  test('acknowledges what it could store and nothing else, says so and counts it; with room the rest comes once and in order', async () => {
    const sender = await meet()
    const receipts: Receipt[] = []
    const send = async (): Promise<Receipt> => {
      const receipt = await sender.send(small.id, { n: receipts.length + 1, body: body(BODY) })
      receipts.push(receipt)
      return receipt
    }
    let full = false
    const error = until(small, 'store:error').then(({ error }) => {
      full = true
      return error
    })
    while (!full) await Promise.race([error, (await send()).delivered])
    expect(refusedFor(await error)).toBe('STORE_FULL')
    for (let i = 0; i < 5; i++) await send()
    await until(small, 'store:error')
    const delivered = receipts.filter(({ status }) => status === 'delivered').length
    expect(delivered).toBeGreaterThan(5)
    expect(delivered).toBeLessThan(receipts.length)
    expect(await store.count('inbox')).toBeGreaterThanOrEqual(delivered)
    expect(small.metrics.counter('store.errors', { code: 'STORE_FULL' }).value).toBeGreaterThan(1)

    await allow(ROOM)
    const ran: number[] = []
    small.handle<{ n: number }>(async ({ content: { n } }, { transaction }) => {
      ran.push(n)
      const count = Number((await transaction.get(['count'])) ?? 0)
      transaction.put(['noted', count], n)
      transaction.put(['count'], count + 1)
    })
    for (const { processed } of receipts) await processed
    const all = receipts.map((_, i) => i + 1)
    expect(ran).toEqual(all)
    const rows = await store.range('app', { prefix: ['noted'] })
    expect(rows.map(({ value }) => contentFromWire(decode(value), 1_024))).toEqual(all)
  })

  test('says `processed` only when what a handler wrote is on the disk', async () => {
    const sender = await meet()
    const receipt = await sender.send(small.id, 'write a lot')
    await receipt.delivered
    const values = Array.from({ length: 40 }, () => body(BODY))
    let runs = 0
    const error = until(small, 'store:error')
    small.handle((_, { transaction }) => {
      runs++
      for (const [i, value] of values.entries()) transaction.put(['value', i], value)
    })
    expect(refusedFor((await error).error)).toBe('STORE_FULL')
    await until(small, 'store:error')
    expect(receipt.recipients.get(small.id)?.state).toBe('delivered')
    expect(await store.count('app')).toBe(0)
    await allow(ROOM)
    await receipt.processed
    expect(await store.count('app')).toBe(values.length)
    expect(runs).toBe(1)
  })
})
