/** Ends of messages that are written late: what was written meanwhile stands. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { FrameType } from '../../src/delivery/frames.ts'
import { keptValues } from '../../src/delivery/transaction.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Batch, Store } from '../../src/store/store.ts'
import { DeliveryWorld, type Handler, type Node } from './world.ts'

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

/** A disk on which nothing that is sealed gets into the outbox while its gate is closed. */
function gated(): { store: Store; close: () => void; open: () => void } {
  const store: Store = memoryStore()
  const commit = store.commit.bind(store)
  let gate = Promise.withResolvers<void>()
  gate.resolve()
  const isSealed = ({ writes }: Batch): boolean =>
    writes.some(({ op, table, key }: { op: string; table: string; key?: unknown }) => {
      return op === 'put' && table === 'outbox' && (key as unknown[])[1] !== ''
    })
  store.commit = async (batch, options) => {
    if (isSealed(batch)) await gate.promise
    return commit(batch, options)
  }
  const close = (): void => {
    gate = Promise.withResolvers()
  }
  return { store, close, open: () => gate.resolve() }
}

test('A reply that waits behind others to be sealed takes back no position of what came later, and a kill doubles nothing.', async () => {
  const { store, close, open } = gated()
  const machine = await world.machine(store)
  const ada = await world.start(await world.machine())
  const count = async (name: string): Promise<unknown> => {
    const [row] = await keptValues(() => store).list({ prefix: [name] })
    return row?.value
  }
  let bob: Node
  const handler: Handler = async ({ message, kind, author }, transaction) => {
    const name = String(message.content)
    transaction.put([name], ((await transaction.get<number>([name])) ?? 0) + 1)
    if (kind !== 'request') return
    return { message: bob.message({ id: author } as Node, 'reply', { parentId: message.id }), kind: 'reply' }
  }
  let known = false
  const prekeyOf = (): ReturnType<typeof ada.prekeys.current> | undefined => (known ? ada.prekeys.current() : undefined)
  bob = await world.start(machine, handler, { prekeyOf })
  for (let i = 0; i < 5; i++) await bob.send(ada, `before ${i}`)
  await bob.meet(ada)
  close()
  known = true
  bob.delivery.cardChanged(ada.id)
  await world.clock.advance(20)
  await ada.delivery.send(ada.delivery.draft(ada.message(bob, 'ask'), 'request'), [bob.id])
  await world.clock.advance(100)
  // From here on Bob's words are not heard.
  const received = ada.delivery.received.bind(ada.delivery)
  ada.delivery.received = (from, frame) => (frame[0] === FrameType.acks ? undefined : received(from, frame))
  await ada.send(bob, 'transfer', { guarantee: 'exactly-once' })
  await world.clock.advance(200)
  expect(await count('transfer')).toBe(1)
  open()
  await world.clock.advance(5)
  bob.crash()
  ada.delivery.received = received
  bob = await world.start(machine, handler, { prekeyOf })
  await ada.meet(bob)
  await world.clock.advance(60_000)
  expect(await count('transfer')).toBe(1)
  expect(await count('ask')).toBe(1)
  expect(ada.refused).not.toContain('feed:rollback')
})
