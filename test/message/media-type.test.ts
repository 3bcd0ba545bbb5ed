import { expect, test } from 'vitest'
import { parseMediaType, validateContentType } from '../../src/message/media-type.ts'

test.each([
  ['text/plain', 'text/plain', 'text/plain'],
  ['TEXT/Plain', 'text/plain', 'text/plain'],
  ['application/ld+json', 'application/ld+json', 'application/ld+json'],
  ['application/vnd.api+json; VERSION=A', 'application/vnd.api+json', 'application/vnd.api+json;version=A'],
  ['text/plain ; charset="utf-8"', 'text/plain', 'text/plain;charset=utf-8'],
  ['a/b; c="d \\" e"; f=g', 'a/b', 'a/b;c="d \\" e";f=g'],
])('%j is a MIME type.', (text, essence, canonical) => {
  expect(parseMediaType(text)).toEqual({ essence, canonical })
  expect(validateContentType(text)).toBe(text)
})

test.each([
  '',
  'text',
  'text/',
  '/plain',
  'text/plain/x',
  ' text/plain',
  'text/plain;',
  'text/plain; charset',
  'text/plain; charset=',
  'text/plain; charset="open',
  'text/plain; charset="a\\',
  'text/plain; charset="a\nb"',
  'text/plain\r\nx: y',
  'te xt/plain',
  'tëxt/plain',
  '*/*',
  `a/${'b'.repeat(254)}`,
  `${'a'.repeat(128)}/b`,
])('%j is none.', text => {
  expect(parseMediaType(text)).toBeUndefined()
  expect(() => validateContentType(text)).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT_TYPE' }))
})

test('What is no string is no MIME type.', () => {
  expect(() => validateContentType(7)).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT_TYPE' }))
})

test('Text made to be slow is judged at once.', () => {
  const start = performance.now()
  for (const part of [';', '; a', ' ', '"', '\\', ';a="', '; a=b']) {
    expect(parseMediaType(`a/b${part.repeat(100_000)}`)).toBeUndefined()
    parseMediaType(`a/b${part.repeat(250 / part.length)}`)
  }
  expect(performance.now() - start).toBeLessThan(1000)
})
