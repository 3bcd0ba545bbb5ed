import { expect, onTestFinished, test } from 'vitest'
import type { Relay } from '../../relay/index.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import { addressOf, testRelay } from './support.ts'

/** An agent that nobody can dial without the relay. */
async function agentBehind(relay: Relay, name: string) {
  const agent = await createAgent({ name, mesh: 'demo', listen: [], relays: [addressOf(relay, 'ws')] })
  onTestFinished(() => agent.close())
  return agent
}

test('what is published as soon as a subscriber behind a relay says that it is ready arrives, the first time', async () => {
  const relay = await testRelay()
  const [ada, bob] = [await agentBehind(relay, 'ada'), await agentBehind(relay, 'bob')]
  await Promise.all([ada.waitFor('bob'), bob.waitFor('ada')])
  ada.handle<string>(({ content: topic }) => ada.publish(topic, `on ${topic}`).then(({ peers }) => [...peers]))
  for (let i = 0; i < 20; i++) {
    const subscription = bob.subscribe<string>({ topic: `topic ${i}` })
    await subscription.ready
    expect((await bob.request('ada', `topic ${i}`)).content).toEqual([relay.id])
    for await (const { content } of subscription) {
      expect(content).toBe(`on topic ${i}`)
      break
    }
  }
})

test('a relay that has no room for a topic is not waited for longer than two seconds', async () => {
  // That of broadcasts.
  const relay = await testRelay({ limits: { maxTopicsPerMesh: 1 } })
  const ada = await agentBehind(relay, 'ada')
  const subscription = ada.subscribe({ topic: 'one too many' })
  const began = performance.now()
  await subscription.ready
  expect(performance.now() - began).toBeGreaterThan(1_900)
})
