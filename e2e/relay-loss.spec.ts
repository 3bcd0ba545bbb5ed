import { expectDirect, expectHeard, expectTold } from './fixtures/expectations.ts'
import type { RemoteAgent } from './fixtures/remote.ts'
import { RELAY_IS_DOWN } from './fixtures/tabs.ts'
import { expect, test } from './fixtures/test.ts'

/** The state that an agent told last of its relay. */
async function relayState(agent: RemoteAgent, address: string): Promise<string | undefined> {
  return (await agent.told()).findLast(told => told.type === 'relay' && told.address === address)?.state
}

test.beforeEach(({ tabs }) => tabs.expect(RELAY_IS_DOWN))

test('tabs that are linked go on when the relay is killed, with requests, topics old and new, and broadcasts', async ({
  tabs,
  ownRelay,
}) => {
  const relay = ownRelay()
  await relay.start()
  const relays = [relay.address]
  const [ada, bob, cleo] = await Promise.all(['ada', 'bob', 'cleo'].map(name => tabs.join(name, { relays })))
  if (!ada || !bob || !cleo) throw new Error('three tabs were opened')
  await expectDirect(ada, bob, cleo)
  await bob.subscribe({ topic: 'before' })
  await expect.poll(() => ada.publish('before', 'with a relay')).toContain(bob.id)

  await relay.kill()
  for (const agent of [ada, bob, cleo]) {
    await expectTold(agent, { type: 'relay', state: 'lost', address: relay.address })
  }
  expect(await ada.request('bob', 'without a relay')).toMatchObject({ from: bob.id, content: 'without a relay' })
  expect(await bob.request('cleo', { again: true })).toMatchObject({ from: cleo.id, content: { again: true } })
  expect(await cleo.send(['ada', 'bob'], 'to both')).toHaveLength(2)
  await expectHeard(ada, 'to both')
  await expectHeard(bob, 'to both')
  await expect.poll(() => ada.publish('before', 'a topic from before')).toContain(bob.id)
  await expectHeard(bob, 'a topic from before')
  await cleo.subscribe({ topic: 'after' })
  await expect.poll(() => bob.publish('after', 'a new topic')).toContain(cleo.id)
  await expectHeard(cleo, 'a new topic')
  await expect.poll(async () => (await cleo.broadcast('to all')).length).toBe(2)
  await expectHeard(ada, 'to all')
  await expectHeard(bob, 'to all')
  for (const agent of [ada, bob, cleo]) {
    expect((await agent.told()).filter(({ type }) => type === 'link:closed' || type === 'peer:offline')).toEqual([])
  }
})

test('a relay that comes back in its place is used again, and newcomers meet those that were there', async ({
  tabs,
  ownRelay,
}) => {
  const relay = ownRelay()
  await relay.start()
  const relays = [relay.address]
  const [ada, bob, cleo] = await Promise.all(['ada', 'bob', 'cleo'].map(name => tabs.join(name, { relays })))
  if (!ada || !bob || !cleo) throw new Error('three tabs were opened')
  await expectDirect(ada, bob, cleo)
  await relay.kill()
  for (const agent of [ada, bob, cleo]) await expectTold(agent, { type: 'relay', state: 'lost' })

  await relay.start()
  for (const agent of [ada, bob, cleo]) await expect.poll(() => relayState(agent, relay.address)).toBe('reserved')
  const dan = await tabs.join('dan', { relays })
  await expectDirect(dan, ada, bob, cleo)
  for (const agent of [ada, bob, cleo]) {
    expect(await dan.request(agent.name, 'you were here before me')).toMatchObject({ from: agent.id })
    expect(await agent.request('dan', 'and you are new')).toMatchObject({ from: dan.id })
  }
})

test('agents start while their relay is down, and meet once it is there', async ({ tabs, ownRelay }) => {
  const relay = ownRelay()
  await relay.start()
  await relay.kill()
  const relays = [relay.address]
  const [ada, bob] = await Promise.all([tabs.join('ada', { relays }), tabs.join('bob', { relays })])
  for (const agent of [ada, bob]) await expectTold(agent, { type: 'relay', state: 'lost' })

  await relay.start()
  await expectDirect(ada, bob)
  expect(await ada.request('bob', 'at last')).toMatchObject({ from: bob.id })
})

test('of several relays one may die: the others bring newcomers in', async ({ tabs, ownRelay }) => {
  const [first, second] = [ownRelay(), ownRelay()]
  await Promise.all([first.start(), second.start()])
  const relays = [first.address, second.address]
  const [ada, bob] = await Promise.all([tabs.join('ada', { relays }), tabs.join('bob', { relays })])
  for (const agent of [ada, bob]) {
    for (const address of relays) await expect.poll(() => relayState(agent, address)).toBe('reserved')
  }

  await first.kill()
  for (const agent of [ada, bob]) await expect.poll(() => relayState(agent, first.address)).not.toBe('reserved')
  const cleo = await tabs.join('cleo', { relays })
  await expectDirect(ada, bob, cleo)
  expect(await cleo.request('ada', 'by the other door')).toMatchObject({ from: ada.id })
  expect(await bob.request('cleo', 'welcome')).toMatchObject({ from: cleo.id })
})
