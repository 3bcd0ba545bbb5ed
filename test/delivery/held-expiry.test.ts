/** What has arrived and waits for what has not: it ends with its time to live, whether anybody comes back or not. */

import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { encodeHeader, envelopeFrame, FrameType, frameOf } from '../../src/delivery/frames.ts'
import { createIdentity, publicKeyOf } from '../../src/identity/keys.ts'
import { encodeMessage } from '../../src/message/envelope.ts'
import { Message } from '../../src/message/message.ts'
import { importKey } from '../../src/security/aead.ts'
import { makeOpening } from '../../src/security/opening.ts'
import type { OwnPrekey } from '../../src/security/prekeys.ts'
import { sealDirect } from '../../src/security/seal.ts'
import { MESH } from '../contracts/network-world.ts'
import { runs } from '../feed/properties.ts'
import { type Planned, Restarts, type Step } from './restarts.ts'
import { DeliveryWorld, type Node } from './world.ts'

const DAY = 86_400_000
const TTL = 300_000
const sent: Planned = { given: false, priority: 0, ttl: TTL / 1_000 }

let all: Restarts
let end = (): void => {}
afterEach(() => {
  end()
  end = () => {}
})

const opening = (epoch: number): Step => ({ op: 'opening', epoch })
const envelope = (epoch: number, number: number): Step => ({ op: 'envelope', epoch, number })

async function make(plan: Planned[][], ...steps: Step[]): Promise<void> {
  all = await Restarts.make(plan)
  end = () => all.end()
  for (const step of steps) await all.take(step)
}

const rows = (): Promise<number> => all.machine.store.count('inbox')
const epochs = (): Promise<number> => all.machine.store.count('epochs', { prefix: ['in'] })
const letters = async (): Promise<unknown[]> => {
  return (await all.bob.deadLetters.list()).map(({ reason }) => reason)
}

/** Days go by, with a look at what is over on each. */
async function days(count: number): Promise<void> {
  for (let day = 0; day < count; day++) {
    all.world.clock.jump(DAY)
    await all.bob.delivery.tidy()
    await all.world.clock.advance(10)
  }
}

describe('what waits for a message that does not come', () => {
  it('has its end when its own time is over, and its epoch when its key is', async () => {
    await make([[sent, sent]], opening(0), envelope(0, 2))
    await all.world.clock.advance(TTL - 10)
    expect(await rows()).toBe(1)
    await all.world.clock.advance(1_010)
    expect(await rows()).toBe(0)
    expect(await letters()).toEqual(['expired'])
    expect(await epochs()).toBe(1)
    await days(53)
    expect(await epochs()).toBe(0)
    expect(all.bob.texts).toEqual([])
    expect(all.bob.errors).toEqual([])
  })

  it('has it too where its author is linked, and goes on to name what is missing', async () => {
    await make([[sent, sent]], opening(0), envelope(0, 2))
    await all.author.meet(all.bob)
    for (let at = 0; at <= TTL; at += 20_000) {
      await all.take({ op: 'word', epoch: 0, settles: false })
      await all.world.clock.advance(20_000)
    }
    expect(all.bob.holes).toEqual([])
    expect(await rows()).toBe(0)
    expect(await letters()).toEqual(['expired'])
  })

  it('has it at the next start where its time went by before', async () => {
    await make([[sent, sent]], opening(0), envelope(0, 2))
    all.lose()
    all.world.clock.jump(2 * TTL)
    await all.start()
    await all.world.clock.advance(1_010)
    expect(await rows()).toBe(0)
    expect(await letters()).toEqual(['expired'])
  })

  it('passes its place on: what comes behind it waits for what is missing, and no longer', async () => {
    await make([[sent, { ...sent, ttl: 60 }, sent]], opening(0), envelope(0, 2), envelope(0, 3))
    await all.world.clock.advance(62_000)
    expect(await letters()).toEqual(['expired'])
    expect(await rows()).toBe(1)
    await all.restart()
    expect(all.bob.texts).toEqual([])
    await all.take(envelope(0, 1))
    expect(all.bob.texts).toEqual(['0.1.0'])
    all.handle()
    await all.world.clock.advance(1)
    expect(all.bob.texts).toEqual(['0.1.0', '0.3.0'])
  })

  it('has one letter, however often the disk refuses its end, and has it after a crash in between', async () => {
    await make([[sent, sent]], opening(0), envelope(0, 2))
    const { store } = all.machine
    const { commit } = store
    let refused = 0
    store.commit = async batch => {
      const ends = batch.writes.some(write => write.op === 'delete' && write.table === 'inbox')
      if (!ends) return commit.call(store, batch)
      refused++
      throw new Error('the disk is full')
    }
    await all.world.clock.advance(TTL + 60_000)
    expect(refused).toBeGreaterThan(1)
    expect(await rows()).toBe(1)
    all.lose()
    store.commit = commit
    await all.start()
    await all.world.clock.advance(1_010)
    expect(await rows()).toBe(0)
    expect(await letters()).toEqual(['expired'])
  })
})

describe('what waits for an earlier epoch that does not come', () => {
  it('has its end when its own time is over, and its epoch when its key is', async () => {
    await make([[sent], [sent]], opening(1), envelope(1, 1))
    await all.world.clock.advance(TTL + 1_010)
    expect(await rows()).toBe(0)
    expect(await letters()).toEqual(['expired'])
    await days(53)
    expect(await epochs()).toBe(0)
  })
})

it('Whatever came, in whichever order, each has one end when its time is over, and nothing is left of its epoch in the end', async () => {
  const EPOCHS = 3
  const NUMBERS = 3
  const epoch = fc.nat(EPOCHS - 1)
  const planned = fc.record({ given: fc.boolean(), priority: fc.nat(1), ttl: fc.constantFrom(60, 3_000) })
  const plans = fc.array(fc.array(planned, { minLength: 1, maxLength: NUMBERS }), { minLength: 1, maxLength: EPOCHS })
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ op: fc.constant('opening' as const), epoch }) },
    {
      weight: 12,
      arbitrary: fc.record({
        op: fc.constant('envelope' as const),
        epoch,
        number: fc.integer({ min: 1, max: NUMBERS }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('word' as const), epoch, settles: fc.constant(false) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('handled' as const) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('patience' as const) }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('restart' as const) }) },
  )
  await fc.assert(
    fc.asyncProperty(plans, fc.array(step, { maxLength: 20, size: 'max' }), fc.boolean(), async (plan, steps, off) => {
      const restarts = await Restarts.make(plan)
      all = restarts
      try {
        for (const each of steps) {
          if (each.op === 'restart') restarts.patient = false
          await restarts.take(each)
        }
        const { bob, world, machine } = restarts
        const arrived: number = (await rows()) + bob.deadLetters.count() + restarts.done.size
        if (off) {
          restarts.lose()
          world.clock.jump(DAY)
          await restarts.start()
        } else world.clock.jump(DAY)
        await restarts.bob.delivery.tidy()
        await world.clock.advance(10)
        // Only those are left that handlers have, and what is behind them.
        while (restarts.atWork.size > 0) {
          restarts.handle()
          await world.clock.advance(1)
        }
        expect(await rows()).toBe(0)
        expect(restarts.bob.deadLetters.count() + restarts.done.size).toBe(arrived)
        world.clock.jump(85 * DAY)
        for (let twice = 0; twice < 2; twice++) {
          await restarts.bob.delivery.tidy()
          await world.clock.advance(10)
        }
        expect(await machine.store.count('epochs', { prefix: ['in'] })).toBe(0)
        expect(restarts.bob.errors).toEqual([])
      } finally {
        restarts.end()
      }
    }),
    runs(80),
  )
}, 60_000)

it('Room that strangers took behind what never comes is free once that has expired', async () => {
  const world = new DeliveryWorld()
  const { clock } = world
  const machine = await world.machine()
  const bob = await world.start(machine, () => Promise.resolve(), { inbox: { totalBytes: 20_000 } })
  const ada = await world.start(await world.machine())
  for (let i = 0; i < 4; i++) await stranger(world, bob, ada)
  expect(bob.refused).toContain('full')
  await clock.advance(7_000)
  expect(await machine.store.count('inbox')).toBe(0)
  await ada.meet(bob)
  const all = Array.from({ length: 20 }, (_, i) => ada.send(bob, `${i}`.padEnd(900)))
  await Promise.all(all)
  await clock.advanceUntil(() => bob.texts.length === 20)
  await world.close()
})

/** Somebody who leaves the first message out, and goes. */
async function stranger(world: DeliveryWorld, bob: Node, like: Node): Promise<void> {
  const identity = await createIdentity(undefined, world.random)
  const prekey = bob.prekeys.current() as OwnPrekey
  const about = { author: identity, mesh: MESH, recipient: bob.id, prekey, earlier: [], notAfter: prekey.notAfter }
  const { epoch, packet, key } = await makeOpening({ ...about, random: world.random })
  await bob.delivery.received(identity.id, frameOf(FrameType.opening, packet))
  for (let number = 2; number < 20; number++) {
    const message = new Message({ ...like.message(bob, 'x'.repeat(900), { ttl: 5 }), sender: identity.id })
    const destination = publicKeyOf(bob.id) as Uint8Array
    const position = { epoch, number, prev: number - 1, priority: 0, numbered: true, shared: false }
    const header = { mesh: MESH, destination, expiresAt: message.expiresAt, ...position }
    const bytes = encodeHeader(header)
    const sealed = await sealDirect(await importKey(key), header, bytes, encodeMessage(message, 'message'))
    await bob.delivery.received(identity.id, envelopeFrame(bytes, sealed))
  }
}
