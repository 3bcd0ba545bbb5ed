import { describe, expect, test } from 'vitest'
import { compileFilter, type Filter } from '../../src/message/filter.ts'
import { matchesGlob } from '../../src/message/glob.ts'
import type { MessageFields } from '../../src/message/message.ts'
import { ID, message } from './messages.ts'

/** Whether a filter takes a message with these fields, once it is ready. */
async function takes(filter: Filter, fields: Partial<MessageFields>): Promise<boolean> {
  const compiled = compileFilter(filter)
  await compiled.ready
  return compiled.matches(message(fields))
}

describe('content types', () => {
  test.each<[string | RegExp, string, boolean]>([
    ['text/plain', 'text/plain', true],
    ['text/plain', 'TEXT/Plain', true],
    ['Text/PLAIN', 'text/plain', true],
    ['text/plain', 'text/plain; charset=utf-8', true],
    ['text/plain; charset=utf-8', 'text/plain;charset="utf-8"', true],
    ['text/plain; charset=utf-8', 'text/plain', false],
    ['text/plain; charset=utf-8', 'text/plain; charset=ascii', false],
    ['text/plain', 'text/html', false],
    ['text/plai', 'text/plain', false],
    ['text/*', 'text/html; charset=utf-8', true],
    ['text/*', 'application/json', false],
    ['*/json', 'application/json', true],
    ['text/?tml', 'text/html', true],
    ['text/?tml', 'text/xhtml', false],
    ['text/*; charset=*', 'text/html; charset=utf-8', true],
    ['application/ld+json*', 'application/ld+json', true],
    ['application/ld+json*', 'application/ld+json; profile="x"', true],
    ['application/ld+json*', 'application/lddjson', false],
    ['application/vnd.*+json', 'application/vndXa+json', false],
    ['*+json', 'application/ld+json', true],
    [/^text\//, 'text/html', true],
    [/JSON$/, 'application/json', true],
    [/charset=utf-8$/, 'text/plain; charset=utf-8', true],
    [/^text\//, 'application/text/x', false],
    [/^application\/(ld\+)?json$/, 'application/ld+json; profile="x"', true],
  ])('%s on a message of type %s: %s.', async (contentType, given, expected) => {
    expect(await takes({ contentType }, { contentType: given })).toBe(expected)
  })
})

describe('other fields', () => {
  test('A sender is one id or one of several.', async () => {
    expect(await takes({ sender: 'ada' }, { sender: 'ada' })).toBe(true)
    expect(await takes({ sender: 'ada' }, { sender: 'adam' })).toBe(false)
    expect(await takes({ sender: ['bob', 'ada'] }, { sender: 'ada' })).toBe(true)
    expect(await takes({ sender: [] }, { sender: 'ada' })).toBe(false)
  })

  test("With a topic only that topic's messages match, without it no topic's do.", async () => {
    expect(await takes({ topic: 'news' }, { topic: 'news' })).toBe(true)
    expect(await takes({ topic: 'news' }, { topic: 'weather' })).toBe(false)
    expect(await takes({ topic: 'news' }, {})).toBe(false)
    expect(await takes({}, {})).toBe(true)
    expect(await takes({}, { recipients: ['*'] })).toBe(true)
    expect(await takes({}, { topic: 'news' })).toBe(false)
  })

  test('Metadata is compared as JSON, entry by entry, or with a regular expression.', async () => {
    const metadata = { a: { x: [1, null], y: 'z' }, room: 'blue-7', count: 7 }
    expect(await takes({ metadata: { a: { y: 'z', x: [1, null] } } }, { metadata })).toBe(true)
    expect(await takes({ metadata: { a: { y: 'z' } } }, { metadata })).toBe(false)
    expect(await takes({ metadata: { room: 'blue-7', count: 7 } }, { metadata })).toBe(true)
    expect(await takes({ metadata: { count: '7' } }, { metadata })).toBe(false)
    expect(await takes({ metadata: { other: null } }, { metadata })).toBe(false)
    expect(await takes({ metadata: { room: /^blue-\d+$/ } }, { metadata })).toBe(true)
    expect(await takes({ metadata: { room: /^BLUE/ } }, { metadata })).toBe(false)
    expect(await takes({ metadata: { room: /^BLUE/i } }, { metadata })).toBe(true)
    expect(await takes({ metadata: { count: /7/ } }, { metadata })).toBe(false)
  })

  test('What every object inherits is no metadata.', async () => {
    for (const key of ['constructor', 'toString', 'hasOwnProperty']) {
      expect(await takes({ metadata: { [key]: /./ } }, { metadata: {} })).toBe(false)
    }
    expect(await takes({ metadata: JSON.parse('{"__proto__": {}}') }, { metadata: {} })).toBe(false)
    expect(await takes({ metadata: { constructor: 'x' } }, { metadata: { constructor: 'x' } })).toBe(true)
  })

  test('A parent id is compared in either case.', async () => {
    expect(await takes({ parentId: ID.toUpperCase() }, { parentId: ID })).toBe(true)
    expect(await takes({ parentId: ID }, {})).toBe(false)
  })

  test('A security level is the least that is taken.', async () => {
    const at = (level: 'none' | 'low' | 'medium' | 'high') => ({
      security: { level, authenticatedBy: 'none', roles: [] } as const,
    })
    expect(await takes({ securityLevel: 'medium' }, at('low'))).toBe(false)
    expect(await takes({ securityLevel: 'medium' }, at('medium'))).toBe(true)
    expect(await takes({ securityLevel: 'medium' }, at('high'))).toBe(true)
    expect(await takes({ securityLevel: 'none' }, at('none'))).toBe(true)
  })

  test('Everything that is named has to hold.', async () => {
    const filter: Filter = { sender: 'ada', contentType: 'text/*', where: ({ content }) => content === 'hello' }
    expect(await takes(filter, {})).toBe(true)
    expect(await takes(filter, { content: 'bye' })).toBe(false)
    expect(await takes(filter, { sender: 'eve' })).toBe(false)
    expect(await takes(filter, { contentType: 'image/png' })).toBe(false)
  })
})

describe('predicates', () => {
  test('One that throws counts as no match and is reported.', () => {
    const errors: unknown[] = []
    const boom = new Error('boom')
    const where = (): boolean => {
      throw boom
    }
    const compiled = compileFilter({ where }, { onError: (error, { id }) => errors.push(error, id) })
    expect(compiled.matches(message())).toBe(false)
    expect(errors).toEqual([boom, ID])
  })

  test('One that answers with a promise lets nothing through and is reported.', () => {
    const errors: unknown[] = []
    const where = (async () => true) as never
    const compiled = compileFilter({ where }, { onError: error => errors.push(error) })
    expect(compiled.matches(message())).toBe(false)
    expect(errors).toEqual([expect.objectContaining({ code: 'INVALID_FILTER' })])
  })

  test('It is asked last, only about messages that match otherwise.', () => {
    const asked: string[] = []
    const where = ({ sender }: { sender: string }): boolean => asked.push(sender) > 0
    const compiled = compileFilter({ sender: 'ada', where })
    compiled.matches(message({ sender: 'eve' }))
    compiled.matches(message())
    expect(asked).toEqual(['ada'])
  })
})

describe('hostile patterns', () => {
  /** The flag v, which the compiler's target does not know. */
  const classArithmetic = 'v'

  test('A pattern that takes a backtracking engine for ever is matched in linear time.', async () => {
    const compiled = compileFilter({ metadata: { text: /^(a+)+$/ } })
    await compiled.ready
    const start = performance.now()
    expect(compiled.matches(message({ metadata: { text: `${'a'.repeat(15_000)}!` } }))).toBe(false)
    expect(compiled.matches(message({ metadata: { text: 'a'.repeat(15_000) } }))).toBe(true)
    expect(performance.now() - start).toBeLessThan(1000)
  })

  test('A pattern full of stars is matched in bounded time, and rightly.', () => {
    const start = performance.now()
    expect(matchesGlob(`${'*a'.repeat(127)}b`, 'a'.repeat(255))).toBe(false)
    expect(performance.now() - start).toBeLessThan(1000)
    expect(matchesGlob('', '')).toBe(true)
    expect(matchesGlob('***', '')).toBe(true)
    expect(matchesGlob('?', '')).toBe(false)
    expect(matchesGlob('a*b*c', 'aXbXbYc')).toBe(true)
    expect(matchesGlob('a*bc', 'abbc')).toBe(true)
    expect(matchesGlob('a.c', 'abc')).toBe(false)
  })

  test.each<[string, Filter]>([
    ['a pattern of 257 characters', { contentType: '*'.repeat(257) }],
    ['a regular expression of 257 characters', { contentType: new RegExp('a'.repeat(257)) }],
    ['one in metadata', { metadata: { a: new RegExp('a'.repeat(257)) } }],
    ['a sticky expression', { contentType: /a/y }],
    ['arithmetic on classes', { contentType: new RegExp('[a--b]', classArithmetic) }],
    ['an unknown level', { securityLevel: 'top' as never }],
  ])('%s is refused at once.', (_what, filter) => {
    expect(() => compileFilter(filter)).toThrow(
      expect.objectContaining({ name: 'AfpSubscriptionError', code: 'INVALID_FILTER' }),
    )
  })

  test.each(['*', ''])('A topic that is none is refused at once, saying what one is: %j', topic => {
    const message = expect.stringContaining('a topic has 1 to 128 characters')
    expect(() => compileFilter({ topic })).toThrow(
      expect.objectContaining({ name: 'AfpSubscriptionError', code: 'INVALID_TOPIC', message }),
    )
  })

  test.each([/(a)\1/, /(?=a)/, /(?<!a)b/, /a{1,2000}/])(
    '%s, which RE2 cannot do, is refused when it is compiled.',
    async pattern => {
      const compiled = compileFilter({ contentType: pattern })
      await expect(compiled.ready).rejects.toMatchObject({ name: 'AfpSubscriptionError', code: 'INVALID_FILTER' })
      expect(() => compiled.matches(message())).toThrow(expect.objectContaining({ code: 'INVALID_FILTER' }))
    },
  )

  test('Only regular expressions make a filter wait, and until then it answers what it can.', async () => {
    expect(compileFilter({ contentType: 'text/*', sender: 'ada', where: () => true }).ready).toBeUndefined()
    const compiled = compileFilter({ sender: 'ada', contentType: /^text/ })
    expect(() => compiled.matches(message())).toThrow(expect.objectContaining({ code: 'INVALID_FILTER' }))
    expect(compiled.mayMatch(message())).toBe(true)
    expect(compiled.mayMatch(message({ sender: 'eve' }))).toBe(false)
    await compiled.ready
    expect(compiled.matches(message())).toBe(true)
  })
})
