import { describe, expect, test } from 'vitest'
import { CardKeeper } from '../../src/agent/card-keeper.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { MAX_CARD_BYTES, openCard, validateCardFields } from '../../src/identity/card.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { encodeHello, MAX_HELLO_BYTES } from '../../src/network/hello.ts'
import { memoryStore } from '../../src/store/memory.ts'

const HOUR = 3_600_000
const fields = { mesh: 'demo', name: 'ada', description: '', capabilities: ['sum'] }

const identity = createIdentity(new Uint8Array(32).fill(3))

async function keeper(clock: DrivenClock, store = memoryStore(), seed = 1): Promise<CardKeeper> {
  return CardKeeper.open({
    prekey: () => undefined,
    identity: await identity,
    fields,
    clock,
    random: seededRandom(seed),
    store,
  })
}

describe("An agent's own card", () => {
  test('is signed, says what the agent is, and carries the time as its number', async () => {
    const clock = new DrivenClock()
    const { card } = await keeper(clock)
    expect(await openCard(card.bytes)).toEqual(card)
    expect(card).toMatchObject({ ...fields, id: (await identity).id, addresses: [], seq: clock.now() })
    expect(card.expiresAt).toBe(clock.now() + 24 * HOUR)
  })

  test('gets a higher number each time, over restarts too, and also when the clock goes back', async () => {
    const clock = new DrivenClock()
    const store = memoryStore()
    const seqs: number[] = []
    for (const jump of [0, 0, -HOUR, 5, -90 * 24 * HOUR]) {
      clock.jump(jump)
      const run = await keeper(clock, store)
      seqs.push(run.card.seq)
      await run.renew(['/ip4/127.0.0.1/tcp/1'])
      seqs.push(run.card.seq)
    }
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
  })

  test('names its run: the same over all cards of one run, another in the next', async () => {
    const clock = new DrivenClock()
    const first = await keeper(clock, memoryStore(), 1)
    const { instance } = first.card
    await first.renew([])
    expect(first.card.instance).toBe(instance)
    expect((await keeper(clock, memoryStore(), 2)).card.instance).not.toBe(instance)
  })

  test('renewed twice at once counts both, in order', async () => {
    const clock = new DrivenClock()
    const run = await keeper(clock)
    const { seq } = run.card
    await Promise.all([run.renew(['/a']), run.renew(['/b'])])
    expect(run.card).toMatchObject({ seq: seq + 2, addresses: ['/b'] })
  })

  test('names at most 32 addresses, as others take no more', async () => {
    const run = await keeper(new DrivenClock())
    await run.renew(Array.from({ length: 40 }, (_, i) => `/dns/host-${i}/tcp/1`))
    expect(run.card.addresses).toHaveLength(32)
    await expect(openCard(run.card.bytes)).resolves.toBeDefined()
  })

  test('names the addresses that it has room for, and none that others would not take', async () => {
    // Three bytes for each character: as much as an agent may say of itself.
    const most = {
      mesh: '網'.repeat(64),
      name: '網'.repeat(64),
      description: '網'.repeat(213),
      capabilities: Array.from({ length: 64 }, () => '網'.repeat(50)),
    }
    expect(() => validateCardFields(most)).not.toThrow()
    const prekey = { id: new Uint8Array(8), publicKey: new Uint8Array(32).fill(9), notAfter: 2 ** 50 }
    const parts = { identity: await identity, random: seededRandom(1), store: memoryStore(), prekey: () => prekey }
    const run = await CardKeeper.open({ ...parts, fields: most, clock: new DrivenClock() })
    const long = Array.from({ length: 40 }, (_, i) => `/dns/${i}`.padEnd(512, 'x'))
    await run.renew(['x'.repeat(513), ...long])
    expect(run.card.addresses).toEqual(long.slice(0, 10))
    await run.renew([...long, '/dns/short'])
    expect(run.card.addresses).toEqual([...long.slice(0, 10), '/dns/short'])
    expect(run.card.bytes.length).toBeLessThanOrEqual(MAX_CARD_BYTES)
    expect(await openCard(run.card.bytes)).toEqual(run.card)
    const hello = encodeHello(most.mesh, run.card, 2 ** 40)
    expect(hello.length).toBeLessThanOrEqual(MAX_HELLO_BYTES)
  })

  test('fills its bytes, and not one more', async () => {
    const run = await keeper(new DrivenClock())
    const full: string[] = []
    // 32 of the longest are too many.
    for (let i = 0; i < 32; i++) full.push(`/dns/${i}`.padEnd(512, 'x'))
    await run.renew(full)
    const left = MAX_CARD_BYTES - run.card.bytes.length
    expect(run.card.addresses.length).toBeLessThan(32)
    expect(left).toBeLessThan(515 + 2)
    await expect(openCard(run.card.bytes)).resolves.toBeDefined()
  })

  test('is signed anew when half of its day is over, and not before', async () => {
    const clock = new DrivenClock()
    const run = await keeper(clock)
    const { seq } = run.card
    await clock.advance(12 * HOUR - 1)
    await run.refresh()
    expect(run.card.seq).toBe(seq)
    await clock.advance(1)
    await run.refresh()
    expect(run.card).toMatchObject({ seq: seq + 12 * HOUR, expiresAt: clock.now() + 24 * HOUR })
  })

  test('goes on when its number cannot be stored: the time is the second floor', async () => {
    const clock = new DrivenClock()
    const store = memoryStore()
    const run = await keeper(clock, store)
    const { seq } = run.card
    await store.close()
    await run.renew(['/a'])
    expect(run.card.seq).toBe(seq + 1)
  })
})

test('a signer that is away for a while holds nothing up once it is back', async () => {
  const clock = new DrivenClock()
  let away = false
  const signer = {
    ...(await identity),
    sign: async (label: string, data: Uint8Array) => {
      if (away) throw new Error('no smart card')
      return (await identity).sign(label, data)
    },
  }
  const cards = await CardKeeper.open({
    prekey: () => undefined,
    identity: signer,
    fields,
    clock,
    random: seededRandom(1),
    store: memoryStore(),
  })
  const { seq } = cards.card
  away = true
  await expect(cards.renew(['/ip4/127.0.0.1/tcp/1'])).rejects.toThrow('no smart card')
  expect(cards.card.seq).toBe(seq)
  away = false
  await cards.renew(['/ip4/127.0.0.1/tcp/2'])
  expect(cards.card).toMatchObject({ seq: seq + 1, addresses: ['/ip4/127.0.0.1/tcp/2'] })
})
