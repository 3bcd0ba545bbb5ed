import { beforeAll, describe, expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { LEAST_FRAME_BYTES, MAX_TOPIC_LENGTH } from '../../src/message/validate.ts'
import type { Carrier, GossipHandler } from '../../src/network/carrier.ts'
import { GOSSIP_BATCH_SIZE, GOSSIP_SKEW, MAX_PAYLOAD_BYTES, openGossip, sealGossip } from '../../src/network/gossip.ts'
import { GossipHub } from '../../src/network/gossip-hub.ts'
import { MAX_GOSSIP_TOPIC_LENGTH, topicOf } from '../../src/network/topics.ts'

const TOPIC = '/afp/1/demo/topic/news'
const NOW = Date.UTC(2026, 0, 1)

let ada: Identity
let eve: Identity
beforeAll(async () => {
  ada = await createIdentity()
  eve = await createIdentity()
})

const seal = (payloads: readonly Uint8Array[], now = NOW, identity = ada, topic = TOPIC): Promise<Uint8Array> =>
  sealGossip(identity, topic, payloads, { now, random: seededRandom(1) })
const open = (data: Uint8Array, maxBytes = 1_000_000) => openGossip(TOPIC, data, { now: NOW, maxBytes })

describe('Gossip', () => {
  test('payloads come back with their author and time', async () => {
    const payloads = [utf8('one'), new Uint8Array(), utf8('three')]
    expect(await open(await seal(payloads))).toEqual({ author: ada.id, time: NOW, payloads })
  })

  test('the same payloads twice are two messages', async () => {
    const random = seededRandom(1)
    const options = { now: NOW, random }
    expect(await sealGossip(ada, TOPIC, [utf8('x')], options)).not.toEqual(
      await sealGossip(ada, TOPIC, [utf8('x')], options),
    )
  })

  test('any byte changed is refused', async () => {
    const data = await seal([utf8('x')])
    for (let at = 0; at < data.length; at++) {
      const tampered = data.slice()
      tampered[at] = (tampered[at] as number) ^ 1
      await expect(open(tampered)).rejects.toHaveProperty('reason')
    }
  })

  test('two minutes of skew in either direction are taken, more is not', async () => {
    for (const skew of [-GOSSIP_SKEW, GOSSIP_SKEW]) await open(await seal([utf8('x')], NOW + skew))
    for (const skew of [-GOSSIP_SKEW - 1, GOSSIP_SKEW + 1]) {
      await expect(open(await seal([utf8('x')], NOW + skew))).rejects.toMatchObject({ reason: 'clock-skew' })
    }
  })

  test('what is forged, moved, too large, too many or of another form is refused by its reason', async () => {
    const [body] = decode(await seal([utf8('x')])) as [Uint8Array]
    const fields = decode(body) as unknown[]
    const signed = async (parts: unknown[]): Promise<Uint8Array> => {
      const bytes = encode(parts)
      return encode([bytes, await ada.sign('afp/1/gossip', bytes)])
    }
    const nested = (depth: number): unknown => (depth === 0 ? 0 : [nested(depth - 1)])
    const many = Array.from({ length: GOSSIP_BATCH_SIZE + 1 }, () => new Uint8Array(1))
    for (const [data, reason] of [
      [encode([body, await eve.sign('afp/1/gossip', body)]), 'bad-signature'],
      [encode([body, await ada.sign('afp/1/card', body)]), 'bad-signature'],
      [await signed(fields.with(1, eve.id)), 'bad-signature'],
      [await signed(fields.with(0, 2)), 'wrong-version'],
      [await signed(fields.with(1, 'ada')), 'malformed'],
      [await signed(fields.with(2, '/afp/1/demo/topic/other')), 'not-for-us'],
      [await signed(fields.with(3, 1.5)), 'malformed'],
      [await signed(fields.with(4, new Uint8Array(7))), 'malformed'],
      [await signed(fields.with(5, [])), 'malformed'],
      [await signed(fields.with(5, many)), 'malformed'],
      [await signed(fields.with(5, ['text'])), 'malformed'],
      [await signed([...fields, 0]), 'malformed'],
      [encode(nested(40)), 'too-deep'],
      [utf8('garbage'), 'malformed'],
      [encode([body]), 'malformed'],
    ] as const) {
      await expect(open(data)).rejects.toMatchObject({ reason })
    }
    await expect(open(await seal([new Uint8Array(2_000)]), 1_000)).rejects.toMatchObject({ reason: 'too-large' })
  })
})

describe('The gossip of one agent', () => {
  function hub() {
    const sent: Uint8Array[] = []
    const refused: string[] = []
    const handlers = new Map<string, GossipHandler>()
    const clock = new DrivenClock(NOW)
    const carrier = {
      subscribe: (topic: string, handler: GossipHandler) => handlers.set(topic, handler),
      unsubscribe: (topic: string) => handlers.delete(topic),
      publish: async (_topic: string, data: Uint8Array) => {
        sent.push(data)
        return ['somebody']
      },
    } as unknown as Carrier
    const made = new GossipHub({
      carrier,
      identity: ada,
      clock,
      random: seededRandom(1),
      maxBytes: 1_000_000,
      onRefused: (peer, reason) => refused.push(`${peer} ${reason}`),
    })
    return { hub: made, sent, refused, handlers, clock }
  }

  test('what is published in one turn leaves under one signature, up to 256 payloads and 60 KiB', async () => {
    const { hub: gossip, sent } = hub()
    const publish = async (count: number, size: number): Promise<number[]> => {
      sent.splice(0)
      await Promise.all(Array.from({ length: count }, () => gossip.publish(TOPIC, new Uint8Array(size))))
      return (await Promise.all(sent.map(data => open(data)))).map(({ payloads }) => payloads.length)
    }
    expect(await publish(100, 10)).toEqual([100])
    expect(await publish(300, 10)).toEqual([256, 44])
    expect(await publish(5, 30_000)).toEqual([2, 2, 1])
    expect(await publish(2, 100_000)).toEqual([1, 1])
  })

  test('what is signed together fits the least that an agent takes, and the largest payload what anybody does', async () => {
    const { hub: gossip, sent } = hub()
    const topic = topicOf('網'.repeat(64), '網'.repeat(MAX_TOPIC_LENGTH))
    expect(topic.length).toBe(MAX_GOSSIP_TOPIC_LENGTH)
    const publish = async (...payloads: Uint8Array[]): Promise<number[]> => {
      sent.splice(0)
      await Promise.all(payloads.map(payload => gossip.publish(topic, payload)))
      return sent.map(({ length }) => length)
    }
    const [full, ...others] = await publish(...Array.from({ length: 256 }, () => new Uint8Array(240)))
    expect(others).toEqual([])
    expect(full).toBeGreaterThan(60_000)
    expect(full).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
    const [largest] = await publish(new Uint8Array(MAX_PAYLOAD_BYTES))
    expect(largest).toBeLessThanOrEqual(2 ** 20)
    await expect(openGossip(topic, sent[0] as Uint8Array, { now: NOW, maxBytes: 2 ** 22 })).resolves.toBeDefined()
    await expect(publish(new Uint8Array(MAX_PAYLOAD_BYTES + 1))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(sent).toEqual([])
    // Its forwarders may have other limits: it is not held against them as what makes no sense would be.
    const beyond = await seal([new Uint8Array(2 ** 20)])
    await expect(open(beyond, 2 ** 22)).rejects.toMatchObject({ reason: 'too-large' })
  })

  test('every publisher of a batch learns whom it was handed to', async () => {
    const { hub: gossip } = hub()
    const answers = await Promise.all([gossip.publish(TOPIC, utf8('1')), gossip.publish(TOPIC, utf8('2'))])
    expect(answers).toEqual([['somebody'], ['somebody']])
  })

  test('good messages are delivered and passed on; bad ones are held against who made them, or forwards what it should have refused', async () => {
    const { hub: gossip, refused, handlers } = hub()
    const got: string[] = []
    gossip.join(TOPIC, async (author, payload) => {
      got.push(`${author === eve.id ? 'eve' : author} ${new TextDecoder().decode(payload)}`)
      return payload.length < 5
    })
    const bring = (data: Uint8Array) => handlers.get(TOPIC)?.(data, 'bob')
    expect(await bring(await seal([utf8('a'), utf8('b')], NOW, eve))).toBe('accept')
    // Its forwarder could not know: what is inside is its author's.
    expect(await bring(await seal([utf8('long-winded')], NOW, eve))).toBe('ignore')
    expect(await bring(utf8('garbage'))).toBe('reject')
    expect(await bring(await seal([utf8('c')], NOW - 500_000, eve))).toBe('ignore')
    expect(got).toEqual(['eve a', 'eve b', 'eve long-winded'])
    expect(refused).toEqual([`${eve.id} malformed`, 'bob malformed', 'bob clock-skew'])
    gossip.leave(TOPIC)
    expect(handlers.size).toBe(0)
  })

  test('of what comes in one second it forwards less than a relay takes, and of one neighbour no more than is left for all others; it takes all of it', async () => {
    const { hub: gossip, refused, handlers, clock } = hub()
    let taken = 0
    gossip.join(TOPIC, async () => ++taken > 0)
    const data = await seal([utf8('hello')])
    const forwarded = async (from: string): Promise<number> => {
      const verdicts = await Promise.all(Array.from({ length: 900 }, () => handlers.get(TOPIC)?.(data, from)))
      expect(verdicts.every(verdict => verdict === 'accept' || verdict === 'ignore')).toBe(true)
      return verdicts.filter(verdict => verdict === 'accept').length
    }
    expect([await forwarded('eve'), await forwarded('bob'), await forwarded('eve')]).toEqual([400, 200, 0])
    await clock.advance(1_000)
    // What it says itself is among what a relay takes of it.
    for (let i = 0; i < 600; i++) await gossip.publish(TOPIC, utf8('mine'))
    expect(await forwarded('eve')).toBe(100)
    expect(taken).toBe(4 * 900)
    expect(refused).toEqual([])
  })
})
