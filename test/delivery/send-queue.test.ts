import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Sendable, SendQueue } from '../../src/delivery/send-queue.ts'

let made = 0
const entry = (priority = 0, expiresAt = 1_000_000, epoch = 1): Sendable => ({
  epoch: { order: epoch },
  priority,
  expiresAt,
  order: ++made,
})

describe('a send queue', () => {
  it('lets no more under way than the window allows', () => {
    const queue = new SendQueue(2)
    const [a, b, c] = [entry(), entry(), entry()]
    for (const item of [a, b, c]) queue.add(item)
    expect([queue.take(1), queue.take(1), queue.take(1)]).toEqual([a, b, undefined])
    queue.remove(a)
    expect(queue.take(2)).toBe(c)
    expect(queue.flying).toBe(2)
  })

  it('holds a message back until its time', () => {
    const queue = new SendQueue(10)
    const item = entry()
    queue.add(item, 500)
    expect(queue.take(499)).toBeUndefined()
    expect(queue.nextDue).toBe(500)
    expect(queue.take(500)).toBe(item)
  })

  it('says that nothing is due where all that was is settled or held', () => {
    const queue = new SendQueue(10)
    const [a, b] = [entry(), entry()]
    queue.add(a)
    queue.add(b)
    expect(queue.nextDue).toBe(0)
    queue.remove(a)
    queue.hold(b)
    expect(queue.nextDue).toBeUndefined()
    queue.resume(b, 0)
    expect(queue.nextDue).toBe(0)
    expect(queue.take(0)).toBe(b)
    expect(queue.nextDue).toBeUndefined()
  })

  it('has what is left of earlier epochs go first, whatever its priority, and wait for none of it that may not go yet', () => {
    const queue = new SendQueue(10)
    const of = (epoch: number, priority: number): Sendable => entry(priority, undefined, epoch)
    const [third, first, other, second, late] = [of(3, 9), of(1, 0), of(3, 0), of(2, 5), of(1, 9)]
    for (const item of [third, first, other, second]) queue.add(item)
    queue.add(late, 50)
    expect([1, 1, 1].map(now => queue.take(now))).toEqual([first, second, third])
    expect([50, 50, 50].map(now => queue.take(now))).toEqual([late, other, undefined])
    queue.again(first, 60)
    queue.again(third, 60)
    queue.add(of(3, 9))
    expect(queue.nextDue).toBe(0)
    expect(queue.take(60)).toBe(first)
  })

  it('tells what was not acknowledged in time, and sends it again when told', () => {
    const queue = new SendQueue(10)
    const [a, b] = [entry(), entry()]
    queue.add(a)
    queue.add(b)
    queue.take(0)
    queue.take(50)
    expect(queue.nextOverdue(100)).toBe(100)
    expect(queue.overdue(100, 100)).toEqual([a])
    queue.again(a, 300)
    expect(queue.take(299)).toBeUndefined()
    expect(queue.take(300)).toBe(a)
  })

  it('takes back what was under way when the connection is gone', () => {
    const queue = new SendQueue(10)
    const [a, b] = [entry(), entry()]
    queue.add(a)
    queue.add(b)
    queue.take(5)
    queue.take(5)
    queue.recall(10)
    expect(queue.flying).toBe(0)
    expect([queue.take(10), queue.take(10), queue.take(10)]).toEqual([a, b, undefined])
  })

  it('gives out what has expired once, whatever state it is in', () => {
    const queue = new SendQueue(1)
    const [flying, ready, later] = [entry(0, 100), entry(0, 100), entry(0, 100)]
    queue.add(flying)
    queue.add(ready)
    queue.add(later, 90)
    queue.take(0)
    expect(queue.expired(99)).toEqual([])
    expect(new Set(queue.expired(100))).toEqual(new Set([flying, ready, later]))
    expect(queue.expired(100)).toEqual([])
  })

  it('gives every message that is not removed again and again until it is, and never one that is', () => {
    const step = fc.record({
      op: fc.constantFrom('add' as const, 'take' as const, 'ack' as const, 'late' as const, 'recall' as const),
      pick: fc.nat(),
      wait: fc.integer({ min: 1, max: 60 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), steps => {
        const queue = new SendQueue<Sendable>(4)
        const open = new Set<object>()
        const flying = new Set<object>()
        let now = 1
        for (const { op, pick, wait } of steps) {
          now += wait
          if (op === 'add') {
            const item = entry(pick % 10, undefined, 1 + (pick % 3))
            open.add(item)
            queue.add(item, pick % 2 === 0 ? 0 : now + wait)
          } else if (op === 'take') {
            const due = queue.nextDue
            const item = queue.take(now)
            expect(item !== undefined).toBe(due !== undefined && due <= now)
            if (item === undefined) continue
            expect(open.has(item) && !flying.has(item)).toBe(true)
            flying.add(item)
            expect(flying.size).toBeLessThanOrEqual(4)
          } else if (op === 'ack') {
            const item = [...open][pick % Math.max(1, open.size)]
            if (item === undefined) continue
            expect(queue.remove(item as never)).toBe(true)
            open.delete(item)
            flying.delete(item)
          } else if (op === 'late') {
            for (const item of queue.overdue(now, 30)) {
              queue.again(item, now + wait)
              flying.delete(item)
            }
          } else {
            queue.recall(now)
            flying.clear()
          }
          expect(queue.size).toBe(open.size)
          expect(queue.flying).toBe(flying.size)
        }
        // In the end everything that is open comes out.
        queue.recall(now)
        queue.window = Number.POSITIVE_INFINITY
        const out = new Set<object>()
        for (let item = queue.take(now + 1_000); item !== undefined; item = queue.take(now + 1_000)) out.add(item)
        expect(out).toEqual(open)
      }),
      { numRuns: 500 },
    )
  })
})
