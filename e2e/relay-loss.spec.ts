import { allDirect } from './fixtures/expectations.ts'
import { RELAY_IS_DOWN } from './fixtures/tabs.ts'
import { expect, test } from './fixtures/test.ts'

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
  await allDirect(ada, bob, cleo)
  await bob.subscribe({ topic: 'before' })
  await expect.poll(() => ada.publish('before', 'with a relay')).toContain(bob.id)

  await relay.kill()
  for (const agent of [ada, bob, cleo]) {
    await agent.untilTold({ type: 'relay', state: 'lost', address: relay.address })
  }
  expect(await ada.request('bob', 'without a relay')).toMatchObject({ from: bob.id, content: 'without a relay' })
  expect(await bob.request('cleo', { again: true })).toMatchObject({ from: cleo.id, content: { again: true } })
  expect(await cleo.send(['ada', 'bob'], 'to both')).toHaveLength(2)
  await ada.untilHeard('to both')
  await bob.untilHeard('to both')
  await expect.poll(() => ada.publish('before', 'a topic from before')).toContain(bob.id)
  await bob.untilHeard('a topic from before')
  await cleo.subscribe({ topic: 'after' })
  await expect.poll(() => bob.publish('after', 'a new topic')).toContain(cleo.id)
  await cleo.untilHeard('a new topic')
  await expect.poll(async () => (await cleo.broadcast('to all')).length).toBe(2)
  await ada.untilHeard('to all')
  await bob.untilHeard('to all')
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
  await allDirect(ada, bob, cleo)
  await relay.kill()
  for (const agent of [ada, bob, cleo]) await agent.untilTold({ type: 'relay', state: 'lost' })

  await relay.start()
  for (const agent of [ada, bob, cleo]) await agent.untilRelay(relay.address, 'reserved')
  const dan = await tabs.join('dan', { relays })
  await allDirect(dan, ada, bob, cleo)
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
  for (const agent of [ada, bob]) await agent.untilTold({ type: 'relay', state: 'lost' })

  await relay.start()
  await allDirect(ada, bob)
  expect(await ada.request('bob', 'at last')).toMatchObject({ from: bob.id })
})

test('of several relays one may die: the others bring newcomers in', async ({ tabs, ownRelay }) => {
  const [first, second] = [ownRelay(), ownRelay()]
  await Promise.all([first.start(), second.start()])
  const relays = [first.address, second.address]
  const [ada, bob] = await Promise.all([tabs.join('ada', { relays }), tabs.join('bob', { relays })])
  for (const agent of [ada, bob]) {
    for (const address of relays) await agent.untilRelay(address, 'reserved')
  }

  await first.kill()
  for (const agent of [ada, bob]) await agent.untilTold({ type: 'relay', state: 'lost', address: first.address })
  const cleo = await tabs.join('cleo', { relays })
  await allDirect(ada, bob, cleo)
  expect(await cleo.request('ada', 'by the other door')).toMatchObject({ from: ada.id })
  expect(await bob.request('cleo', 'welcome')).toMatchObject({ from: cleo.id })
})
