import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { Standing } from '../../src/agent/standing.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { RefusalReason } from '../../src/network/network.ts'
import { topicOf } from '../../src/network/topics.ts'
import { turn } from '../contracts/waiting.ts'
import { RawPeer } from './raw-peer.ts'
import { collect } from './waiting.ts'
import { acquainted, loopbackWorld } from './worlds.ts'

describe('What gossip thinks of a neighbour', () => {
  test.each<RefusalReason>(['malformed', 'too-deep', 'bad-signature', 'bad-card'])(
    'sinks with what was refused as %s, which no honest one sends',
    reason => {
      const standing = new Standing(new DrivenClock())
      for (let i = 0; i < 3; i++) standing.refused('eve', reason)
      expect(standing.score('eve')).toBe(-3)
      expect(standing.score('bob')).toBe(0)
    },
  )

  test.each<RefusalReason>([
    'unsolicited',
    'internal',
    'hook',
    'overflow',
    'expired',
    'duplicate',
    'clock-skew',
    'rate',
    'not-for-us',
    'wrong-version',
    'wrong-mesh',
    'no-hello',
  ])('does not change with what was refused as %s, which honest ones send too', reason => {
    const standing = new Standing(new DrivenClock())
    standing.refused('bob', reason)
    expect(standing.score('bob')).toBe(0)
  })

  test('is forgotten each minute', async () => {
    const clock = new DrivenClock()
    const standing = new Standing(clock)
    for (let minute = 0; minute < 2; minute++) {
      standing.refused('eve', 'malformed')
      await clock.advance(59_999)
      expect(standing.score('eve')).toBe(-1)
      await clock.advance(1)
      expect(standing.score('eve')).toBe(0)
    }
    standing.close()
    expect(clock.pending).toBe(0)
  })

  test('is kept for a thousand of them, however many ids somebody makes', () => {
    const standing = new Standing(new DrivenClock())
    standing.refused('first', 'malformed')
    for (let i = 0; i < 1_023; i++) standing.refused(`${i}`, 'malformed')
    expect(standing.score('first')).toBe(-1)
    // Who goes on is not forgotten for those that come.
    standing.refused('first', 'malformed')
    standing.refused('one more', 'malformed')
    expect(['first', '0', '1', 'one more'].map(peer => standing.score(peer))).toEqual([-2, 0, -1, -1])
  })
})

test('gossip goes on with one whose replies were late or found this side failing, and stops with one who sends garbage', async () => {
  const world = await loopbackWorld()
  const ada: Agent = await world.join('ada', {
    hooks: {
      afterReceive: message => {
        if (message.content !== 'odd') return
        Object.defineProperty(message, 'topic', {
          get: () => {
            throw new TypeError('sabotaged')
          },
        })
      },
    },
  })
  const bob = await world.join('bob')
  await acquainted([ada, bob])
  const refused = collect(ada, 'refused')
  bob.subscribe({ topic: 'news' })
  const raw = await RawPeer.member(ada)
  const { pubsub } = raw.node.services
  pubsub.subscribe(topicOf('demo', 'news'))
  const told = async (): Promise<readonly string[]> => (await ada.publish('news', null)).peers
  while ((await told()).length < 2) await turn()

  const gate = Promise.withResolvers<void>()
  bob.handle(() => gate.promise)
  // More than gossip forgives: it stops publishing to whoever has a score below -50.
  const requests = Array.from({ length: 100 }, (_, i) => ada.request('bob', i, { timeout: 50, ttl: 60 }))
  await Promise.allSettled(requests)
  gate.resolve()
  for (let i = 0; i < 100; i++) await bob.send('ada', 'odd')
  for (let i = 0; i < 100; i++) raw.send(raw.sealed(Uint8Array.of(1, 2, 3)))
  const reasons = (peer: string, reason: string): number =>
    refused.filter(event => event.peer === peer && event.reason === reason).length
  while (reasons(bob.id, 'unsolicited') < 100 || reasons(bob.id, 'internal') < 100) await turn()
  // Scores are looked at once in a heartbeat: by the third that one of another is over.
  for (let beats = 0; beats < 3; beats++) {
    await new Promise(resolve => pubsub.addEventListener('gossipsub:heartbeat', resolve, { once: true }))
  }
  expect(await told()).toEqual([bob.id])
  expect(reasons(raw.id, 'malformed')).toBe(100)
  await raw.stop()
  await world.close()
})
