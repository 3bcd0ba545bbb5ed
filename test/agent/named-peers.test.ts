import { afterEach, beforeEach, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { NamedPeers } from '../../src/network/named-peers.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

test('an agent that was named as a peer is linked whenever it comes, also when it was down at the start', async () => {
  const first = await world.join('first')
  const address = first.addresses[0] as string
  const identity = await createIdentity()
  const bobs = address.replaceAll(first.id, identity.id)
  const ada = await world.join('ada', { peers: [bobs] })
  await world.clock.advance(120_000)
  expect(ada.peers().map(({ card }) => card.name)).not.toContain('bob')
  const bob = await world.join('bob', { identity, peers: [] })
  expect(bob.addresses).toContain(bobs)
  expect((await world.during(ada.waitFor('bob'))).card.id).toBe(bob.id)
})

test('an agent that was named as a peer is linked again after its restart', async () => {
  const identity = await createIdentity()
  let bob = await world.join('bob', { identity })
  const ada = await world.join('ada', { peers: [...bob.addresses] })
  for (let run = 0; run < 3; run++) {
    bob.handle(() => run)
    expect((await world.during(ada.request('bob', null, { timeout: 90_000 }))).content).toBe(run)
    await world.during(bob.close())
    await world.clock.advance(60_000)
    bob = await world.join('bob', { identity, peers: [] })
  }
})

test.each(['at-most-once', 'exactly-once'] as const)(
  'a request with %s to an agent that was named as a peer, and was away, is answered in time once that is there',
  async guarantee => {
    const own = { identity: await createIdentity(), store: memoryStore() }
    let bob = await world.join('bob', own)
    const ada = await world.join('ada', { peers: [...bob.addresses] })
    await world.during(ada.waitFor('bob'))
    for (const away of [5_000, 20_000, 120_000, 307_000]) {
      await world.during(bob.close())
      await world.clock.advance(away)
      bob = await world.join('bob', { ...own, peers: [] })
      bob.handle(() => away)
      const reply = await world.during(ada.request(bob.id, null, { guarantee, timeout: 2_500 }))
      expect(reply.content).toBe(away)
    }
  },
)

test('what waits for an agent that was named as a peer, and was away for long, goes within ten seconds of its return', async () => {
  const own = { identity: await createIdentity(), store: memoryStore() }
  let bob = await world.join('bob', own)
  const ada = await world.join('ada', { peers: [...bob.addresses] })
  await world.during(ada.waitFor('bob'))
  for (const away of [61_000, 95_000, 130_000, 200_000]) {
    await world.during(bob.close())
    const receipt = await world.during(ada.send(bob.id, 'waits', { guarantee: 'exactly-once' }))
    await world.clock.advance(away)
    bob = await world.join('bob', { ...own, peers: [] })
    const back = world.clock.monotonic()
    bob.handle(() => {})
    await world.during(receipt.processed)
    expect(world.clock.monotonic() - back).toBeLessThan(11_000)
  }
})

test('a peer that is away is dialled every ten seconds, and for what is sent at once, but once a second at the most', async () => {
  const clock = new DrivenClock()
  const { addresses, id } = await world.join('bob')
  const dials: number[] = []
  let linked = false
  const named = new NamedPeers({
    addresses: addresses.slice(0, 1),
    clock,
    random: seededRandom(1),
    linked: () => linked,
    connect: async () => {
      dials.push(clock.monotonic())
      throw new Error('nobody is there')
    },
  })
  // Before it has started nothing is dialled.
  named.hurry(id)
  await clock.advance(2_000)
  expect(dials).toHaveLength(0)
  named.start()
  // A pause that is shorter anyway stays as it is.
  named.hurry(id)
  await clock.advance(500)
  expect(dials).toHaveLength(2)
  await clock.advance(120_000)
  const pauses = dials.slice(1).map((at, i) => at - (dials[i] as number))
  expect(Math.max(...pauses)).toBeLessThanOrEqual(10_000)
  expect(Math.min(...pauses.slice(-5))).toBeGreaterThanOrEqual(5_000)

  dials.length = 0
  named.hurry('somebody else')
  await clock.advance(0)
  expect(dials).toHaveLength(0)
  const start = clock.monotonic()
  for (let i = 0; i < 100; i++) {
    named.hurry(id)
    await clock.advance(100)
  }
  const [first = 0] = dials
  expect(first - start).toBeLessThanOrEqual(1_000)
  expect(dials.length).toBeGreaterThanOrEqual(9)
  expect(dials.map(at => at - first)).toEqual(dials.map((_at, second) => second * 1_000))

  await clock.advance(2_000)
  dials.length = 0
  linked = true
  named.hurry(id)
  named.stop()
  linked = false
  named.hurry(id)
  await clock.advance(60_000)
  expect(dials).toHaveLength(0)
})

test('a link that is lost is made again at once, and less often to a peer where none lasts', async () => {
  const clock = new DrivenClock()
  const { addresses, id } = await world.join('bob')
  const dials: number[] = []
  const started = clock.now()
  let up = false
  const named = new NamedPeers({
    addresses: addresses.slice(0, 1),
    clock,
    random: seededRandom(1),
    linked: () => up,
    connect: async () => {
      dials.push(clock.now() - started)
      up = true
    },
  })
  const lose = (): void => {
    up = false
    named.lost(id)
  }
  named.start()
  await clock.advance(60_000)
  lose()
  await clock.advance(250)
  expect(dials).toHaveLength(2)
  for (let i = 0; i < 20; i++) {
    lose()
    await clock.advanceUntil(() => up)
  }
  const pauses = dials.slice(2).map((at, i) => at - (dials[i + 1] as number))
  expect(pauses[0]).toBeLessThan(500)
  expect(Math.min(...pauses.slice(-15))).toBeGreaterThanOrEqual(1_000)
  expect(Math.max(...pauses)).toBeLessThanOrEqual(2_000)
  await clock.advance(60_000)
  lose()
  await clock.advance(250)
  expect(dials).toHaveLength(23)
  named.stop()
})
