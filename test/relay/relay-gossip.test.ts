import { describe, expect, test } from 'vitest'
import { type AllowedMeshes, createRelay, type Relay } from '../../relay/index.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { systemRandom } from '../../src/common/random.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { sealGossip } from '../../src/network/gossip.ts'
import { parseTopic, presenceTopic, topicOf } from '../../src/network/topics.ts'
import { hears, seesRelayIn, type TestPeer, testPeer, testRelay, until } from './support.ts'

const news = topicOf('demo', 'news')

const countIn = (relay: Relay, mesh: string): number =>
  relay.stats().meshes.find(entry => entry.mesh === mesh)?.peers ?? 0

/** Resolves with the next refusal of one kind. */
const refused = (relay: Relay, reason: string): Promise<{ peer: string; topic: string }> =>
  new Promise(resolve => {
    relay.addEventListener('refused', ({ detail }) => {
      if (detail.reason === reason) resolve(detail)
    })
  })

/** Peers in a topic that share the relay and nothing else, each of which sees the relay in it. */
async function circle(relay: Relay, size: number, topic: string): Promise<TestPeer[]> {
  const peers: TestPeer[] = []
  // One after the other: all in one process, many handshakes at once could outlast their time.
  while (peers.length < size) peers.push(await testPeer([relay]))
  for (const peer of peers) peer.join(topic)
  await Promise.all(peers.map(peer => seesRelayIn(peer, relay, topic)))
  return peers
}

/**
 * Resolves when the relay forwards to every one of `peers`: each has grafted the relay, and the relay has heeded a
 * subscription that came after the graft on the same stream.
 */
async function grafted(peers: readonly TestPeer[], relay: Relay, topic: string): Promise<void> {
  const mesh = parseTopic(topic)?.mesh as string
  await Promise.all(
    peers.map(async peer => {
      const { pubsub } = peer.node.services as unknown as {
        pubsub: EventTarget & { getMeshPeers(topic: string): string[] }
      }
      await until(
        () => pubsub.getMeshPeers(topic).includes(relay.id),
        [pubsub, 'gossipsub:graft'],
        [pubsub, 'gossipsub:heartbeat'],
      )
      const mark = topicOf(mesh, `grafted ${peer.id}`)
      peer.join(mark)
      await seesRelayIn(peer, relay, mark)
    }),
  )
}

describe('gossip at the relay', () => {
  test.each([['any'], [['demo']]] as [AllowedMeshes][])(
    'peers that share only the relay hear each other (meshes: %j)',
    async meshes => {
      const relay = await testRelay({ meshes })
      const [ada, bob] = (await circle(relay, 2, news)) as [TestPeer, TestPeer]
      await grafted([ada, bob], relay, news)
      await ada.say(news, 'hello')
      await hears(bob, news, 'hello')
      await bob.say(news, 'hello back')
      await hears(ada, news, 'hello back')
    },
  )

  test('sixteen peers on one address that share only the relay all hear each other', { timeout: 60_000 }, async () => {
    const relay = await testRelay()
    const topic = presenceTopic('demo')
    const peers = await circle(relay, 16, topic)
    await grafted(peers, relay, topic)
    await until(() => countIn(relay, 'demo') === 16, [relay, 'peer:connect'])
    await Promise.all(peers.map((peer, i) => peer.say(topic, `I am ${i}`)))
    await Promise.all(
      peers.flatMap((peer, me) => peers.map((_, i) => (i === me ? undefined : hears(peer, topic, `I am ${i}`)))),
    )
  })

  test('a message that is quicker than a subscription arrives all the same', async () => {
    const relay = await testRelay()
    const [ada, bob] = (await circle(relay, 2, news)) as [TestPeer, TestPeer]
    const cleo = await testPeer([relay])
    await grafted([ada, bob], relay, news)
    await ada.say(news, 'hello')
    // The relay has forwarded it to everybody it knows to be in the topic.
    await hears(bob, news, 'hello')
    cleo.join(news)
    await hears(cleo, news, 'hello')
  })

  test('a message that is published before the publisher knows that the relay is in the topic arrives all the same', async () => {
    const relay = await testRelay()
    const [ada, bob] = [await testPeer([relay]), await testPeer([relay])]
    await ada.say(news, 'hello')
    bob.join(news)
    await hears(bob, news, 'hello')
  })

  test('topics of a mesh that is not allowed are not joined and their gossip is not forwarded', async () => {
    const relay = await testRelay({ meshes: ['demo'] })
    const foreign = topicOf('foreign', 'news')
    const refusal = refused(relay, 'mesh')
    const [ada, bob] = (await circle(relay, 2, news)) as [TestPeer, TestPeer]
    ada.join(foreign)
    bob.join(foreign)
    await refusal
    await grafted([ada, bob], relay, news)
    // Straight to the relay, as a peer would that does not care whether the relay is in the topic.
    await push(ada, relay, foreign, await sealed(foreign, 'foreign'))
    await ada.say(news, 'allowed')
    await hears(bob, news, 'allowed')
    expect(bob.heard).not.toContain(`${foreign} foreign`)
    expect(relay.stats().meshes.map(({ mesh }) => mesh)).toEqual(['demo'])
  })

  test('what nobody signed is not forwarded, and whoever goes on sending it is no longer listened to', async () => {
    const clock = new DrivenClock(Date.now())
    const relay = await testRelay({ clock })
    const [ada, bob, eve] = (await circle(relay, 3, news)) as [TestPeer, TestPeer, TestPeer]
    await grafted([ada, bob, eve], relay, news)
    let rejected = 0
    relay.addEventListener('refused', ({ detail }) => {
      expect(detail).toMatchObject({ peer: eve.id, reason: 'bad-signature', topic: news })
      rejected++
    })
    for (let i = 0; i < 20; i++) {
      const forged = await sealed(news, `forged ${i}`)
      forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
      await push(eve, relay, news, forged)
    }
    await until(() => rejected >= 9, [relay, 'refused'])
    await ada.say(news, 'honest')
    await hears(bob, news, 'honest')
    expect([...bob.heard].filter(heard => heard.includes('forged'))).toEqual([])
  })

  test('a message sent again with another signature does not keep the honest one from arriving', async () => {
    const relay = await testRelay()
    const [ada, bob, eve] = (await circle(relay, 3, news)) as [TestPeer, TestPeer, TestPeer]
    await grafted([ada, bob, eve], relay, news)
    const honest = await sealed(news, 'honest')
    const forged = honest.slice()
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    const rejected = refused(relay, 'bad-signature')
    await push(eve, relay, news, forged)
    await rejected
    await ada.node.services.pubsub.publish(news, honest)
    await hears(bob, news, 'honest')
  })

  test('a message sent first on a topic that the relay is not in still arrives on its own', async () => {
    const relay = await testRelay({ meshes: ['demo'] })
    const [ada, bob, eve] = (await circle(relay, 3, news)) as [TestPeer, TestPeer, TestPeer]
    await grafted([ada, bob, eve], relay, news)
    const honest = await sealed(news, 'honest')
    await push(eve, relay, topicOf('foreign', 'news'), honest)
    const mark = topicOf('demo', 'after the push')
    eve.join(mark)
    await seesRelayIn(eve, relay, mark)
    await ada.node.services.pubsub.publish(news, honest)
    await hears(bob, news, 'honest')
  })

  test('what was signed for one topic is not forwarded on another', async () => {
    const relay = await testRelay()
    const [ada, bob] = (await circle(relay, 2, news)) as [TestPeer, TestPeer]
    await grafted([ada, bob], relay, news)
    const rejected = refused(relay, 'not-for-us')
    await push(ada, relay, news, await sealed(topicOf('demo', 'other'), 'replayed'))
    expect(await rejected).toMatchObject({ peer: ada.id, topic: news })
  })

  test('a flood of topics is bounded, others get what they ask for, and the flooder’s topics end with it', async () => {
    const clock = new DrivenClock(Date.now())
    const relay = await testRelay({ clock, limits: { maxTopicsPerPeer: 8 } })
    const eve = await testPeer([relay])
    const over = refused(relay, 'topics-per-peer')
    for (let i = 0; i < 100; i++) eve.join(topicOf('demo', `flood-${i}`))
    expect(await over).toMatchObject({ peer: eve.id })
    const ada = await testPeer([relay])
    ada.join(news)
    await seesRelayIn(ada, relay, news)
    expect(relay.stats().meshes).toEqual([{ mesh: 'demo', topics: 9, peers: 0 }])
    const gone = until(() => relay.stats().peers === 1, [relay, 'peer:disconnect'])
    await eve.node.stop()
    await gone
    await clock.advance(60_000)
    expect(relay.stats().meshes).toEqual([{ mesh: 'demo', topics: 1, peers: 0 }])
  })

  test('meshes change while it runs: a new one is served at once, an old one no longer', async () => {
    const relay = await testRelay({ meshes: ['old'] })
    const later = topicOf('new', 'news')
    const waiting = refused(relay, 'mesh')
    const ada = await testPeer([relay])
    const bob = await testPeer([relay])
    ada.join(later)
    bob.join(later)
    await waiting
    const left: string[] = []
    relay.addEventListener('topic:leave', ({ detail }) => void left.push(detail.topic))
    expect(relay.change({ meshes: ['new'], limits: { maxConnections: 9, maxTopics: 9 } })).toEqual(['maxConnections'])
    expect(left.map(parseTopic)).toEqual([{ mesh: 'old', name: undefined }])
    await Promise.all([ada, bob].map(peer => seesRelayIn(peer, relay, later)))
    await grafted([ada, bob], relay, later)
    await ada.say(later, 'hello')
    await hears(bob, later, 'hello')
    expect(() => relay.change({ meshes: ['*'] })).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }))
    expect(relay.stats().meshes.map(({ mesh }) => mesh)).toEqual(['new'])
  })

  test('started again it serves the same peers again', async () => {
    const { seed } = await createIdentity()
    const first = await testRelay({ seed })
    const address = first.addresses().find(candidate => !candidate.includes('/ws/')) as string
    const listen = [address.slice(0, address.indexOf('/p2p/'))]
    await first.close()
    const second = await createRelay({ listen, seed })
    await using _closing = second
    const [ada, bob] = (await circle(second, 2, news)) as [TestPeer, TestPeer]
    await grafted([ada, bob], second, news)
    await ada.say(news, 'still here')
    await hears(bob, news, 'still here')
    expect(second.addresses()).toEqual([address])
  })
})

/** A text signed for a topic by somebody. */
async function sealed(topic: string, words: string): Promise<Uint8Array> {
  const payload = new TextEncoder().encode(`@@${words}@@`)
  return sealGossip(await createIdentity(), topic, [payload], { now: Date.now(), random: systemRandom })
}

/** Sends gossip to the relay in a frame of its own making, past every check of the sender's side. */
async function push(peer: TestPeer, relay: Relay, topic: string, data: Uint8Array): Promise<void> {
  const { pubsub } = peer.node.services as unknown as { pubsub: { sendRpc(id: string, rpc: object): boolean } }
  expect(pubsub.sendRpc(relay.id, { subscriptions: [], messages: [{ topic, data }] })).toBe(true)
}
