import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ExpressionError, evaluate, MAX_EXPRESSION } from '../../demo/behaviours/expression.ts'

describe('the expression parser', () => {
  it.each([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['10 - 4 - 3', 3],
    ['100 / 10 / 5', 2],
    ['2 ^ 3 ^ 2', 512],
    ['2 ** 3', 8],
    ['-2 ^ 2', -4],
    ['2 ^ -1', 0.5],
    ['--3', 3],
    ['3 - -3', 6],
    ['15% of 80', 12],
    ['50%', 0.5],
    ['17 mod 5', 2],
    ['5!', 120],
    ['.5 + 1.', 1.5],
    ['1e3 + 2E-1', 1000.2],
    ['6 × 7 ÷ 2 − 1', 20],
    ['sqrt(16) + abs(-2)', 6],
    ['max(1, 2, min(9, 3))', 3],
    ['SQRT(9)', 3],
    ['log2(8)', 3],
  ])('reads %s as %d', (text, value) => {
    expect(evaluate(text)).toBeCloseTo(value, 12)
  })

  it.each([
    ['', 'missing'],
    ['1 +', 'missing'],
    ['(1', 'not closed'],
    ['1)', 'did not expect'],
    ['1 2', 'did not expect'],
    ['1 / 0', 'divided by zero'],
    ['1 mod 0', 'divided by zero'],
    ['sqrt(-1)', 'not a finite number'],
    ['9 ^ 9 ^ 9', 'not a finite number'],
    ['sqrt 4', 'needs parentheses'],
    ['sqrt(1, 2)', 'Too many'],
    ['2.5!', 'whole numbers'],
    ['alert(1)', 'do not know'],
    ['constructor', 'do not know'],
    ['__proto__', 'cannot read'],
    ['1; 2', 'cannot read'],
  ])('refuses %j and says why', (text, why) => {
    expect(() => evaluate(text)).toThrow(ExpressionError)
    expect(() => evaluate(text)).toThrow(why)
  })

  it('refuses what is too long or nested too deep instead of exhausting the stack', () => {
    expect(() => evaluate('1+'.repeat(MAX_EXPRESSION))).toThrow('at most')
    expect(() => evaluate(`${'('.repeat(120)}1${')'.repeat(120)}`)).toThrow('deeper')
    expect(() => evaluate(`${'-'.repeat(200)}1`)).toThrow('deeper')
    expect(() => evaluate(Array(100).fill('2').join('^'))).toThrow('deeper')
  })

  it('answers any text with a finite number or an ExpressionError, never with anything else', () => {
    const piece = fc.constantFrom(
      '1',
      '2.5',
      '+',
      '-',
      '*',
      '/',
      '^',
      '%',
      '!',
      '(',
      ')',
      ',',
      ' ',
      'pi',
      'sqrt',
      'mod',
      'x',
      '"',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map(parts => parts.join('')),
        ),
        text => {
          try {
            return Number.isFinite(evaluate(text))
          } catch (error) {
            return error instanceof ExpressionError
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
