/** What is refused or called off before anything is sent. */

import { beforeAll, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { failure } from '../agent/waiting.ts'
import type { AgentTrio } from './agent-trio.ts'

export function agentRefusals(trio: AgentTrio): void {
  const { arrived, published } = trio
  let ada: Agent
  let bob: Agent
  let stranger: string
  beforeAll(() => {
    ;({ ada, bob, stranger } = trio)
  })

  describe('what is wrong is refused before anything is sent', () => {
    test.each<[string, () => Promise<unknown>, string]>([
      ['nobody', () => ada.send([], 'x'), 'NO_RECIPIENT'],
      ['an empty name', () => ada.send('', 'x'), 'NO_RECIPIENT'],
      ['no name at all', () => ada.send(undefined as never, 'x'), 'NO_RECIPIENT'],
      ['something that is no target', () => ada.send({ capable: 'of' } as never, 'x'), 'NO_RECIPIENT'],
      ["'*'", () => ada.send('*', 'x'), 'NO_RECIPIENT'],
      ["'*' among others", () => ada.send(['bob', '*'], 'x'), 'NO_RECIPIENT'],
      ['names that nobody has', () => ada.send(['no-one', 'nobody'], 'x', { timeout: 20 }), 'UNKNOWN_RECIPIENT'],
      ['too many', () => ada.send([bob.id, ...Array.from({ length: 64 }, (_, i) => `a${i}`)], 'x'), 'INVALID_MESSAGE'],
      ['an expired message', () => ada.send('bob', 'x', { timestamp: 1, ttl: 1 }), 'MESSAGE_EXPIRED'],
      ['a message from the future', () => ada.send('bob', 'x', { timestamp: 4e15 }), 'INVALID_MESSAGE'],
      ['an unknown guarantee', () => ada.send('bob', 'x', { guarantee: 'maybe' as never }), 'INVALID_OPTION'],
      ['a priority of 10', () => ada.send('bob', 'x', { priority: 10 }), 'INVALID_PRIORITY'],
      ['a negative time to live', () => ada.send('bob', 'x', { ttl: -1 }), 'INVALID_TTL'],
      ['no MIME type', () => ada.send('bob', 'x', { contentType: 'text' }), 'INVALID_CONTENT_TYPE'],
      ['metadata that is no object', () => ada.send('bob', 'x', { metadata: [] as never }), 'INVALID_METADATA'],
      ['an id that is no UUID', () => ada.send('bob', 'x', { id: 'x' }), 'INVALID_MESSAGE'],
      ['undefined', () => ada.send('bob', undefined as never), 'INVALID_CONTENT'],
      ['a function', () => ada.send('bob', (() => {}) as never), 'INVALID_CONTENT'],
      ['too much', () => ada.send('bob', new Uint8Array(300_000)), 'MESSAGE_TOO_LARGE'],
      ['a bad timeout', () => ada.send('bob', 'x', { timeout: Number.NaN }), 'INVALID_OPTION'],
      ['a bad topic', () => ada.publish('$broadcast', 'x'), 'INVALID_TOPIC'],
      ['no topic', () => ada.publish('', 'x'), 'INVALID_TOPIC'],
      ['an expired broadcast', () => ada.broadcast('x', { timestamp: 1 }), 'MESSAGE_EXPIRED'],
      ['a request with a bad timeout', () => ada.request('bob', 'x', { timeout: -1 }), 'INVALID_OPTION'],
      ['an expired request', () => ada.request('bob', 'x', { timestamp: 1, ttl: 1 }), 'MESSAGE_EXPIRED'],
    ])('%s', async (_what, attempt, code) => {
      expect(await failure(attempt())).toMatchObject({ code })
      expect(await arrived(ada, bob)).toEqual([])
    })

    test('what cannot be handled or subscribed is refused at once', () => {
      const code = (wanted: string) => expect.objectContaining({ code: wanted })
      expect(() => bob.handle(undefined as never)).toThrow(code('INVALID_OPTION'))
      expect(() => bob.handle({ topic: 'news' }, () => {})).toThrow(code('INVALID_FILTER'))
      expect(() => bob.handle({ securityLevel: 'ultra' as never }, () => {})).toThrow(code('INVALID_FILTER'))
      expect(() => bob.subscribe({ topic: '$broadcast' })).toThrow(code('INVALID_TOPIC'))
      expect(() => bob.subscribe({ maxMessages: 0 })).toThrow(code('INVALID_OPTION'))
      expect(() => bob.subscribe({ expiresAt: 1 })).toThrow(code('INVALID_OPTION'))
      bob.subscribe({ id: 'mine' })
      expect(() => bob.subscribe({ id: 'mine' })).toThrow(code('DUPLICATE_SUBSCRIPTION'))
      bob.unsubscribe('mine')
      expect(() => bob.unsubscribe('mine')).toThrow(code('UNKNOWN_SUBSCRIPTION'))
    })

    test('a signal that has fired stops everything before anything is sent', async () => {
      const reason = new Error('changed my mind')
      const signal = AbortSignal.abort(reason)
      const subscription = bob.subscribe({ topic: 'called off' })
      await published(ada, 'called off', 'go', 1)
      const question = ada.send('bob', 'question').then(() => bob.receive())
      const attempts = [
        ada.send('bob', 'x', { signal }),
        ada.send(['bob', 'eve'], 'x', { signal }),
        ada.send('nobody', 'x', { signal }),
        ada.send({ capability: 'fly' }, 'x', { signal }),
        ada.request('bob', 'x', { signal }),
        ada.publish('called off', 'x', { signal }),
        ada.broadcast('x', { signal }),
        ada.receive({ signal }),
        ada.waitFor('nobody', { signal }),
        ada.connect(bob.addresses[0] as string, { signal }),
        question.then(message => ada.respond(message, 'x', { signal })),
      ].map(attempt => failure(attempt))
      for (const attempt of attempts) expect(await attempt).toBe(reason)
      expect(() => ada.subscribe({ signal })).toThrow(reason)
      expect(await arrived(ada, bob)).toEqual([])
      await published(ada, 'called off', 'end', 1)
      for await (const { content } of subscription) {
        expect(content).not.toBe('x')
        if (content === 'end') break
      }
    })

    test('a signal that fires while something waits ends the wait with its reason', async () => {
      const reason = new Error('too slow')
      const aborting = new AbortController()
      const { signal } = aborting
      const asked = Promise.withResolvers<void>()
      const done = Promise.withResolvers<void>()
      using _ = bob.handle(() => {
        asked.resolve()
        return done.promise
      })
      const waits = [
        ada.send('nobody', 'x', { signal }),
        ada.send(stranger, 'x', { signal }),
        ada.send({ capability: 'fly' }, 'x', { signal }),
        ada.request('bob', 'x', { signal }),
        ada.receive({ signal }),
        ada.waitFor('nobody', { signal }),
      ].map(wait => failure(wait))
      await asked.promise
      waits.push(failure(bob.drain({ signal })))
      aborting.abort(reason)
      for (const wait of waits) expect(await wait).toBe(reason)
      done.resolve()
      await bob.drain()
    })
  })
}
