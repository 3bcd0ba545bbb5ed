/** An agent closes while messages are on their way to its disk: each is there, with its receipt, or its send fails. */

import { afterEach, describe, expect, it } from 'vitest'
import type { Clock, Timer } from '../../src/common/clock.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { statesFrame } from '../../src/delivery/frames.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch } from '../../src/store/store.ts'
import { storedReceipt } from './stored-receipt.ts'
import { DeliveryWorld, type Node } from './world.ts'

let world: DeliveryWorld
afterEach(() => world.close())

/** Ada, whose commits may be met, and bob, whose card she does not know. */
async function strangers(): Promise<{
  ada: Node
  bob: Node
  meet: (commit: (batch: Batch) => Promise<void> | void) => void
}> {
  world = new DeliveryWorld()
  const store = memoryStore()
  const commit = store.commit.bind(store)
  let met: (batch: Batch) => Promise<void> | void = () => {}
  store.commit = async (batch, options) => {
    await met(batch)
    return commit(batch, options)
  }
  const ada = await world.start(await world.machine(store))
  const bob = await world.start(await world.machine())
  world.nodes.delete(bob.id)
  return {
    ada,
    bob,
    meet: commit => {
      met = commit
    },
  }
}

describe('an agent that has closed', () => {
  it('takes what still comes of somebody new for its next run, and waits for nothing of it', async () => {
    world = new DeliveryWorld()
    const { clock } = world
    const waiting = new Set<Timer>()
    const counting: Clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (ms, callback) => {
        const timer = clock.after(ms, () => {
          waiting.delete(noted)
          callback()
        })
        const noted: Timer = {
          cancel: () => {
            waiting.delete(noted)
            timer.cancel()
          },
        }
        waiting.add(noted)
        return noted
      },
    }
    const machine = await world.machine()
    const ada = await world.start(machine, undefined, { clock: counting })
    const bob = await world.start(await world.machine())
    await bob.meet(ada)
    await ada.delivery.close()
    await bob.send(ada, 'late')
    await clock.advance(500)
    expect(await machine.store.count('inbox')).toBe(1)
    expect(waiting.size).toBe(0)
  })

  it('writes nothing again of what its author said that the disk had refused', async () => {
    const { ada, bob, meet } = await strangers()
    world.nodes.set(bob.id, bob)
    await bob.meet(ada)
    await bob.send(ada, 'one')
    await world.clock.advanceUntil(() => ada.texts.length === 1)
    const [row] = await ada.machine.store.range('epochs', { prefix: ['in', bob.id] })
    const epoch = row?.key[2] as string
    let refused = 0
    meet(() => {
      refused++
      throw new AfpDataStoreError('STORE_FAILED', 'the disk is gone')
    })
    // What came after the one is skipped; how the epoch stands is written before bob is told that it is known.
    await ada.delivery.received(bob.id, statesFrame([{ epoch, base: 0, last: 2, skips: [0, [1, 1]] }]))
    await world.clock.advanceUntil(() => refused === 3)
    await ada.delivery.close()
    refused = 0
    await world.clock.advance(10_000)
    expect(refused).toBe(0)
    expect(ada.errors.length).toBeGreaterThan(2)
  })
})

describe('a message that an agent closes upon', () => {
  it('is sent when its row, without an envelope, was on its way to the disk', async () => {
    const { ada, bob, meet } = await strangers()
    const [reached, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    meet(() => {
      reached.resolve()
      return gate.promise
    })
    const sending = ada.send(bob, 'x')
    await reached.promise
    const closing = ada.delivery.close()
    gate.resolve()
    await expect(sending).resolves.toMatchObject({ status: 'pending' })
    await closing
    expect(await ada.machine.store.count('outbox')).toBe(1)
  })

  it('is refused when there was no room for the one before it', async () => {
    const { ada, bob, meet } = await strangers()
    await ada.send(bob, 'one')
    let closing: Promise<void> | undefined
    meet(() => {
      closing ??= ada.delivery.close()
      throw new AfpDataStoreError('STORE_FULL', 'there is no room')
    })
    world.nodes.set(bob.id, bob)
    await expect(ada.send(bob, 'two')).rejects.toMatchObject({ code: 'CLOSED' })
    await closing
    expect(await ada.machine.store.count('outbox')).toBe(1)
  })

  it('has its receipt where it has its row', async () => {
    const { ada, bob } = await strangers()
    world.nodes.set(bob.id, bob)
    const recipients = [bob.id, ada.id]
    const message = Object.assign(ada.message(bob, 'x'), { recipients })
    await ada.delivery.send(ada.delivery.draft(ada.message(bob, 'one'), 'message'), [bob.id])
    const sending = ada.delivery.send(ada.delivery.draft(message, 'message'), [bob.id])
    await ada.delivery.close()
    ada.tracker.close()
    await sending
    expect(await ada.machine.store.count('outbox')).toBe(2)
    expect((await storedReceipt(ada.machine.store, message.id))?.recipients.get(bob.id)).toMatchObject({
      state: 'queued',
    })
  })
})

it('A message that is called off just before its agent closes is called off', async () => {
  world = new DeliveryWorld()
  const store = memoryStore()
  const ada = await world.start(await world.machine(store))
  const bob = await world.start(await world.machine())
  const { id } = await ada.send(bob, 'called off')
  const cancelling = ada.delivery.cancel(id)
  await ada.delivery.close()
  expect(await cancelling).toBe(true)
  expect((await storedReceipt(store, id))?.recipients.get(bob.id)).toMatchObject({ state: 'cancelled' })
})
