import type { Content } from 'agent-flow-protocol'
import { allDirect } from './fixtures/expectations.ts'
import { expect, test } from './fixtures/test.ts'

const CONTENTS: readonly [kind: string, contentType: string, content: Content][] = [
  ['text', 'text/plain', 'grüße, 🐙'],
  ['JSON', 'application/json', { list: [1, 2.5, null, true], deep: { empty: {} } }],
  ['bytes', 'application/octet-stream', Uint8Array.of(0, 1, 127, 128, 255)],
]

test('three tabs exchange direct messages, requests, topics and broadcasts of every kind of content', async ({
  tabs,
}) => {
  const [ada, bob, cleo] = await Promise.all([tabs.join('ada'), tabs.join('bob'), tabs.join('cleo')])
  await allDirect(ada, bob, cleo)
  await Promise.all([bob.subscribe({ topic: 'news' }), cleo.subscribe({ topic: 'news' })])

  for (const [kind, contentType, content] of CONTENTS) {
    await test.step(kind, async () => {
      expect(await ada.send('bob', content)).toEqual([bob.id])
      await bob.untilHeard(content)
      expect((await bob.heard()).at(-1)).toMatchObject({ from: ada.id, contentType, broadcast: false })

      expect(await bob.request('cleo', content)).toMatchObject({ from: cleo.id, contentType, content })
    })
  }
  for (const [kind, contentType, content] of CONTENTS) {
    await test.step(`${kind} for many`, async () => {
      expect(await ada.publish('news', content)).not.toEqual([])
      expect(await cleo.broadcast(content)).not.toEqual([])
      for (const agent of [bob, cleo]) {
        await agent.untilHeard(content, { from: ada.id, topic: 'news', contentType })
      }
      for (const agent of [ada, bob]) {
        await agent.untilHeard(content, { from: cleo.id, broadcast: true, contentType })
      }
    })
  }
})

test('the first message on a topic arrives, however soon after its subscriber says that it is ready', async ({
  tabs,
}) => {
  const [ada, bob, cleo] = await Promise.all([tabs.join('ada'), tabs.join('bob'), tabs.join('cleo')])
  await allDirect(ada, bob, cleo)

  for (let i = 0; i < 10; i++) {
    const topic = `topic ${i}`
    await Promise.all([bob.subscribe({ topic }), cleo.subscribe({ topic })])
    await ada.publish(topic, i)
    for (const agent of [bob, cleo]) await agent.untilHeard(i, { from: ada.id, topic })
  }
})

test('a direct message does not reach a bystander, whatever it subscribes to', async ({ tabs }) => {
  const [ada, bob, eve] = await Promise.all([tabs.join('ada'), tabs.join('bob'), tabs.join('eve')])
  await allDirect(ada, bob, eve)
  await eve.subscribe({})
  await eve.subscribe({ sender: 'ada' })

  await ada.send('bob', 'for bob alone')
  await bob.untilHeard('for bob alone')
  // What eve gets of ada afterwards shows that the way from her was open all the time.
  await ada.send('eve', 'for eve')
  await eve.untilHeard('for eve')
  expect((await eve.heard()).map(({ content }) => content)).not.toContain('for bob alone')
})

test('a message to several tabs reaches each of them once', async ({ tabs }) => {
  const [ada, bob, cleo] = await Promise.all([tabs.join('ada'), tabs.join('bob'), tabs.join('cleo')])
  await allDirect(ada, bob, cleo)

  expect((await ada.send(['bob', 'cleo'], 'both of you')).toSorted()).toEqual([bob.id, cleo.id].toSorted())
  for (const agent of [bob, cleo]) {
    await agent.untilHeard('both of you')
    // A later message of the same sender comes behind anything that an earlier one would bring twice.
    await ada.send(agent.name, 'and after it')
    await agent.untilHeard('and after it')
    expect((await agent.heard()).filter(({ content }) => content === 'both of you')).toHaveLength(1)
  }
})
