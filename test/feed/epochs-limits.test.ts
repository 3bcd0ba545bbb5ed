import { beforeEach, describe, expect, it } from 'vitest'
import { Epochs, MAX_EARLIER, MAX_KEPT, MAX_OPEN } from '../../src/feed/epochs.ts'
import type { RangeWire } from '../../src/feed/ranges.ts'
import { MAX_SETTLED } from '../../src/feed/settled.ts'
import { at, id, stateIn as stateOf } from './positions.ts'
import { range } from './reader-model.ts'

const [A, B, C] = [id(0xa0_0000), id(0xb0_0000), id(0xc0_0000)]

let epochs: Epochs
beforeEach(() => {
  epochs = new Epochs()
})

describe('what an author can make its reader keep', () => {
  it('is 64 open epochs, but those that others wait for still fit', () => {
    for (const index of range(1, MAX_OPEN - 1)) expect(epochs.open(id(index), [])).toBe('opened')
    expect(epochs.open(B, [A])).toBe('opened')
    expect(epochs.open(C, [])).toBe('too-many')
    expect(epochs.open(A, [])).toBe('opened')
    expect(epochs.ids.length).toBe(MAX_OPEN + 1)
  })

  it('is 256 epochs that are not settled, whatever waits for them', () => {
    for (const index of range(1, MAX_KEPT)) {
      expect(epochs.open(id(index), range(index + 1, index + MAX_EARLIER).map(id))).toBe('opened')
    }
    expect(epochs.awaited()).toContain(id(MAX_KEPT + 1))
    expect(epochs.open(id(MAX_KEPT + 1), [])).toBe('too-many')
  })

  it('makes room by letting go of one of which nothing ever came, and tells which', () => {
    for (const index of range(1, MAX_OPEN)) {
      epochs.open(id(index), [])
      if (index !== 7) epochs.accept(id(index), at(1))
    }
    expect(epochs.open(id(100), [])).toBe('too-many')
    expect(epochs.makeRoom()).toBe(id(7))
    expect(epochs.open(id(100), [])).toBe('opened')
    epochs.accept(id(100), at(1))
    expect(epochs.makeRoom()).toBeUndefined()
  })

  it('makes room by letting go of one of which only states told, and what waits for it goes on waiting', () => {
    for (const index of range(1, MAX_OPEN)) epochs.open(id(index), index === 2 ? [id(1)] : [])
    for (const index of range(2, MAX_OPEN)) epochs.accept(id(index), at(1))
    epochs.applyStates([stateOf(id(1), 3, 9, [0, [4, 2]])])
    expect(epochs.open(id(100), [])).toBe('too-many')
    expect(epochs.makeRoom()).toBe(id(1))
    expect(epochs.awaited()).toEqual(new Set([id(1)]))
    expect(epochs.open(id(100), [])).toBe('opened')
    expect(epochs.open(id(1), [])).toBe('opened')
  })

  it('is nothing of which something is on its way to the disk, or was refused', () => {
    for (const epoch of [A, B]) epochs.open(epoch, [])
    epochs.begin(A, at(1))
    epochs.refuse(B, 1, 'rejected')
    expect(epochs.makeRoom()).toBeUndefined()
    epochs.abandon(A, 1)
    expect(epochs.makeRoom()).toBe(A)
    expect(epochs.empty).toBe(false)
  })

  it('is 1,024 ranges of skips in all, and 16 more of each', () => {
    const many: RangeWire = [0, new Array(2_048).fill(1)]
    const odd = (count: number): number => 2 * count + 1
    for (const index of range(1, 40)) epochs.open(id(index), [])
    epochs.applyStates([stateOf(id(1), 0, 9_999, [0, new Array(2_000).fill(1)])])
    epochs.applyStates(range(1, 40).map(index => stateOf(id(index), 0, 9_999, many)))
    const told = range(1, 40).map(index => epochs.feed(id(index))?.skips)
    expect(told).toEqual([1_024, ...new Array(39).fill(16)])
    // What was settled makes room for others.
    epochs.applyStates([stateOf(id(1), odd(1_024), 9_999), stateOf(id(2), 0, 9_999, many)])
    expect([1, 2].map(index => epochs.feed(id(index))?.skips)).toEqual([0, 1_024 - 38 * 16])
  })

  it('is the last 256 settled ones in which nothing arrived, in memory alone', () => {
    for (const index of range(1, 258)) {
      expect(epochs.open(id(index), [])).toBe('opened')
      epochs.applyStates([stateOf(id(index), 0, 2, [2, []])])
      const untaken = index === 1 ? [] : [id(index - 1)]
      expect(epochs.shrink(5)).toEqual({ settled: [], untaken, forgotten: [] })
    }
    expect(epochs.check(id(1), at(1))).toBe('unknown')
    expect(epochs.check(id(2), at(1))).toBe('duplicate')
    expect(epochs.open(id(2), [])).toBe('settled')
    expect(epochs.ack(id(2))).toMatchObject({ delivered: [0, []], processed: [0, []], skipped: [2, []] })
    expect(epochs.drop(id(258))).toBe(true)
    expect(epochs.empty).toBe(true)
  })

  it('is so many settled epochs: the oldest gives way, and what is opened is taken', () => {
    for (const index of range(1, MAX_SETTLED)) epochs.restoreSettled({ epoch: id(index), floor: 1, at: index })
    epochs.resume()
    expect(epochs.shrink(MAX_SETTLED).forgotten).toEqual([])
    const [next, last] = [id(MAX_SETTLED + 1), id(MAX_SETTLED + 2)]
    for (const epoch of [next, last]) {
      expect(epochs.open(epoch, [])).toBe('opened')
      epochs.accept(epoch, at(1))
    }
    epochs.processed(next, 1)
    epochs.applyStates([stateOf(last, 0, 1)])
    expect(epochs.shrink(MAX_SETTLED)).toMatchObject({ settled: [{ epoch: next }], forgotten: [id(1)] })
    expect(epochs.check(id(2), at(1))).toBe('duplicate')
  })
})

describe('an author whose store was set back', () => {
  it('is not waited for with numbers of which it knows nothing any more', () => {
    epochs.open(A, [])
    epochs.accept(A, at(1))
    epochs.accept(A, at(4))
    epochs.open(B, [A])
    epochs.accept(B, at(1))
    // It goes on in the epoch by its word, and has opened no other one: the rest may be on its way.
    expect(epochs.applyStates([stateOf(A, 0, 2)]).released).toEqual([])
    const { released, news, changed } = epochs.applyStates([stateOf(A, 0, 2), stateOf(B, 0, 1)])
    expect(released).toEqual([])
    expect(news.filter(({ lost }) => lost.length > 0)).toMatchObject([{ epoch: A, lost: [[3, 3]], holes: [[2, 2]] }])
    expect(changed).toContain(A)
    expect(epochs.accept(A, at(2))).toMatchObject({
      released: [2, 4],
      others: [{ epoch: B, numbers: [1] }],
    })
  })

  it('has what it goes on with handed on before an epoch that it forgot, also where that epoch came first', () => {
    epochs.open(B, [A])
    epochs.begin(B, at(1))
    epochs.accept(B, at(1))
    epochs.open(C, [A])
    expect(epochs.applyStates([stateOf(A, 0, 1), stateOf(C, 0, 1)])).toMatchObject({ released: [], unknown: [A] })
    expect(epochs.open(A, [])).toBe('opened')
    epochs.applyStates([stateOf(A, 0, 1), stateOf(C, 0, 1)])
    epochs.begin(A, at(1))
    expect(epochs.accept(A, at(1))).toMatchObject({ released: [1], late: false, others: [{ epoch: B, numbers: [1] }] })
  })

  it('is not waited for where nothing is left of what comes before an epoch that it forgot', () => {
    epochs.open(B, [A])
    epochs.begin(B, at(1))
    epochs.accept(B, at(1))
    epochs.open(C, [A])
    expect(epochs.applyStates([stateOf(A, 1, 1), stateOf(C, 0, 1)]).released).toEqual([{ epoch: B, numbers: [1] }])
  })

  it('is not waited for where what comes before an epoch that it forgot is over by a later word alone', () => {
    for (const word of [[stateOf(C, 0, 1)], [stateOf(A, 1, 1), stateOf(C, 0, 1)]]) {
      epochs = new Epochs()
      for (const epoch of [B, C]) {
        epochs.open(epoch, [A])
        epochs.begin(epoch, at(1))
        epochs.accept(epoch, at(1))
      }
      expect(epochs.applyStates([stateOf(A, 0, 1), stateOf(C, 0, 1)]).released).toEqual([])
      expect(epochs.applyStates(word).released).toEqual([B, C].map(epoch => ({ epoch, numbers: [1] })))
    }
  })

  it('is told what was never handled of an epoch that is settled, after a restart too', () => {
    epochs.open(A, [])
    epochs.accept(A, at(1))
    epochs.open(B, [])
    epochs.accept(B, at(1))
    epochs.applyStates([stateOf(A, 0, 3, [0, [1, 2]]), stateOf(B, 0, 1)])
    epochs.applyStates([stateOf(B, 0, 1)])
    epochs.processed(A, 1)
    const [entry] = epochs.shrink(5).settled
    const told = { delivered: [1, []], processed: [1, []], skipped: [0, [1, 2]] }
    expect(epochs.ack(A)).toMatchObject(told)
    epochs = new Epochs()
    if (entry !== undefined) epochs.restoreSettled(entry)
    expect(epochs.ack(A)).toMatchObject(told)
  })
})
