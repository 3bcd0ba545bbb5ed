/** Values that are not what they look like: getters, proxies and `toJSON` of the application's own. */

import { describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { buildMessage, type MessageInit } from '../../src/message/build.ts'
import { decodeMessage, encodeMessage } from '../../src/message/envelope.ts'
import { createIds } from '../../src/message/ids.ts'
import type { Content } from '../../src/message/message.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { NOW, RECEIVED } from './messages.ts'

const clock = new DrivenClock(NOW)
const context = { sender: 'ada', clock, ids: createIds({ clock, random: seededRandom(1) }), limits: DEFAULT_LIMITS }
const build = (content: unknown, init: MessageInit = {}) =>
  buildMessage({ recipients: ['bob'] }, content as Content, init, context)
const arrived = (message: ReturnType<typeof build>) =>
  decodeMessage(encodeMessage(message, 'message'), {
    sender: 'ada',
    topic: undefined,
    security: RECEIVED,
    limits: DEFAULT_LIMITS,
  }).message

const error = new TypeError('not for you')
const fail = (): never => {
  throw error
}
const traps = Object.fromEntries(
  ['get', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor'].map(trap => [trap, fail]),
)
const revoked = Proxy.revocable([], {})
revoked.revoke()

const throwing: [string, unknown][] = [
  ['a getter that throws', Object.defineProperty({}, 'a', { enumerable: true, get: fail })],
  ['a getter that throws further in', { list: [Object.defineProperty({}, 'a', { enumerable: true, get: fail })] }],
  ['an element that throws', Object.defineProperty(['x'], 0, { get: fail })],
  ['a proxy that throws', new Proxy({ a: 1 }, traps)],
  ['a proxy that throws further in', { a: new Proxy({ a: 1 }, traps) }],
  ['a list behind a proxy that throws', new Proxy([1], { get: fail })],
]

describe('What throws when it is read', () => {
  test.each([
    ...throwing,
    ['a prototype that throws', Object.create(Object.defineProperty({}, 'constructor', { get: fail }))],
    ['bytes whose buffer is gone', detached()],
  ])('%s is refused as content, with what it threw as the cause.', (_what, content) => {
    expect(() => build(content)).toThrow(
      expect.objectContaining({ name: 'AfpMessageError', code: 'INVALID_CONTENT', cause: expect.any(TypeError) }),
    )
  })

  test('A proxy that was revoked is refused as content.', () => {
    expect(() => build({ a: revoked.proxy })).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT' }))
  })

  test.each(throwing.slice(0, 5))('%s is refused as metadata, with what it threw as the cause.', (_what, metadata) => {
    expect(() => build('x', { metadata: { metadata } as never })).toThrow(
      expect.objectContaining({ name: 'AfpMessageError', code: 'INVALID_METADATA', cause: error }),
    )
  })
})

describe('What says something else than it holds', () => {
  const hidden = <T extends object>(value: T): T => Object.defineProperty(value, 'toJSON', { value: () => 'other' })

  test.each([
    ['an object', { a: 1 }],
    ['a list', [1, 2]],
    ['an object further in', { a: { b: 1 } }],
  ])('%s with a hidden toJSON arrives as what it holds.', (_what, plain) => {
    const content = structuredClone(plain)
    hidden('a' in content && typeof content.a === 'object' ? content.a : content)
    expect(arrived(build(content)).content).toEqual(plain)
    expect(arrived(build('x', { metadata: { content } as never })).metadata).toEqual({ content: plain })
  })

  test('A toJSON in plain sight is refused, as every function is.', () => {
    expect(() => build({ toJSON: () => 'other' })).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT' }))
  })

  test('A list of a class of its own arrives as the list that it is.', () => {
    class Numbers extends Array<number> {
      toJSON(): string {
        return 'other'
      }
    }
    expect(arrived(build(Numbers.from([1, 2]))).content).toEqual([1, 2])
  })

  test('What its owner changes after it was built changes nothing.', () => {
    const content = { count: 1, list: [{ a: 1 }] as unknown[] }
    const metadata = { deep: { a: 1 } }
    const built = build(content, { metadata })
    content.count = Number.NaN
    content.list.push(undefined)
    Object.assign(content.list[0] as object, { a: 2 })
    metadata.deep.a = 2
    expect(arrived(built)).toMatchObject({ content: { count: 1, list: [{ a: 1 }] }, metadata: { deep: { a: 1 } } })
  })

  test('A getter is asked when the message is built, and not again.', () => {
    let asked = 0
    const content = Object.defineProperty({}, 'count', { enumerable: true, get: () => ++asked })
    const built = build(content)
    const before = asked
    expect(arrived(built).content).toEqual(built.content)
    expect(arrived(built).content).toEqual({ count: before })
    expect(asked).toBe(before)
  })

  test('The number -0 arrives as 0, and numbers of other arrays as their bytes.', () => {
    expect(Object.is((arrived(build([-0])).content as number[])[0], 0)).toBe(true)
    const numbers = Float64Array.of(1.5, -0)
    expect(arrived(build(numbers)).content).toEqual(new Uint8Array(numbers.buffer))
  })
})

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8)
  structuredClone(buffer, { transfer: [buffer] })
  return buffer
}
