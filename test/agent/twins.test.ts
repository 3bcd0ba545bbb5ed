import { afterEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { collect, until } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
afterEach(() => world.close())

/** An agent at a place of its own, so that two can claim one id. */
const at = (place: string, identity: Identity, peers: readonly string[]): Promise<Agent> =>
  world.join('ada', { identity, peers, carrier: ({ id }) => world.net.carrier(id, { place }) })

describe('Two live agents with one identity', () => {
  test('the older of the two learns of it from the mesh and stops, and the newer goes on', async () => {
    world = drivenWorld()
    const identity = await createIdentity()
    const bob = await world.join('bob')
    const carol = await world.join('carol')
    const older = await at('desk', identity, carol.addresses)
    await world.clock.advance(1_000)
    const noticed = until(older, 'identity:in-use')
    const stopped = until(older, 'closed')
    const newer = await at('tablet', identity, bob.addresses)
    const conflicts = collect(newer, 'identity:in-use')
    expect(await world.during(noticed)).toEqual({ id: identity.id })
    await world.during(stopped)
    await expect(older.send('bob', 'still here?')).rejects.toMatchObject({ code: 'CLOSED' })
    await world.during(newer.waitFor('bob'))
    const received = bob.receive()
    await world.during(newer.send('bob', 'I am the one'))
    expect(await received).toMatchObject({ sender: identity.id, content: 'I am the one' })
    expect(conflicts).toEqual([])
  })

  test('what one of them publishes is not delivered to the other as if it were its own', async () => {
    world = drivenWorld()
    const identity = await createIdentity()
    const [bob, carol] = [await world.join('bob'), await world.join('carol')]
    const older = await at('desk', identity, carol.addresses)
    const got: unknown[] = []
    older.subscribe({ topic: 'news' }, ({ content }) => void got.push(content))
    carol.subscribe({ topic: 'news' }, () => {})
    bob.subscribe({ topic: 'news' }, () => {})
    await world.clock.advance(1_000)
    const newer = await at('tablet', identity, bob.addresses)
    await newer.publish('news', 'by the twin')
    await bob.publish('news', 'by bob')
    await world.clock.advance(1)
    expect(got).toEqual(['by bob'])
  })

  test('an earlier run of the same agent that still echoes in the mesh is no twin', async () => {
    world = drivenWorld()
    const identity = await createIdentity()
    const [bob, carol] = [await world.join('bob'), await world.join('carol')]
    const first = await at('desk', identity, [...bob.addresses, ...carol.addresses])
    await world.clock.advance(1_000)
    world.net.crash('desk')
    await world.clock.advance(10)
    const second = await at('desk', identity, bob.addresses)
    const conflicts = collect(second, 'identity:in-use')
    await world.clock.advance(20_000)
    expect(conflicts).toEqual([])
    expect(second.peers().filter(({ online }) => online)).toHaveLength(2)
    expect(first.id).toBe(second.id)
  })
})
