import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nameProblem, validateName } from '../../src/identity/names.ts'

const takes = (names: readonly string[]): void => {
  for (const name of names) expect([name, nameProblem(name)]).toEqual([name, undefined])
}
const refuses = (names: readonly unknown[]): void => {
  for (const name of names) expect([name, nameProblem(name) !== undefined]).toEqual([name, true])
}

describe('Names', () => {
  test('names of one script are taken, with digits, spaces and punctuation', () => {
    takes([
      'ada',
      'Ada Lovelace',
      'agent-7',
      'O’Brien',
      'Zoë',
      'Łódź',
      'Ελένη',
      'Борис',
      'עדה',
      'ليلى',
      'नेहा',
      'ნინო',
      '🤖 bot',
    ])
  })

  test('the scripts that Japanese, Korean and Chinese are written in stand together', () => {
    takes(['山田タロウ', 'ひらがなとカタカナ', '김철수', '金哲洙 Kim', '王小明 Wang', '王ㄨㄤ'])
  })

  test('letters of two scripts that look alike do not stand together', () => {
    refuses(['аda', 'adа', 'pаypal', 'Αda', 'ο7o', 'Борис Boris', 'ΑБ', 'ひ한'])
  })

  test('normal form C is asked for, and whole characters', () => {
    takes(['Zo\u00eb'])
    refuses(['Zoe\u0308', '\u212b', '\ud800', 'a\udc00'])
  })

  test('control, format and bidirectional characters are refused', () => {
    for (const code of [0x00, 0x09, 0x0a, 0x1f, 0x7f, 0x85, 0xad, 0x200b, 0x200d, 0x200e, 0x202a, 0x202e, 0x2028]) {
      refuses([`a${String.fromCodePoint(code)}b`])
    }
    for (const code of [0x2029, 0x2066, 0x2069, 0xfeff, 0xe000, 0xfff9, 0xe0041]) {
      refuses([`a${String.fromCodePoint(code)}b`])
    }
  })

  test('what is empty, too long, padded or an asterisk is refused', () => {
    takes(['x'.repeat(64)])
    refuses(['', 'x'.repeat(65), ' ada', 'ada ', '\u00a0ada', '*', 'a*', undefined, null, 7, {}])
  })

  test('the error says which name and why', () => {
    expect(validateName('ada')).toBe('ada')
    expect(() => validateName('аda')).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }))
    expect(() => validateName('аda')).toThrow(/one script/)
  })

  test('any text at all is judged without an error, and what is taken is in normal form and printable', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 70 }), text => {
        if (nameProblem(text) !== undefined) return
        expect(text).toBe(text.normalize('NFC').trim())
        expect(text).not.toMatch(/\p{C}/u)
      }),
      { numRuns: 300 },
    )
  })
})
