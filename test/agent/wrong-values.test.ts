/** What an application should never hand in and does: each is refused with an error of this project that says where. */

import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { letterBytes, letterMessage } from '../../src/delivery/dead-letter.ts'
import { createIdentity, isAgentId } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { failure } from './waiting.ts'
import { ada, adaAndBob, bob } from './worlds.ts'

const cyclic: { self?: unknown } = {}
cyclic.self = cyclic

/** Values that are nothing an option takes, and of which many cannot be written into a message by themselves. */
const odd: [what: string, value: unknown][] = [
  ['null', null],
  ['a bigint', 10n],
  ['a symbol', Symbol('odd')],
  ['a list that has itself in it', [cyclic]],
  ['an object that has itself in it', cyclic],
  ['an object that has no text', Object.create(null)],
]

const calls: [what: string, call: (agent: Agent, value: never) => unknown, code: string, says: string][] = [
  ['connect()', (agent, value) => agent.connect(value), 'INVALID_ADDRESS', 'is not a multiaddr'],
  ['the name of pin()', (agent, value) => agent.pin(value, agent.id), 'INVALID_NAME', 'a name is a string'],
  ['the id of pin()', (agent, value) => agent.pin('eve', value), 'INVALID_OPTION', 'what pin() pins a name to has to'],
  ['unsubscribe()', (agent, value) => agent.unsubscribe(value), 'INVALID_OPTION', 'what unsubscribe() ends has to be'],
  [
    'deadLetters.list()',
    (agent, value) => agent.deadLetters.list({ limit: value }),
    'INVALID_OPTION',
    'limit has to be a whole number from 0',
  ],
  [
    'storage.list()',
    (agent, value) => agent.storage.list({ limit: value }),
    'INVALID_OPTION',
    'limit has to be a whole number from 0',
  ],
  [
    'the limit of a store',
    (_agent, value) => memoryStore().range('app', { limit: value }),
    'INVALID_OPTION',
    'limit has to be a whole number from 0',
  ],
  [
    'createIdentity()',
    (_agent, value) => createIdentity(value),
    'INVALID_OPTION',
    'the seed of createIdentity() has to',
  ],
  [
    'letterMessage()',
    (_agent, value) => letterMessage(value),
    'INVALID_OPTION',
    'what letterMessage() reads has to be',
  ],
]

describe('A value that makes no sense', () => {
  adaAndBob()

  test.each(calls)('is refused where it is given to %s', async (_what, call, code, says) => {
    for (const [, value] of odd) {
      const error = await failure((async () => call(ada, value as never))())
      expect(error).toMatchObject({ code, message: expect.stringContaining(says) })
    }
  })

  test('is no agent id', () => {
    for (const [, value] of [...odd, ['nothing', undefined], ['a list', [...bob.id]]])
      expect(isAgentId(value)).toBe(false)
    expect(isAgentId(bob.id)).toBe(true)
  })

  test('is no seed, though it can be made into 32 bytes', async () => {
    for (const value of ['0'.repeat(32), Array(32).fill(7), new Set(Array(32).keys())]) {
      expect(await failure(createIdentity(value as never))).toMatchObject({ code: 'INVALID_OPTION' })
    }
    // Whoever keeps bytes in Node has them as a Buffer.
    expect((await createIdentity(Buffer.alloc(32, 7))).id).toBe((await createIdentity(new Uint8Array(32).fill(7))).id)
  })

  test('is no letter to read, though it has bytes that are', () => {
    const letter = { message: letterBytes('x', { sender: ada.id, recipient: bob.id }), sender: ada.id }
    const security = { level: 'none', authenticatedBy: 'none', roles: [] }
    for (const value of [
      undefined,
      {},
      [],
      letter,
      { ...letter, security, message: 'x' },
      { ...letter, sender: 5, security },
    ]) {
      expect(() => letterMessage(value as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
    expect(letterMessage({ ...letter, security } as never).message.content).toBe('x')
  })
})
