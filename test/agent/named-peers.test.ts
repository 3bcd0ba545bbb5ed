import { afterEach, beforeEach, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { NamedPeers } from '../../src/network/named-peers.ts'
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
