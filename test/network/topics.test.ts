import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nameProblem } from '../../src/identity/names.ts'
import { MAX_GOSSIP_TOPIC_LENGTH, parseTopic, presenceTopic, topicOf } from '../../src/network/topics.ts'

describe('gossip topics', () => {
  test('presence and topics of a mesh have the forms that the specification names', () => {
    expect(presenceTopic('demo')).toBe('/afp/1/demo/presence')
    expect(topicOf('demo', 'news')).toBe('/afp/1/demo/topic/news')
  })

  test('a slash in a name cannot make a topic of another mesh', () => {
    expect(topicOf('a', 'b/../c')).toBe('/afp/1/a/topic/b%2F..%2Fc')
    expect(presenceTopic('a/topic')).toBe('/afp/1/a%2Ftopic/presence')
    expect(parseTopic('/afp/1/a/topic/b/c')).toBeUndefined()
    expect(parseTopic('/afp/1/a/presence/b')).toBeUndefined()
  })

  test('whatever mesh and name are allowed come back from the topic, and no two topics are the same', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).map(text => text.normalize('NFC'))
    const mesh = name.filter(text => nameProblem(text) === undefined)
    const topicName = name.filter(text => !/\p{Cc}/u.test(text) && text.length <= 128)
    fc.assert(
      fc.property(mesh, topicName, (m, n) => {
        expect(parseTopic(topicOf(m, n))).toEqual({ mesh: m, name: n })
        expect(parseTopic(presenceTopic(m))).toEqual({ mesh: m, name: undefined })
        expect(topicOf(m, n)).not.toBe(presenceTopic(m))
      }),
    )
  })

  test('the longest names stay within the longest topic', () => {
    const topic = topicOf('中'.repeat(64), '中'.repeat(128))
    expect(topic.length).toBe(MAX_GOSSIP_TOPIC_LENGTH)
    expect(parseTopic(topic)).toBeDefined()
  })

  test.each([
    ['', 'INVALID_NAME'],
    ['m'.repeat(65), 'INVALID_NAME'],
    ['a*b', 'INVALID_NAME'],
  ])('a mesh cannot be called %j', (mesh, code) => {
    expect(() => presenceTopic(mesh)).toThrow(expect.objectContaining({ code }))
    expect(() => topicOf(mesh, 'news')).toThrow(expect.objectContaining({ code }))
  })

  test.each(['', 'n'.repeat(129), 'a\nb', '\ud800', 'e\u0301'])('a topic cannot be called %j', name => {
    expect(() => topicOf('demo', name)).toThrow(expect.objectContaining({ code: 'INVALID_TOPIC' }))
  })

  test.each([
    '/afp/1/demo',
    '/afp/1/demo/',
    '/afp/1//presence',
    '/afp/1/demo/topic',
    '/afp/1/demo/topic/',
    '/afp/1/demo/other/news',
    '/afp/2/demo/presence',
    'afp/1/demo/presence',
    '/afp/1/demo/topic/%',
    '/afp/1/demo/topic/%6eews',
    '/afp/1/demo/topic/%2f',
    '/afp/1/demo/topic/%00',
    '/afp/1/demo/topic/a b',
    `/afp/1/demo/topic/${'x'.repeat(4_000)}`,
  ])('%s is not a topic of this protocol', topic => {
    expect(parseTopic(topic)).toBeUndefined()
  })
})
