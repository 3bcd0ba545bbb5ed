/** Messages to several names of which some stand for nobody: the others get them, at once, and the receipt says so. */

import { describe, expect, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { collect, failure } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

describe.each(['at-most-once', 'at-least-once', 'exactly-once'] as const)('With %s', guarantee => {
  test('a name that nobody has keeps nothing from the others, and is failed in the receipt under that name', async () => {
    const dropped = collect(ada, 'message:dropped')
    const failed = collect(ada, 'delivery:failed')
    const before = world.clock.monotonic()
    const receipt = await world.during(ada.send(['nobody', 'bob'], 'hello', { guarantee }))
    const message = await world.during(bob.receive())
    expect(world.clock.monotonic() - before).toBeLessThan(1_000)
    expect(message).toMatchObject({ id: receipt.id, content: 'hello', recipients: [bob.id] })
    expect([...receipt.recipients.keys()].toSorted()).toEqual([bob.id, 'nobody'].toSorted())
    const lost = { status: 'failed', state: 'dead', reason: 'no-route' }
    const error = { name: 'AfpRoutingError', code: 'UNKNOWN_RECIPIENT', recipients: ['nobody'] }
    expect(receipt.recipients.get('nobody')).toMatchObject({ ...lost, error })
    expect(receipt.recipients.get(bob.id)?.status).not.toBe('failed')
    expect(receipt.status).toBe('failed')
    expect(await failure(receipt.delivered)).toMatchObject({ code: 'DELIVERY_FAILED', messageId: receipt.id })
    const told =
      guarantee === 'at-most-once' ? dropped.map(({ peer }) => peer) : failed.map(({ recipient }) => recipient)
    expect(told).toEqual(['nobody'])
    // Nobody could retry a letter to nobody.
    expect(await ada.deadLetters.list()).toEqual([])
  })

  test('a name that several claim keeps nothing from the others', async () => {
    await world.during(acquainted([ada, await world.join('twin'), await world.join('twin')]))
    const receipt = await world.during(ada.send(['twin', 'bob'], 'hello', { guarantee }))
    expect(await world.during(bob.receive())).toMatchObject({ id: receipt.id, recipients: [bob.id] })
    expect(receipt.recipients.get('twin')).toMatchObject({ state: 'dead', error: { code: 'AMBIGUOUS_NAME' } })
  })

  test('messages to one recipient keep the order of the calls, whoever else they are for', async () => {
    const sent = [['bob', 'nobody'], 'bob', ['nobody', 'bob', 'no-one'], ['bob']]
    await world.during(Promise.all(sent.map((to, number) => ada.send(to, number, { guarantee }))))
    const got: unknown[] = []
    while (got.length < sent.length) got.push((await world.during(bob.receive())).content)
    expect(got).toEqual([0, 1, 2, 3])
  })

  test('send rejects when nobody is meant by any of them, after it has waited for somebody', async () => {
    const before = world.clock.monotonic()
    expect(await failure(world.during(ada.send(['nobody', 'no-one'], 'x', { guarantee, timeout: 700 })))).toMatchObject(
      { code: 'UNKNOWN_RECIPIENT', recipients: ['nobody'] },
    )
    expect(world.clock.monotonic() - before).toBeGreaterThanOrEqual(700)
  })

  test('while nobody is known the first who comes is waited for, and gets it', async () => {
    const sending = ada.send(['dan', 'nobody'], 'welcome', { guarantee, timeout: 60_000 })
    await world.pass()
    const dan = await world.join('dan')
    const receipt = await world.during(sending)
    expect(await world.during(dan.receive())).toMatchObject({ content: 'welcome', recipients: [dan.id] })
    expect(receipt.recipients.get('nobody')).toMatchObject({ state: 'dead', reason: 'no-route' })
  })
})

test('What was said of a name that nobody has is the same after a restart', async () => {
  // An agent leaves a store open that it was given.
  const [store, identity] = [memoryStore(), await createIdentity()]
  const machine = { store, identity, guarantee: 'at-least-once' } as const
  const carl = await world.join('carl', machine)
  await world.during(acquainted([carl, bob]))
  const { id } = await world.during(carl.send(['bob', 'nobody'], 'x'))
  await world.during(carl.close())
  const again = await world.join('carl', machine)
  const after = await again.deliveries.get(id)
  expect(after?.recipients.get('nobody')).toMatchObject({
    status: 'failed',
    state: 'dead',
    reason: 'no-route',
    error: { code: 'UNKNOWN_RECIPIENT', message: 'nobody is called "nobody"' },
  })
  await again.close()
  await store.close()
})
