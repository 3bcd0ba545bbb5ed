import { expect, onTestFinished, test } from 'vitest'
import { createAgent } from '../../src/agent/create-agent.ts'
import { presenceTopic, topicOf } from '../../src/network/topics.ts'
import { addressOf, seesRelayIn, testPeer, testRelay } from './support.ts'

test('what a stranger signs and a relay forwards is not held against the relay: the mesh goes on', async () => {
  const relay = await testRelay()
  const behind = async (name: string) => {
    const agent = await createAgent({ name, mesh: 'demo', listen: [], relays: [addressOf(relay, 'ws')] })
    onTestFinished(() => agent.close())
    return agent
  }
  const [ada, bob] = await Promise.all([behind('ada'), behind('bob')])
  await Promise.all([ada.waitFor('bob'), bob.waitFor('ada')])
  const news = bob.subscribe<number>({ topic: 'news' })
  await news.ready

  // Signed, but by nobody of the mesh and without sense: on presence and on a topic.
  const stranger = await testPeer([relay])
  const blamed: string[] = []
  const all = new Promise<void>(resolve => {
    bob.addEventListener('refused', ({ detail }) => {
      if (blamed.push(detail.peer) === 120) resolve()
    })
  })
  for (const topic of [presenceTopic('demo'), topicOf('demo', 'news')]) {
    stranger.join(topic)
    await seesRelayIn(stranger, relay, topic)
    for (let i = 0; i < 60; i++) await stranger.say(topic, `nonsense ${i}`)
  }
  await all
  expect([...new Set(blamed)]).toEqual([stranger.id])

  for (let i = 0; i < 20; i++) await ada.publish('news', i)
  const heard = new Set<number>()
  for await (const { content } of news) if (heard.add(content).size === 20) break
  expect((await behind('eve').then(eve => eve.waitFor('bob'))).card.id).toBe(bob.id)
})
