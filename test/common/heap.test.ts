import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Heap } from '../../src/common/heap.ts'

describe('a heap', () => {
  it('gives what was put in, least first, whatever the order and whatever is dropped in between', () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant('push' as const), at: fc.integer({ min: 0, max: 50 }) }),
      fc.record({ op: fc.constant('shift' as const), at: fc.integer({ min: 0, max: 50 }) }),
      fc.record({ op: fc.constant('drop' as const), at: fc.nat() }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), steps => {
        const gone = new Set<number>()
        const heap = new Heap<number>(value => gone.has(value))
        let model: { at: number; value: number }[] = []
        for (const [value, { op, at }] of steps.entries()) {
          if (op === 'push') {
            heap.push(at, value)
            model.push({ at, value })
          } else if (op === 'drop') {
            const victim = model[at % Math.max(1, model.length)]
            if (victim !== undefined) gone.add(victim.value)
            model = model.filter(item => item !== victim)
          } else {
            const least = Math.min(...model.map(item => item.at))
            expect(heap.peek()).toBe(model.length === 0 ? undefined : least)
            const taken = heap.shift(at)
            if (model.length === 0 || least > at) expect(taken).toBeUndefined()
            else {
              const found = model.find(item => item.value === taken)
              expect(found?.at).toBe(least)
              model = model.filter(item => item !== found)
            }
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('does not keep what was dropped', () => {
    const gone = new Set<number>()
    const heap = new Heap<number>(value => gone.has(value))
    for (let i = 0; i < 10_000; i++) {
      heap.push(1_000_000 - i, i)
      if (i > 10) gone.add(i - 10)
    }
    expect(heap.size).toBeLessThan(200)
  })
})
