import { describe, expect, it } from 'vitest'
import { makePlan, PlanError, type Result } from '../../demo/behaviours/plan.ts'

/** Each chain as `capability: question`, every task given the same result before it. */
const words = (text: string, before: Result = { value: 7, unit: 'km' }): string[][] =>
  makePlan(text).map(chain => chain.map(task => `${task.capability}: ${task.ask(before)}`))

describe('the plan of an orchestrator', () => {
  it('asks one agent for one thing', () => {
    expect(words('what time is it')).toEqual([['time: what time is it']])
    expect(words('What is 3 * 4?')).toEqual([['calculate: 3 * 4']])
    expect(words('convert 5 km to miles')).toEqual([['convert/units: convert 5 km to miles']])
    expect(words('say salt and pepper')).toEqual([['echo: salt and pepper']])
  })

  it('hands a result on to what follows from it', () => {
    expect(words('convert 5 km to miles then add 3')).toEqual([
      ['convert/units: convert 5 km to miles', 'calculate: 7 + 3'],
    ])
    expect(words('12 * 12 then divide it by 4 and then double it')).toEqual([
      ['calculate: 12 * 12', 'calculate: 7 / 4', 'calculate: 7 * 2'],
    ])
    expect(words('100 F to C and convert that to K')).toEqual([
      ['convert/units: 100 F to C', 'convert/units: convert 7 km to K'],
    ])
    expect(words('2 + 2; it * it')).toEqual([['calculate: 2 + 2', 'calculate: 7 * 7']])
  })

  it('puts a negative result in parentheses, so that it keeps its sign under a power', () => {
    expect(words('1 - 8 then square it', { value: -7 })).toEqual([['calculate: 1 - 8', 'calculate: (-7) ^ 2']])
  })

  it('runs what does not depend on anything side by side', () => {
    expect(words('what time is it and 2 + 2, then add 1')).toEqual([
      ['time: what time is it'],
      ['calculate: 2 + 2', 'calculate: 7 + 1'],
    ])
    expect(words('max(1, 2) then add 3')).toEqual([['calculate: max(1, 2)', 'calculate: 7 + 3']])
  })

  it.each([
    ['', 'nothing to do'],
    ['sing me a song', 'do not know whom to ask'],
    ['add 3', 'needs something before it'],
    ['2 + 2 then dance', '“dance”'],
    [Array(20).fill('1 + 1').join(';'), 'at most 8'],
  ])('refuses %j and says why', (text, why) => {
    expect(() => makePlan(text)).toThrow(PlanError)
    expect(() => makePlan(text)).toThrow(why)
  })

  it('needs a number to calculate with and a unit to convert from', () => {
    expect(() => words('what time is it then add 3', {})).toThrow('no number')
    expect(() => words('2 + 2 then to miles', { value: 4 })).toThrow('no unit')
  })
})
