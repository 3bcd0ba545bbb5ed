/** What an application should never hand in and does: each is refused with an error of this project that says where. */

import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { letterBytes, letterMessage } from '../../src/delivery/dead-letter.ts'
import { createIdentity, isAgentId } from '../../src/identity/keys.ts'
import { toDictionary, toJson } from '../../src/message/json.ts'
import { Message, type MessageFields } from '../../src/message/message.ts'
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

/** Bytes that were handed to somebody else, as to a worker. */
function detached(): Uint8Array {
  const bytes = new Uint8Array(32)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

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

  test('is no seed, though it has bytes, where its buffer is gone or it has others than a seed', async () => {
    expect(await failure(createIdentity(detached()))).toMatchObject({ code: 'INVALID_IDENTITY' })
    for (const value of [new BigUint64Array(32), new Uint16Array(32).fill(300), new DataView(new ArrayBuffer(32))]) {
      expect(await failure(createIdentity(value as never))).toMatchObject({ code: 'INVALID_OPTION' })
    }
  })

  test('is no part of a key, where its buffer is gone', async () => {
    const key = [detached()]
    const refused = { code: 'INVALID_OPTION', message: expect.stringContaining('a part whose buffer is gone') }
    expect(await failure(ada.storage.change(transaction => transaction.get(key)))).toMatchObject(refused)
    expect(await failure(ada.storage.change(transaction => transaction.put(key, 1)))).toMatchObject(refused)
    expect(await failure(ada.storage.change(transaction => transaction.delete(key)))).toMatchObject(refused)
    expect(await failure(ada.storage.list({ prefix: key }))).toMatchObject(refused)
  })

  test('is no message to write as JSON', () => {
    let deep = {}
    for (let depth = 0; depth < 100_000; depth++) deep = { deep }
    for (const content of [10n, cyclic, deep, detached()]) {
      const message = new Message({ id: 'x', content } as unknown as MessageFields)
      expect(() => toJson(message)).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT' }))
    }
    for (const value of [10n, cyclic]) {
      expect(() => toJson(value as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT' }))
      expect(() => toDictionary(value as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT' }))
    }
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
