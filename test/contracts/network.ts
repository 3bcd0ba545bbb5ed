import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { signCard } from '../../src/identity/card.ts'
import { encode } from '../../src/message/codec.ts'
import { encodeFrames, FrameType, frameOf } from '../../src/network/frames.ts'
import { sealGossip } from '../../src/network/gossip.ts'
import { presenceTopic, topicOf } from '../../src/network/topics.ts'
import {
  cardFields,
  FRAME,
  helloOf,
  MAX_FRAME,
  MESH,
  Member,
  type NetworkWorld,
  Stranger,
  stillTalk,
} from './network-world.ts'
import { eventually, flows, repeatUntil, until } from './waiting.ts'

/** What a network does over any carrier. */
export function networkContract(name: string, make: () => Promise<NetworkWorld>): void {
  describe(name, () => {
    let world: NetworkWorld
    let a: Member
    let b: Member
    beforeEach(async () => {
      world = await make()
      a = await Member.start(world, 'ada')
      b = await Member.start(world, 'bob')
    })
    afterEach(() => world.close())

    describe('members', () => {
      test('connecting exchanges hellos: both have a link and know the card of the other', async () => {
        const link = await a.network.connect(b.network.addresses()[0] as string)
        expect([link.peer, link.kind]).toEqual([b.id, 'direct'])
        await eventually(b.network, 'link:open', () => b.network.link(a.id) !== undefined)
        expect(a.network.links().map(({ peer }) => peer)).toEqual([b.id])
        expect(a.network.peer(b.id)).toMatchObject({ online: true, card: { name: 'bob', mesh: MESH } })
        expect(b.network.peer(a.id)).toMatchObject({ online: true, card: { name: 'ada' } })
      })

      test('members that know one neighbour in common find each other and connect', async () => {
        const c = await Member.start(world, 'cyd')
        await Promise.all([a.connect(b), c.connect(b)])
        await Promise.all([
          eventually(a.network, 'link:open', () => a.network.link(c.id) !== undefined),
          eventually(c.network, 'link:open', () => c.network.link(a.id) !== undefined),
        ])
        expect(a.network.peer(c.id)).toMatchObject({ online: true, card: { name: 'cyd' } })
        await c.send(a, 'found you')
        await a.received(() => a.frames.length > 0)
        expect(a.frames).toEqual([{ from: c.id, text: 'found you' }])
      })

      test('a frame reaches its recipient only, from whom it is, in the order of sending', async () => {
        const c = await Member.start(world, 'cyd')
        await Promise.all([a.connect(b), c.connect(b)])
        const texts = Array.from({ length: 500 }, (_, i) => `frame ${i}`)
        await Promise.all(texts.map(text => a.send(b, text)))
        await b.received(() => b.frames.length === texts.length)
        await stillTalk(c, b)
        expect(b.frames.slice(0, texts.length)).toEqual(texts.map(text => ({ from: a.id, text })))
        expect(c.frames.map(({ from }) => from)).toEqual([b.id])
      })

      test('sending to nobody, and to somebody who has left, is an error that says so', async () => {
        const unknown = await Stranger.start(world)
        const frame = frameOf(FRAME, utf8('hello?'))
        await expect(a.network.send(unknown.id, frame)).rejects.toMatchObject({
          code: 'NO_ROUTE',
          recipients: [unknown.id],
        })
        await a.connect(b)
        const gone = eventually(a.network, 'link:closed', () => a.network.link(b.id) === undefined)
        await b.network.stop()
        await gone
        await expect(a.network.send(b.id, frame)).rejects.toMatchObject({ code: 'NO_ROUTE' })
        await unknown.carrier.stop()
      })

      test('frame types of the network itself cannot be sent from above', async () => {
        await a.connect(b)
        await expect(a.network.send(b.id, frameOf(FrameType.bye))).rejects.toThrow(RangeError)
      })

      test('a recipient that is busy holds its sender back and loses nothing', async () => {
        await a.connect(b)
        const free = Promise.withResolvers<void>()
        b.work = () => free.promise
        const text = 'x'.repeat(4_096)
        let sent = 0
        const sending = (async () => {
          for (; sent < 4_000; sent++) await a.send(b, text)
        })()
        await b.received(() => b.frames.length >= 256)
        const c = await Member.start(world, 'cyd')
        await c.connect(b)
        // Others are served meanwhile.
        await c.send(b, 'me too')
        await b.received(() => b.frames.some(({ from }) => from === c.id))
        expect(b.frames.length).toBeLessThan(4_000)
        b.work = undefined
        free.resolve()
        await sending
        await b.received(() => b.frames.length === 4_001)
      })

      test('a member that stops is offline at once, because it said goodbye', async () => {
        await a.connect(b)
        const closed = until(a.network, 'link:closed')
        const offline = new Promise<object>(resolve => {
          // What is sent from here on must not go into a channel that is only about to close.
          a.network.addEventListener('peer:offline', ({ detail }) => resolve({ ...detail, links: a.network.links() }))
        })
        await b.network.stop()
        expect(await offline).toEqual({ id: b.id, reason: 'left', links: [] })
        expect(await closed).toEqual({ peer: b.id })
        expect(a.network.peer(b.id)?.online).toBe(false)
        expect(a.network.links()).toEqual([])
        await b.network.stop()
      })
    })

    describe('topics', () => {
      const joined = async (...members: Member[]): Promise<void> => {
        for (const { network } of members) network.join('news')
        const topic = topicOf(MESH, 'news')
        for (const { carrier } of members) {
          await eventually(carrier, 'subscription', () => carrier.subscribers(topic).length > 0)
          for (const other of members) if (other.carrier !== carrier) await flows(carrier, other.carrier)
        }
      }

      test('a payload arrives once, with its proved author, and not at its publisher', async () => {
        await a.connect(b)
        await joined(a, b)
        expect(await a.network.publish('news', utf8('one'))).toEqual([b.id])
        await b.received(() => b.payloads.length > 0)
        await b.network.publish('news', utf8('two'))
        await a.received(() => a.payloads.length > 0)
        expect(b.payloads).toEqual([{ topic: 'news', from: a.id, text: 'one' }])
        expect(a.payloads).toEqual([{ topic: 'news', from: b.id, text: 'two' }])
      })

      test('equal payloads are as many messages, and those of one turn keep their order', async () => {
        await a.connect(b)
        await joined(a, b)
        await Promise.all(['same', 'same', 'other'].map(text => a.network.publish('news', utf8(text))))
        await a.network.publish('news', utf8('same'))
        await b.received(() => b.payloads.length === 4)
        expect(b.payloads.map(({ text }) => text).slice(0, 3)).toEqual(['same', 'same', 'other'])
      })

      test('who has not joined or has left gets nothing', async () => {
        await a.connect(b)
        await joined(a, b)
        const left = until(a.carrier, 'subscription', ({ peer, subscribed }) => peer === b.id && !subscribed)
        b.network.leave('news')
        await left
        expect(await a.network.publish('news', utf8('gone'))).toEqual([])
        await stillTalk(a, b)
        expect(b.payloads).toEqual([])
      })

      describe('under attack', () => {
        let mallory: Stranger
        const topic = topicOf(MESH, 'news')

        /** a and b in the topic, and a stranger beside b. */
        beforeEach(async () => {
          await a.connect(b)
          await joined(a, b)
          mallory = await Stranger.start(world)
          for (const each of [topic, presenceTopic(MESH)]) mallory.carrier.subscribe(each, () => 'accept')
          await mallory.dial(b)
          await eventually(mallory.carrier, 'subscription', () => mallory.carrier.subscribers(topic).includes(b.id))
          await flows(mallory.carrier, b.carrier)
        })
        afterEach(() => mallory.carrier.stop())

        const sealed = (data = 'forged', at = topic, now = world.clock.now()): Promise<Uint8Array> =>
          sealGossip(mallory.identity, at, [utf8(data)], { now, random: seededRandom(now & 0xffff) })

        /** Delivery still works, and nothing but this came. */
        const onlyHonest = async (): Promise<void> => {
          await a.network.publish('news', utf8('honest'))
          await b.received(() => b.payloads.length > 0)
          expect(b.payloads).toEqual([{ topic: 'news', from: a.id, text: 'honest' }])
        }

        test('bytes that are no gossip are refused', async () => {
          await mallory.carrier.publish(topic, seededRandom(1).bytes(300))
          await b.refuses('malformed', mallory.id)
          await onlyHonest()
        })

        test('a payload in the name of somebody else is refused', async () => {
          const body = encode([1, a.id, topic, world.clock.now(), new Uint8Array(8), [utf8('forged')]])
          const signature = await mallory.identity.sign('afp/1/gossip', body)
          await mallory.carrier.publish(topic, encode([body, signature]))
          await b.refuses('bad-signature', mallory.id)
          await onlyHonest()
        })

        test('a payload that was changed after it was signed is refused', async () => {
          const data = await sealGossip(a.identity, topic, [utf8('pay bob 1')], {
            now: world.clock.now(),
            random: seededRandom(1),
          })
          const at = data.lastIndexOf('1'.charCodeAt(0), data.length - 67)
          expect(data[at - 1]).toBe(' '.charCodeAt(0))
          data[at] = '9'.charCodeAt(0)
          await mallory.carrier.publish(topic, data)
          await b.refuses('bad-signature', mallory.id)
          await onlyHonest()
        })

        test('a payload signed for another topic is refused', async () => {
          await mallory.carrier.publish(topic, await sealed('forged', topicOf(MESH, 'other')))
          await b.refuses('not-for-us', mallory.id)
          await onlyHonest()
        })

        test('a payload that is too old or from the future is refused', async () => {
          for (const age of [-600_000, 600_000]) {
            b.refused.length = 0
            await mallory.carrier.publish(topic, await sealed('forged', topic, world.clock.now() + age))
            await b.refuses('clock-skew', mallory.id)
          }
          await onlyHonest()
        })

        test('a payload larger than a frame is refused', async () => {
          await mallory.carrier.publish(topic, await sealed('x'.repeat(MAX_FRAME)))
          await b.refuses('too-large', mallory.id)
          await onlyHonest()
        })

        test('a payload nested too deep is refused', async () => {
          await mallory.carrier.publish(topic, new Uint8Array(10_000).fill(0x81))
          await b.refuses('too-deep', mallory.id)
          await onlyHonest()
        })

        test('presence with the card of somebody else makes nobody online', async () => {
          const victim = await Stranger.start(world)
          const card = await signCard(victim.identity, cardFields(world.clock.now(), { name: 'victim' }))
          const at = presenceTopic(MESH)
          const payload = encode([0, card.bytes, false, 0])
          const options = { now: world.clock.now(), random: seededRandom(3) }
          await mallory.carrier.publish(at, await sealGossip(mallory.identity, at, [payload], options))
          await b.refuses('malformed', mallory.id)
          expect(b.network.peer(victim.id)).toBeUndefined()
          await victim.carrier.stop()
        })

        test('nobody can say goodbye for somebody else', async () => {
          const at = presenceTopic(MESH)
          const body = encode([1, a.id, at, world.clock.now(), new Uint8Array(8), [encode([1])]])
          const signature = await mallory.identity.sign('afp/1/gossip', body)
          await mallory.carrier.publish(at, encode([body, signature]))
          await b.refuses('bad-signature', mallory.id)
          expect(b.network.peer(a.id)?.online).toBe(true)
          await onlyHonest()
        })
      })
    })

    describe('strangers', () => {
      let mallory: Stranger
      beforeEach(async () => {
        mallory = await Stranger.start(world)
        await a.connect(b)
      })
      afterEach(() => mallory.carrier.stop())

      /** The stranger is turned away for this reason, knows it, and nobody else notices. */
      const turnedAway = async (reason: Parameters<Member['refuses']>[0], ...writes: Uint8Array[]): Promise<void> => {
        const { closed } = await mallory.say(a, ...writes)
        await a.refuses(reason, mallory.id)
        await closed
        expect(a.refused.filter(({ peer }) => peer === mallory.id)).toHaveLength(1)
        expect(a.network.link(mallory.id)).toBeUndefined()
        expect(a.network.peer(mallory.id)).toBeUndefined()
        await stillTalk(a, b)
        expect(a.frames.filter(({ from }) => from === mallory.id)).toEqual([])
      }

      test('a proper hello is all it takes in an open mesh', async () => {
        await mallory.say(a, await mallory.hello(world), encodeFrames([frameOf(FRAME, utf8('hi'))]))
        await a.received(() => a.frames.length > 0)
        expect(a.frames).toEqual([{ from: mallory.id, text: 'hi' }])
        expect(a.refused).toEqual([])
      })

      test('a hello for another mesh is refused', async () => {
        await turnedAway('wrong-mesh', await mallory.hello(world, { mesh: 'elsewhere' }))
      })

      test('a card for another mesh inside a hello for this one is refused', async () => {
        const card = await signCard(mallory.identity, cardFields(world.clock.now(), { mesh: 'elsewhere' }))
        await turnedAway('wrong-mesh', await mallory.hello(world, { card: card.bytes }))
      })

      test('members of different meshes refuse each other', async () => {
        const other = await Member.start(world, 'eve', { mesh: 'elsewhere' })
        const refused = Promise.race([a.refuses('wrong-mesh', other.id), other.refuses('wrong-mesh', a.id)])
        const off = new AbortController()
        const connecting = a.network.connect(other.network.addresses()[0] as string, { signal: off.signal })
        const ended = expect(connecting).rejects.toThrow()
        await refused
        off.abort(new Error('called off'))
        await ended
        expect([a.network.link(other.id), other.network.link(a.id)]).toEqual([undefined, undefined])
        await stillTalk(a, b)
      })

      test('a version that is not spoken here is refused', async () => {
        await turnedAway('wrong-version', await mallory.hello(world, { version: 2 }))
      })

      test('bytes that are no hello are refused', async () => {
        await turnedAway('malformed', helloOf(seededRandom(7).bytes(200)))
      })

      test('a hello with a key twice is refused', async () => {
        // {1: 1, 1: 2}
        await turnedAway('malformed', helloOf(Uint8Array.of(0xa2, 0x01, 0x01, 0x01, 0x02)))
      })

      test('a hello nested too deep is refused', async () => {
        await turnedAway('too-deep', helloOf(new Uint8Array(10_000).fill(0x81), Uint8Array.of(0)))
      })

      test('frames without a hello are refused', async () => {
        await turnedAway('no-hello', encodeFrames([frameOf(FRAME, utf8('let me in'))]))
      })

      test('a frame that claims 2 GiB is refused before anything is allocated', async () => {
        const before = process.memoryUsage().arrayBuffers
        await turnedAway('too-large', Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x08), new Uint8Array(65_536))
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1_048_576)
      })

      test('a frame above the limit ends the channel of a member too', async () => {
        const body = new Uint8Array(MAX_FRAME + 1)
        const { closed } = await mallory.say(a, await mallory.hello(world), encodeFrames([frameOf(FRAME, body)]))
        await a.refuses('too-large', mallory.id)
        await closed
        await stillTalk(a, b)
        expect(a.frames.filter(({ from }) => from === mallory.id)).toEqual([])
      })

      test('the card of somebody else in a hello is refused', async () => {
        await turnedAway('bad-card', await mallory.hello(world, { card: b.card.bytes }))
        expect(a.network.link(b.id)).toBeDefined()
      })

      test('a card of its own id under a signature of another key is refused', async () => {
        const forged = await signCard({ ...b.identity, id: mallory.id }, cardFields(world.clock.now()))
        await turnedAway('bad-signature', await mallory.hello(world, { card: forged.bytes }))
      })

      test('a card that is no card is refused', async () => {
        await turnedAway('bad-card', await mallory.hello(world, { card: seededRandom(9).bytes(100) }))
      })

      test('a frame of the network that nobody knows is refused', async () => {
        const { closed } = await mallory.say(a, await mallory.hello(world), encodeFrames([frameOf(9, utf8('?'))]))
        await a.refuses('malformed', mallory.id)
        await closed
        await stillTalk(a, b)
      })

      test('whoever was refused can come back with a proper hello', async () => {
        await turnedAway('wrong-version', await mallory.hello(world, { version: 99 }))
        await mallory.say(a, await mallory.hello(world), encodeFrames([frameOf(FRAME, utf8('sorry'))]))
        await a.received(() => a.frames.some(({ from }) => from === mallory.id))
      })
    })

    test('many published payloads reach a third member over others', async () => {
      const c = await Member.start(world, 'cyd')
      await Promise.all([a.connect(b), c.connect(b)])
      for (const { network } of [a, b, c]) network.join('news')
      let round = 0
      const arrived = c.received(() => c.payloads.some(({ from }) => from === a.id))
      await repeatUntil(() => a.network.publish('news', utf8(`news ${++round}`)), arrived)
      expect(new Set(c.payloads.map(({ text }) => text)).size).toBe(c.payloads.length)
    })
  })
}
