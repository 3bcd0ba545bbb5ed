import { describe, expect, it } from 'vitest'
import { ReaderFeed } from '../../src/feed/reader-feed.ts'
import { MAX_REFUSED } from '../../src/feed/wire.ts'
import { at, copied, epoch, stateOf, take } from './positions.ts'
import { range } from './reader-model.ts'

const malformed = expect.objectContaining({ code: 'MALFORMED' })

describe('order at the reader', () => {
  it('is kept within a class, and no class waits for another', () => {
    const feed = ReaderFeed.begin(epoch)
    // 1, 3 and 5 are of class 0, 2 and 4 of class 9.
    expect(take(feed, at(5, 3), at(3, 1), at(4, 2, 9))).toEqual([])
    expect(feed.waiting).toBe(3)
    expect(take(feed, at(2, 0, 9))).toEqual([2, 4])
    expect(take(feed, at(1, 0))).toEqual([1, 3, 5])
    expect(feed.waiting).toBe(0)
  })

  it('waits for a hole until it is skipped by the author', () => {
    const feed = ReaderFeed.begin(epoch)
    expect(take(feed, at(1, 0), at(3, 2))).toEqual([1])
    expect(feed.applyState(stateOf(0, 3)).holes).toEqual([[2, 2]])
    expect(feed.applyState(stateOf(0, 3, [2]))).toEqual({ released: [3], skipped: [[2, 2]], lost: [], holes: [] })
    expect(feed.check(at(2))).toBe('skipped')
  })

  it('waits behind what never came for every lower number, since it may be of the same class', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(4, 3))
    expect(feed.applyState(stateOf(0, 4, [3])).released).toEqual([])
    expect(take(feed, at(2, 0, 9))).toEqual([2])
    expect(take(feed, at(1, 0))).toEqual([1, 4])
  })

  it('waits for nothing at or below the base of the author', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(3), at(5))
    expect(feed.applyState(stateOf(2, 5))).toEqual({ released: [3], skipped: [], lost: [[1, 2]], holes: [[4, 4]] })
    expect(feed.check(at(2))).toBe('duplicate')
  })

  it('goes on when a hole is given up, and what comes of it later is late', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(1, 0), at(3))
    feed.applyState(stateOf(0, 4))
    expect(feed.giveUp([[1, 9]])).toEqual({
      released: [3],
      given: [
        [2, 2],
        [4, 4],
      ],
    })
    expect(feed.holes()).toEqual([])
    expect(feed.accept(at(2))).toEqual({ taken: true, released: [2], late: true })
    expect(feed.accept(at(4))).toEqual({ taken: true, released: [4], late: true })
  })

  it('gives up only holes, those that a later number tells of among them: its author may never say more', () => {
    const feed = ReaderFeed.begin(epoch)
    expect(feed.giveUp([[1, 9]])).toEqual({ released: [], given: [] })
    take(feed, at(5))
    expect(feed.holes()).toEqual([[1, 4]])
    expect(feed.giveUp([[1, 9]])).toEqual({ released: [5], given: [[1, 4]] })
  })

  it('goes on behind what was refused before its turn', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(2), at(3))
    expect(feed.refuse(2, 'expired').released).toEqual([])
    expect(take(feed, at(1, 0))).toEqual([1, 3])
  })

  it('waits for nothing any more once it is told so, and then all is late', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(4), at(9))
    expect(feed.waitForNothing()).toEqual([4, 9])
    expect([feed.free, feed.complete]).toEqual([true, true])
    expect(feed.accept(at(6))).toEqual({ taken: true, released: [6], late: true })
  })

  it('is held where it begins so, and what was refused meanwhile is not handed on', () => {
    const feed = ReaderFeed.begin(epoch, { held: true })
    expect(take(feed, at(1, 0), at(2), at(3))).toEqual([])
    feed.refuse(2, 'expired')
    expect(feed.waiting).toBe(2)
    expect(feed.resume()).toEqual([1, 3])
    expect(take(feed, at(4))).toEqual([4])
  })
})

describe('a number at the reader', () => {
  it('is taken once', () => {
    const feed = ReaderFeed.begin(epoch)
    expect(feed.begin(at(1, 0))).toBe(true)
    expect(feed.check(at(1, 0))).toBe('duplicate')
    expect(feed.begin(at(1, 0))).toBe(false)
    expect(feed.accept(at(1, 0)).released).toEqual([1])
    expect(feed.accept(at(1, 0))).toEqual({ taken: false, released: [], late: false })
    expect(feed.processed(1)).toBe(true)
    expect(feed.processed(1)).toBe(false)
    expect(feed.check(at(1, 0))).toBe('duplicate')
  })

  it('may come again when it did not get to the disk', () => {
    const feed = ReaderFeed.begin(epoch)
    feed.begin(at(1, 0))
    feed.abandon(1)
    expect(feed.check(at(1, 0))).toBe('new')
  })

  it('is not skipped while it is on its way to the disk: the author would hear both', () => {
    const feed = ReaderFeed.begin(epoch)
    feed.begin(at(1, 0))
    expect(feed.applyState(stateOf(0, 1, [1])).skipped).toEqual([])
    expect(feed.accept(at(1, 0)).taken).toBe(true)
    expect(feed.applyState(stateOf(0, 1, [1])).skipped).toEqual([])
    feed.snapshot().committed()
    expect(feed.ack()).toMatchObject({ delivered: [1, []], skipped: [0, []] })
  })

  it('is never taken once it is skipped', () => {
    const feed = ReaderFeed.begin(epoch)
    feed.applyState(stateOf(0, 1, [1]))
    expect(feed.begin(at(1, 0))).toBe(false)
    expect(feed.accept(at(1, 0)).taken).toBe(false)
    expect(feed.refuse(1, 'rejected').taken).toBe(false)
  })

  it.each([
    ['0', at(0, 0)],
    ['below 0', at(-1, -2)],
    ['that is no integer', at(1.5, 0)],
    ['beyond the last', at(2 ** 48, 0)],
    ['that comes after itself', at(3, 3)],
    ['that comes after a later one', at(3, 4)],
    ['of class 10', at(3, 2, 10)],
    ['of a class between classes', at(3, 2, 0.5)],
  ])('%s is malformed', (_, position) => {
    const feed = ReaderFeed.begin(epoch)
    expect(() => feed.check(position)).toThrow(malformed)
    expect(() => feed.begin(position)).toThrow(malformed)
    expect(() => feed.accept(position)).toThrow(malformed)
  })

  it('that is no number cannot be refused', () => {
    expect(() => ReaderFeed.begin(epoch).refuse(0, 'x')).toThrow(malformed)
  })

  it('of an earlier life is a duplicate whatever its bytes, and none of them passes for what came first', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(1))
    const later = ReaderFeed.restore(epoch, copied(feed.snapshot().value), [at(1)])
    expect(later.conflict(1, 7)).toBe(false)
    expect(later.conflict(1, 8)).toBe(false)
    expect(later.check(at(1))).toBe('duplicate')
    expect(later.conflict(2, 7)).toBe(false)
    expect(later.conflict(2, 8)).toBe(true)
  })

  it('with two envelopes is a conflict, and with two copies of one it is none', () => {
    const feed = ReaderFeed.begin(epoch)
    expect(feed.conflict(7, 1)).toBe(false)
    expect(feed.conflict(7, 1)).toBe(false)
    expect(feed.conflict(7, 2)).toBe(true)
    expect(feed.conflict(7, 1)).toBe(false)
    feed.applyState(stateOf(7, 7))
    expect(feed.conflict(7, 2)).toBe(false)
  })

  it('is remembered with its fingerprint among the last 1,024', () => {
    const feed = ReaderFeed.begin(epoch)
    for (const number of range(1, 1_025)) feed.conflict(number, number)
    expect(feed.conflict(2, 99)).toBe(true)
    expect(feed.conflict(1, 99)).toBe(false)
  })
})

describe('what a reader tells', () => {
  it('has a skip only once the disk has it', () => {
    const feed = ReaderFeed.begin(epoch)
    feed.applyState(stateOf(0, 2, [1]))
    expect(feed.ack().skipped).toEqual([0, []])
    const { committed } = feed.snapshot()
    feed.applyState(stateOf(0, 2, [1, 2]))
    committed()
    expect(feed.ack().skipped).toEqual([1, []])
  })

  it('has a refused envelope only once the disk has the refusal', () => {
    const feed = ReaderFeed.begin(epoch)
    feed.begin(at(1, 0))
    feed.refuse(1, 'rejected')
    expect(feed.ack()).toMatchObject({ delivered: [0, []], refused: [] })
    feed.snapshot().committed()
    expect(feed.ack()).toMatchObject({ delivered: [1, []], processed: [0, []], refused: [[1, 'rejected']] })
  })

  it('has the refusal of a stored envelope only with the commit that ends its row', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(1, 0), at(2))
    feed.refuse(1, 'handler-error')
    const other = feed.snapshot([2])
    other.committed()
    expect(feed.ack()).toMatchObject({ delivered: [2, []], refused: [] })
    const restored = ReaderFeed.restore(epoch, copied(other.value), [at(1, 0)])
    expect(restored.resume()).toEqual([1])
    expect(restored.pending).toBe(1)
    expect(restored.ack().refused).toEqual([])

    const own = feed.snapshot([1])
    // Taken before the other is on the disk, and stored after it.
    const next = feed.snapshot()
    own.committed()
    next.committed()
    expect(feed.ack().refused).toEqual([[1, 'handler-error']])
    expect(ReaderFeed.restore(epoch, copied(next.value), [at(2)]).ack()).toEqual(feed.ack())
  })

  it('goes on having what is refused while it waits for its turn: it was told already', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(2))
    feed.refuse(2, 'expired')
    expect(feed.ack().delivered).toEqual([0, [1, 1]])
  })

  it('has the lowest refusals, for which the author waits', () => {
    const feed = ReaderFeed.begin(epoch)
    for (const number of range(1, MAX_REFUSED + 10)) take(feed, at(number))
    for (const number of range(11, MAX_REFUSED + 10)) feed.refuse(number, 'x')
    for (const number of range(1, 10)) feed.refuse(number, 'y')
    feed.snapshot(range(1, MAX_REFUSED + 10)).committed()
    expect(feed.ack().refused.map(([number]) => number)).toEqual(range(1, MAX_REFUSED))
  })

  it('has reasons that fit, whatever they were', () => {
    const feed = ReaderFeed.begin(epoch)
    const reasons = ['', `${'x'.repeat(63)}😀`, 'short']
    for (const [index, reason] of reasons.entries()) feed.refuse(index + 1, reason)
    feed.snapshot().committed()
    expect(feed.ack().refused).toEqual([
      [1, 'refused'],
      [2, `${'x'.repeat(63)}\ufffd`],
      [3, 'short'],
    ])
  })

  it('says of skips and refusals below the base that they never will be handled, also when it is settled', () => {
    const feed = ReaderFeed.begin(epoch)
    feed.refuse(1, 'x')
    feed.applyState(stateOf(0, 3, [2]))
    feed.snapshot().committed()
    feed.applyState(stateOf(2, 3))
    const never = { epoch, delivered: [0, []], processed: [0, []], refused: [], skipped: [2, []] }
    expect(feed.ack()).toEqual(never)
    const later = ReaderFeed.restore(epoch, copied(feed.snapshot().value), [])
    expect(later.ack()).toEqual(never)
    expect(later.unhandled).toEqual([3, []])
  })

  it('has a word on what was lost here below the base once the author skips it, having forgotten that it is settled', () => {
    const feed = ReaderFeed.begin(epoch)
    feed.applyState(stateOf(2, 3))
    expect(feed.ack()).toMatchObject({ delivered: [0, []], processed: [0, []], skipped: [0, []] })
    expect(feed.applyState(stateOf(0, 3, [1, 2]))).toEqual({ released: [], skipped: [], lost: [], holes: [[3, 3]] })
    expect(feed.ack()).toMatchObject({ delivered: [0, []], processed: [0, []], skipped: [2, []] })
  })

  it('shows the author what was lost here: it is delivered nowhere below the base', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(1, 0))
    expect(feed.applyState(stateOf(3, 4)).lost).toEqual([[2, 3]])
    expect(feed.ack().delivered).toEqual([1, []])
    expect(feed.applyState(stateOf(3, 4)).lost).toEqual([])
  })

  it('counts old and doubled states for nothing', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(5, 0))
    feed.applyState(stateOf(3, 7))
    expect(feed.applyState(stateOf(1, 5, [2]))).toMatchObject({ released: [], skipped: [], lost: [] })
    expect([feed.base, feed.last]).toEqual([3, 7])
  })

  it('is not changed by a state that is malformed', () => {
    const feed = ReaderFeed.begin(epoch)
    expect(() => feed.applyState({ ...stateOf(1, 3), skips: [9, []] })).toThrow(malformed)
    expect(feed.base).toBe(0)
  })
})

describe('a reader after a restart', () => {
  it('hands on again what has a row, and has done the rest', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(1, 0), at(2), at(3))
    feed.processed(1)
    const restored = ReaderFeed.restore(epoch, copied(feed.snapshot().value), [at(3), at(2)])
    expect(restored.ack()).toMatchObject({ delivered: [3, []], processed: [1, []] })
    expect(restored.resume()).toEqual([2, 3])
  })

  it('has what came after its last snapshot, since it has a row', () => {
    const feed = ReaderFeed.begin(epoch)
    const { value } = feed.snapshot()
    take(feed, at(1, 0))
    const restored = ReaderFeed.restore(epoch, value, [at(1, 0)])
    expect(restored.check(at(1, 0))).toBe('duplicate')
    expect(restored.ack().delivered).toEqual([1, []])
  })

  it('gives its turn back to what was refused in vain, and what follows it waits for nothing else', () => {
    const feed = ReaderFeed.begin(epoch)
    take(feed, at(3, 1))
    feed.refuse(3, 'expired')
    // The row of 3 was not deleted.
    const restored = ReaderFeed.restore(epoch, copied(feed.snapshot().value), [at(3, 1)])
    restored.resume()
    expect(take(restored, at(4, 3), at(1, 0))).toEqual([1, 3, 4])
  })

  it('does not count a row of what it promised never to take', () => {
    const feed = ReaderFeed.begin(epoch)
    feed.applyState(stateOf(0, 1, [1]))
    const restored = ReaderFeed.restore(epoch, feed.snapshot().value, [at(1, 0)])
    expect(restored.resume()).toEqual([])
    expect(restored.check(at(1, 0))).toBe('skipped')
  })

  it.each([
    ['no list', {}],
    ['another version', (value: unknown[]) => value.with(0, 2)],
    ['a part missing', (value: unknown[]) => value.slice(1)],
    ['a base that is no number', (value: unknown[]) => value.with(1, '1')],
    ['a set that is none', (value: unknown[]) => value.with(3, [0])],
    ['refusals that are none', (value: unknown[]) => value.with(7, [[0, '']])],
    ['a flag that is none', (value: unknown[]) => value.with(8, 1)],
  ])('is not begun from a snapshot with %s', (_, change) => {
    const { value } = ReaderFeed.begin(epoch).snapshot()
    const damaged = typeof change === 'function' ? change(value) : change
    expect(() => ReaderFeed.restore(epoch, damaged, [])).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }))
  })
})
