import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { type Card, signCard } from '../../src/identity/card.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { encode } from '../../src/message/codec.ts'
import type { Carrier } from '../../src/network/carrier.ts'
import { sealGossip } from '../../src/network/gossip.ts'
import { presenceTopic } from '../../src/network/topics.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

const PRESENCE = presenceTopic('demo')
/** The most agents that one knows at a time. */
const MOST = 1_024
/** Thousands of signatures are made and checked, ms: two seconds of a machine that has nothing else to do. */
const WORK = { timeout: 60_000 }

let world: DrivenWorld
let ada: Agent
let mallory: Carrier
let crowd: { identity: Identity; card: Card }[]

beforeAll(async () => {
  const now = new DrivenClock().now()
  const fields = {
    mesh: 'demo',
    description: '',
    capabilities: [],
    addresses: [],
    seq: now,
    expiresAt: now + 3_600_000,
  }
  crowd = await Promise.all(
    Array.from({ length: MOST }, async (_, i) => {
      const identity = await createIdentity()
      return { identity, card: await signCard(identity, { ...fields, name: `one of many ${i}`, instance: `${i}` }) }
    }),
  )
})

/** Somebody beside ada who made as many identities as fit, and speaks for all of them. */
beforeEach(async () => {
  world = drivenWorld()
  ada = await world.join('ada')
  mallory = world.net.carrier((await createIdentity()).id)
  mallory.subscribe(PRESENCE, () => 'accept')
  await mallory.start()
  await world.during(mallory.dial(ada.id, ada.addresses))
  while (!mallory.subscribers(PRESENCE).includes(ada.id)) await world.clock.advance(1)
})
afterEach(async () => {
  await mallory.stop()
  await world.close()
})

const crowdSays = async (payloadOf: (card: Card) => unknown, members = crowd): Promise<void> => {
  for (const { identity, card } of members) {
    const payloads = [encode(payloadOf(card) as never)]
    const options = { now: world.clock.now(), random: seededRandom(1) }
    await mallory.publish(PRESENCE, await sealGossip(identity, PRESENCE, payloads, options))
  }
}

const crowdComes = async (): Promise<void> => {
  await crowdSays(card => [0, card.bytes, false, 0])
  while (ada.peers().length < MOST) await world.clock.advance(10)
}

describe('A crowd of identities', () => {
  test('that has left takes nobody else’s place: who comes then is known and found by name', WORK, async () => {
    await crowdComes()
    await crowdSays(card => [1, card.seq])
    while (ada.peers().some(({ online }) => online)) await world.clock.advance(10)
    const bob = await world.join('bob')
    const received = bob.receive()
    await world.during(ada.waitFor('bob', { timeout: 10_000 }))
    await world.during(ada.send('bob', 'good to see you'))
    expect(await world.during(received)).toMatchObject({ sender: ada.id, content: 'good to see you' })
    expect(ada.peers()).toHaveLength(MOST)
  })

  test('that stays does not keep out whom the user pinned, nor costs it its place', WORK, async () => {
    const identity = await createIdentity()
    ada.pin('bob', identity.id)
    await crowdComes()
    const bob = await world.join('bob', { identity })
    await world.during(ada.waitFor('bob', { timeout: 10_000 }))
    await world.during(bob.close())
    // Whoever had to make room announces itself again.
    const known = new Set(ada.peers().map(({ card }) => card.id))
    const outside = crowd.filter(({ card }) => !known.has(card.id))
    expect(outside).not.toEqual([])
    await crowdSays(card => [0, card.bytes, false, 1], outside)
    await world.clock.advance(1_000)
    expect(ada.peers().find(({ card }) => card.id === identity.id)).toMatchObject({ online: false })
    expect(ada.peers()).toHaveLength(MOST)
  })
})
