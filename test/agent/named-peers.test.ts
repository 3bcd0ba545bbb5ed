import { afterEach, beforeEach, expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
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
