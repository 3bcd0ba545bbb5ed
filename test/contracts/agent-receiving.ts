/** What receives messages, and what is known of others. */

import { beforeAll, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { Content, Message } from '../../src/message/message.ts'
import { failure, until } from '../agent/waiting.ts'
import type { AgentWorld } from '../agent/worlds.ts'
import type { AgentTrio } from './agent-trio.ts'
import { turn } from './waiting.ts'

export function agentReceiving(trio: AgentTrio): void {
  const { arrived, published } = trio
  let ada: Agent
  let bob: Agent
  let eve: Agent
  let world: AgentWorld
  let stranger: string
  beforeAll(() => {
    ;({ ada, bob, eve, world, stranger } = trio)
  })

  describe('receiving', () => {
    test('receive waits for what comes and takes what waits, in order', async () => {
      const waiting = bob.receive()
      await ada.send('bob', 1)
      expect((await waiting).content).toBe(1)
      await ada.send('bob', 2)
      await ada.send('bob', 3)
      expect([(await bob.receive()).content, (await bob.receive()).content]).toEqual([2, 3])
    })

    test('receive ends with its time and with its signal, and loses nothing', async () => {
      expect(await failure(bob.receive({ timeout: 10 }))).toMatchObject({
        name: 'AfpTimeoutError',
        timeoutSeconds: 0.01,
      })
      const gone = new AbortController()
      const waiting = failure(bob.receive({ signal: gone.signal }))
      const reason = new Error('not interested')
      gone.abort(reason)
      expect(await waiting).toBe(reason)
      await ada.send('bob', 'still here')
      expect((await bob.receive()).content).toBe('still here')
    })

    test('receiveAll takes everything that waits and nothing twice', async () => {
      for (const i of [1, 2, 3]) await ada.send('bob', i)
      const fence = bob.subscribe({ metadata: { fence: true } })
      await ada.send('bob', 'fence', { metadata: { fence: true } })
      await fence[Symbol.asyncIterator]().next()
      expect(bob.receiveAll().map(({ content }) => content)).toEqual([1, 2, 3])
      expect(bob.receiveAll()).toEqual([])
    })

    test('what a handler or a subscription took is not received as well', async () => {
      const taken: Content[] = []
      using _ = bob.handle({ contentType: 'application/json' }, ({ content }) => taken.push(content))
      bob.subscribe({ contentType: 'image/*' }, ({ content }) => void taken.push(content))
      await ada.send('bob', 1)
      await ada.send('bob', Uint8Array.of(2), { contentType: 'image/png' })
      expect(await arrived(ada, bob)).toEqual([])
      expect(taken).toEqual([1, Uint8Array.of(2)])
    })
  })

  describe('topics', () => {
    test('what is published reaches those that subscribed to the topic, and nobody else', async () => {
      const news = bob.subscribe({ topic: 'news' })
      const other = eve.subscribe({ topic: 'weather' })
      const everything: Message[] = []
      eve.subscribe({}, message => void everything.push(message))
      const id = await published(ada, 'news', { headline: 'x' }, 1)
      for await (const message of news) {
        if (message.id !== id) continue
        expect(message).toMatchObject({ topic: 'news', sender: ada.id, recipients: [], content: { headline: 'x' } })
        break
      }
      await published(ada, 'weather', 'rain', 1)
      for await (const message of other) {
        expect(message).toMatchObject({ topic: 'weather', content: 'rain' })
        break
      }
      expect(everything).toEqual([])
      expect(await arrived(ada, bob)).toEqual([])
    })

    test('leaving the loop leaves the topic', async () => {
      const subscription = bob.subscribe({ topic: 'short' })
      await published(ada, 'short', 'x', 1)
      for await (const _ of subscription) break
      expect(bob.subscriptions.get(subscription.id)).toBeUndefined()
      while ((await ada.publish('short', 'y')).peers.length > 0) await turn()
    })

    test('one topic may have many subscriptions, each with its own filter', async () => {
      const got: string[] = []
      bob.subscribe({ topic: 'many', contentType: 'text/*' }, ({ content }) => void got.push(`text ${content}`))
      bob.subscribe({ topic: 'many', sender: 'ada' }, ({ content }) => void got.push(`ada ${content}`))
      bob.subscribe({ topic: 'many', sender: 'eve' }, ({ content }) => void got.push(`eve ${content}`))
      bob.subscribe({ topic: 'many', where: ({ content }) => content === 'one' }, () => void got.push('one'))
      const subscription = bob.subscribe({ topic: 'many', maxMessages: 1, description: 'the first' })
      await published(ada, 'many', 'one', 1)
      while (got.length < 3) await turn()
      expect(got.sort()).toEqual(['ada one', 'one', 'text one'])
      expect(subscription).toMatchObject({ receivedCount: 1, description: 'the first' })
      expect(bob.subscriptions.get(subscription.id)).toBeUndefined()
    })

    test('a regular expression filters too, once its engine is there', async () => {
      const subscription = bob.subscribe({ topic: 'patterns', metadata: { kind: /^a+$/ } })
      await published(ada, 'patterns', 0, 1)
      await ada.publish('patterns', 1, { metadata: { kind: 'b' } })
      await ada.publish('patterns', 2, { metadata: { kind: 'aaa' } })
      for await (const { content } of subscription) {
        expect(content).toBe(2)
        break
      }
    })
  })

  describe('knowing each other', () => {
    test('peers tell who is there, with their cards and links', () => {
      const peers = ada.peers()
      expect(peers.map(({ card }) => card.id)).not.toContain(ada.id)
      const peer = peers.find(({ card }) => card.id === bob.id)
      expect(peer).toMatchObject({
        online: true,
        hidden: false,
        card: { name: 'bob', mesh: 'demo', capabilities: ['sum', 'echo'] },
        link: { peer: bob.id, kind: 'direct' },
      })
      expect(bob.peers().find(({ card }) => card.id === ada.id)?.card.description).toBe('asks')
      expect(ada.card).toMatchObject({ id: ada.id, name: 'ada', mesh: 'demo' })
      expect(ada.addresses.length).toBeGreaterThan(0)
    })

    test('waitFor waits for a name or an id, and not for ever if told so', async () => {
      expect((await ada.waitFor('bob')).card.id).toBe(bob.id)
      expect((await ada.waitFor(bob.id)).card.name).toBe('bob')
      expect(await failure(ada.waitFor('nobody', { timeout: 10 }))).toMatchObject({
        name: 'AfpTimeoutError',
        timeoutSeconds: 0.01,
      })
    })

    test('an address that leads to nobody, or says nobody, is an error', async () => {
      expect(await failure(ada.connect('/ip4/127.0.0.1/tcp/1'))).toMatchObject({ code: 'INVALID_ADDRESS' })
      expect(await failure(ada.connect('nonsense'))).toMatchObject({ code: 'INVALID_ADDRESS' })
      const nobody = (bob.addresses[0] as string).replace(`/p2p/${bob.id}`, `/p2p/${stranger}`)
      expect(await failure(ada.connect(nobody))).toMatchObject({ code: 'NO_ROUTE', recipients: [stranger] })
    })

    test('an agent of another mesh is not let in, and nobody of it is known', async () => {
      const alien = await world.join('alien', { mesh: 'elsewhere', peers: [] })
      const refused = until(alien, 'refused')
      expect(await failure(ada.connect(alien.addresses[0] as string))).toMatchObject({
        code: 'NO_ROUTE',
        recipients: [alien.id],
      })
      expect(await refused).toMatchObject({ peer: ada.id, reason: 'wrong-mesh' })
      expect([...alien.peers(), ...ada.peers().filter(({ card }) => card.id === alien.id)]).toEqual([])
      expect(await failure(alien.send(ada.id, 'x', { timeout: 20 }))).toMatchObject({ code: 'NO_ROUTE' })
      await alien.close()
    })

    test('metrics count what was sent, received, dropped and refused', async () => {
      ada.metrics.reset()
      bob.metrics.reset()
      await ada.send('bob', 'counted')
      await bob.receive()
      await failure(ada.send(stranger, 'x', { timeout: 10 }))
      // Drops are counted by their reason; those of earlier tests stand at 0.
      const counted = ada.metrics.snapshot().counters.filter(({ value }) => value > 0)
      expect(Object.fromEntries(counted.map(({ name, value }) => [name, value]))).toMatchObject({
        'messages.sent': 1,
        'messages.dropped': 1,
      })
      expect(ada.metrics.snapshot().histograms.find(({ name }) => name === 'message.bytes.sent')?.count).toBe(1)
      expect(bob.metrics.counter('messages.received').value).toBe(1)
    })
  })
}
