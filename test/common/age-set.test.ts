import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AgeSet } from '../../src/common/age-set.ts'

describe('a set that knows its oldest member', () => {
  it('is a Set, whatever is added and taken out', () => {
    const step = fc.tuple(fc.constantFrom('add', 'delete', 'clear'), fc.nat(5))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const set = new AgeSet<number>()
        const model = new Set<number>()
        for (const [name, value] of steps) {
          // Rarely, or nothing would ever grow.
          if (name === 'clear' && value > 0) continue
          set[name](value)
          model[name](value)
          expect([set.size, set.oldest]).toEqual([model.size, model.values().next().value])
          expect([0, 1, 2, 3, 4, 5].filter(one => set.has(one))).toEqual([...model].sort())
        }
        // What was linked wrongly shows as the oldest go.
        for (const value of model) {
          expect(set.oldest).toBe(value)
          set.delete(value)
        }
        expect(set.oldest).toBe(undefined)
      }),
    )
  })

  it('finds its oldest member as fast after very many were taken out before it', () => {
    const set = new AgeSet<number>()
    // A walk over what was taken out would take some 10^10 steps.
    for (let i = 0; i < 400_000; i++) {
      set.add(i)
      if (i >= 100_000) set.delete(set.oldest as number)
    }
    expect(set.size).toBe(100_000)
    expect(set.oldest).toBe(300_000)
  })
})
