import { beforeEach, describe, expect, it } from 'vitest'
import { Epochs, type Handed, MAX_EARLIER, MAX_LISTED } from '../../src/feed/epochs.ts'
import { KEEP_SETTLED } from '../../src/feed/settled.ts'
import type { Position } from '../../src/feed/wire.ts'
import { at, copied, id, stateIn as stateOf } from './positions.ts'
import { range } from './reader-model.ts'

const malformed = expect.objectContaining({ code: 'MALFORMED' })
const [A, B, C] = [id(0xa0_0000), id(0xb0_0000), id(0xc0_0000)]

let epochs: Epochs
beforeEach(() => {
  epochs = new Epochs()
})

/** An envelope comes and gets to the disk; returns what may be handed on, of this and of other epochs. */
function take(epoch: string, position: Position): Handed[] {
  expect(epochs.begin(epoch, position)).toBe(true)
  const { released, others } = epochs.accept(epoch, position)
  return [...(released.length > 0 ? [{ epoch, numbers: released }] : []), ...others]
}

/** Everything as after a crash: only snapshots and rows are left. */
function restart(rows: Readonly<Record<string, Position[]>>): readonly Handed[] {
  const snapshots = epochs.ids.map(epoch => [epoch, copied(epochs.snapshot(epoch)?.value)] as const)
  epochs = new Epochs()
  // A store lists them by id.
  for (const [epoch, snapshot] of snapshots.toSorted()) epochs.restore(epoch, snapshot, rows[epoch] ?? [])
  return epochs.resume()
}

describe('an epoch at its reader', () => {
  it('is opened once, and takes envelopes then', () => {
    expect(epochs.check(A, at(1))).toBe('unknown')
    expect(epochs.begin(A, at(1))).toBe(false)
    expect(epochs.accept(A, at(1))).toEqual({ taken: false, released: [], late: false, others: [] })
    expect(epochs.open(A, [])).toBe('opened')
    expect(epochs.open(A, [B])).toBe('known')
    expect(epochs.check(A, at(1))).toBe('new')
    expect(take(A, at(1))).toEqual([{ epoch: A, numbers: [1] }])
    expect(epochs.ack(A)).toMatchObject({ epoch: A, delivered: [1, []], processed: [0, []] })
    expect(epochs.processed(A, 1)).toBe(true)
    expect(epochs.ack(A)).toMatchObject({ processed: [1, []] })
  })

  it('of which nothing is known has nothing to tell', () => {
    expect(epochs.ack(A)).toBeUndefined()
    expect(epochs.feed(A)).toBeUndefined()
    expect(epochs.snapshot(A)).toBeUndefined()
    expect(epochs.refuse(A, 1, 'x')).toEqual({ taken: false, released: [] })
    expect(epochs.processed(A, 1)).toBe(false)
    expect(epochs.giveUp(A, [[1, 1]])).toEqual({ released: [], given: [] })
    expect(epochs.awaited()).toEqual(new Set())
  })

  it.each([
    ['no id', 'a', []],
    ['an id in capitals', A.toUpperCase(), []],
    ['no id among those it names', A, ['__proto__']],
    ['too many named', A, range(1, MAX_EARLIER + 1).map(id)],
  ])('is not opened with %s', (_, epoch, earlier) => {
    expect(() => epochs.open(epoch, earlier)).toThrow(malformed)
    expect(epochs.ids).toEqual([])
  })
})

describe('order over epochs', () => {
  it('waits for the earlier ones that an opening names, until the author said how far they go and all is here', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    expect(take(B, at(1))).toEqual([])
    expect(take(A, at(1))).toEqual([{ epoch: A, numbers: [1] }])
    // The author's word: there is a second one.
    expect(epochs.applyStates([stateOf(A, 0, 2), stateOf(B, 0, 1)]).released).toEqual([])
    expect(epochs.awaited()).toEqual(new Set([A]))
    expect(take(A, at(2))).toEqual([
      { epoch: A, numbers: [2] },
      { epoch: B, numbers: [1] },
    ])
    expect(epochs.awaited()).toEqual(new Set())
  })

  it('waits for an earlier one whose opening comes later', () => {
    epochs.open(B, [A])
    take(B, at(1))
    expect(epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1)])).toMatchObject({ released: [], unknown: [A] })
    epochs.open(A, [])
    expect(take(A, at(1))).toEqual([{ epoch: A, numbers: [1] }])
    expect(epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1)]).released).toEqual([{ epoch: B, numbers: [1] }])
  })

  it('goes on when the author skips what is missing, or settles or no longer lists an earlier one', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(B, at(1))
    const news = epochs.applyStates([stateOf(A, 0, 1, [1, []]), stateOf(B, 0, 1)])
    expect(news.released).toEqual([{ epoch: B, numbers: [1] }])
    expect(news.changed.toSorted()).toEqual([A])

    epochs.open(C, [A, B, id(1), id(2)])
    take(C, at(1))
    // 1 is listed and settled, 2 is not listed, and neither was ever opened here.
    const states = [stateOf(id(1), 3, 3), stateOf(B, 0, 2), stateOf(C, 0, 1)]
    expect(epochs.applyStates(states).released).toEqual([])
    expect(epochs.awaited()).toEqual(new Set([B]))
    expect(take(B, at(2))).toEqual([
      { epoch: B, numbers: [2] },
      { epoch: C, numbers: [1] },
    ])
  })

  it('goes on through a chain of epochs at once', () => {
    epochs.open(C, [A, B])
    epochs.open(B, [A])
    epochs.open(A, [])
    take(C, at(1))
    take(B, at(1))
    expect(epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1), stateOf(C, 0, 1)]).released).toEqual([])
    expect(take(A, at(1))).toEqual([
      { epoch: A, numbers: [1] },
      { epoch: B, numbers: [1] },
      { epoch: C, numbers: [1] },
    ])
  })

  it('hands on what waits in an epoch that the author has settled', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(A, at(2))
    take(B, at(1))
    expect(epochs.applyStates([stateOf(B, 0, 1)]).released).toEqual([
      { epoch: A, numbers: [2] },
      { epoch: B, numbers: [1] },
    ])
  })

  it('takes nothing from a word in which only an empty epoch could tell', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(B, at(1))
    expect(epochs.applyStates([stateOf(A, 0, 1)]).released).toEqual([])
    expect(epochs.applyStates([stateOf(B, 0, 0)]).released).toEqual([])
    expect(epochs.awaited()).toEqual(new Set([A]))
  })

  it('does not take a later epoch for settled because an old word does not list it', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(A, at(1))
    epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1)])
    epochs.processed(A, 1)
    epochs.applyStates([stateOf(A, 0, 1)])
    expect(epochs.shrink(0).settled).toEqual([])
    expect(epochs.check(B, at(1))).toBe('new')
  })

  it('waits for what is listed before an epoch that is not: its author may have forgotten that one', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    epochs.open(C, [A])
    expect(take(B, at(1))).toEqual([])
    expect(epochs.applyStates([stateOf(A, 0, 1), stateOf(C, 0, 1)]).released).toEqual([])
    expect(take(A, at(1)).flat()).toEqual([A, B].map(epoch => ({ epoch, numbers: [1] })))
  })

  it('waits no longer for an epoch that was given up, and what comes of it is late', () => {
    epochs.open(B, [A])
    take(B, at(1))
    expect(epochs.giveUpEpochs([A])).toEqual([{ epoch: B, numbers: [1] }])
    expect(epochs.open(A, [])).toBe('opened')
    epochs.begin(A, at(2))
    expect(epochs.accept(A, at(2))).toMatchObject({ released: [2], late: true })
  })

  it('hands on what is here of an epoch that is given up, before what waits for it', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(A, at(2))
    take(B, at(1))
    expect(epochs.giveUpEpochs(epochs.awaited())).toEqual([
      { epoch: A, numbers: [2] },
      { epoch: B, numbers: [1] },
    ])
  })

  it('is freed by giving up even where epochs wait for each other, as only a liar has them', () => {
    epochs.open(A, [B])
    epochs.open(B, [A])
    take(A, at(1))
    take(B, at(1))
    expect(
      epochs
        .giveUpEpochs([A, B])
        .map(({ epoch }) => epoch)
        .toSorted(),
    ).toEqual([A, B])
  })

  it('is not disturbed by an envelope that is refused', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(B, at(1))
    epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1)])
    expect(epochs.refuse(A, 1, 'rejected')).toEqual({ taken: true, released: [{ epoch: B, numbers: [1] }] })
  })

  it('is not disturbed by a hole that is given up', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(B, at(1))
    epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1)])
    expect(epochs.giveUp(A, [[1, 1]])).toEqual({ released: [{ epoch: B, numbers: [1] }], given: [[1, 1]] })
  })
})

describe('the word of an author', () => {
  it('counts for nothing when a part of it is malformed', () => {
    epochs.open(A, [])
    for (const bad of [stateOf(B, 2, 1), stateOf('b', 0, 1), { ...stateOf(B, 0, 1), skips: [0, [0, 1]] as const }]) {
      expect(() => epochs.applyStates([stateOf(A, 1, 1), bad])).toThrow(malformed)
    }
    expect(epochs.feed(A)?.base).toBe(0)
  })

  it('tells which epochs are to be stored: those with new skips, and those now known to be earlier ones', () => {
    epochs.open(A, [])
    expect(epochs.applyStates([stateOf(A, 0, 3)]).changed).toEqual([])
    expect(epochs.applyStates([stateOf(A, 0, 3, [0, [1, 1]])]).changed).toEqual([A])
    expect(epochs.applyStates([stateOf(A, 0, 3, [0, [1, 1]])]).changed).toEqual([])
    epochs.open(B, [A])
    expect(epochs.applyStates([stateOf(A, 0, 3), stateOf(B, 0, 1)]).changed).toEqual([A])
    expect(epochs.applyStates([stateOf(A, 0, 3), stateOf(B, 0, 1)]).changed).toEqual([])
    expect(epochs.applyStates([stateOf(B, 0, 1)]).changed).toEqual([A])
  })

  it('is on so many epochs at most', () => {
    const states = range(1, MAX_LISTED + 1).map(index => stateOf(id(index), 0, 1))
    expect(() => epochs.applyStates(states)).toThrow(malformed)
    expect(epochs.applyStates(states.slice(1)).unknown.length).toBe(MAX_LISTED)
  })
})

describe('a settled epoch', () => {
  /** A has one message that is processed, and B follows. */
  function settleA(): void {
    epochs.open(A, [])
    take(A, at(1))
    epochs.processed(A, 1)
    epochs.open(B, [])
    take(B, at(1))
  }

  it('shrinks once its author does not list it, and everything in it has its end', () => {
    epochs.open(A, [])
    take(A, at(1))
    epochs.open(B, [])
    take(B, at(1))
    epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1)])
    expect(epochs.shrink(5).settled).toEqual([])
    epochs.applyStates([stateOf(B, 0, 1)])
    expect(epochs.shrink(5).settled).toEqual([])
    epochs.processed(A, 1)
    expect(epochs.shrink(5).settled).toEqual([{ epoch: A, floor: 1, at: 5 }])
    expect(epochs.ids).toEqual([B])
  })

  it('takes nothing again, whatever is replayed, and says that all is done', () => {
    settleA()
    epochs.applyStates([stateOf(B, 0, 1)])
    epochs.shrink(5)
    expect(epochs.open(A, [])).toBe('settled')
    expect(epochs.check(A, at(1))).toBe('duplicate')
    expect(epochs.check(A, at(2))).toBe('over')
    expect(epochs.begin(A, at(2))).toBe(false)
    expect(epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1)]).unknown).toEqual([])
    expect(epochs.ack(A)).toEqual({ epoch: A, delivered: [1, []], processed: [1, []], refused: [], skipped: [0, []] })
  })

  it('is waited for by nobody', () => {
    settleA()
    epochs.applyStates([stateOf(B, 0, 1)])
    epochs.shrink(5)
    epochs.open(C, [A])
    expect(take(C, at(1))).toEqual([{ epoch: C, numbers: [1] }])
  })

  it('is forgotten after 31 days, the restart included', () => {
    settleA()
    epochs.applyStates([stateOf(B, 0, 1)])
    epochs.shrink(5)
    epochs = new Epochs()
    epochs.restoreSettled({ epoch: C, floor: 1, at: 7 })
    epochs.restoreSettled({ epoch: A, floor: 1, at: 5 })
    epochs.resume()
    expect(epochs.shrink(4 + KEEP_SETTLED).forgotten).toEqual([])
    expect(epochs.shrink(5 + KEEP_SETTLED).forgotten).toEqual([A])
    expect(epochs.check(A, at(1))).toBe('unknown')
    expect(epochs.check(C, at(1))).toBe('duplicate')
  })

  it('is remembered as long as asked', () => {
    settleA()
    epochs.applyStates([stateOf(B, 0, 1)])
    epochs.shrink(5, 10)
    expect(epochs.shrink(14, 10).forgotten).toEqual([])
    expect(epochs.shrink(15, 10).forgotten).toEqual([A])
  })
})

describe('the epochs after a restart', () => {
  it('hand on again what has no end, each epoch in its turn, whichever was opened here first', () => {
    epochs.open(A, [B])
    epochs.open(B, [])
    take(B, at(1))
    take(A, at(1))
    epochs.applyStates([stateOf(B, 0, 1), stateOf(A, 0, 1)])
    expect(restart({ [A]: [at(1)], [B]: [at(1)] })).toEqual([
      { epoch: B, numbers: [1] },
      { epoch: A, numbers: [1] },
    ])
  })

  it('do so also where order was given up', () => {
    epochs.open(B, [A])
    epochs.open(A, [])
    take(A, at(1))
    take(B, at(1))
    expect(epochs.giveUpEpochs([A])).toEqual([{ epoch: B, numbers: [1] }])
    expect(restart({ [A]: [at(1)], [B]: [at(1)] }).map(({ epoch }) => epoch)).toEqual([A, B])
  })

  it('wait again for an earlier epoch whose own snapshot does not say that it is over', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(A, at(1))
    const early = copied(epochs.snapshot(A)?.value)
    take(B, at(1))
    expect(epochs.applyStates([stateOf(A, 0, 2, [0, [1, 1]]), stateOf(B, 0, 1)]).released.length).toBe(1)
    const later = copied(epochs.snapshot(B)?.value)
    epochs = new Epochs()
    epochs.restore(A, early, [at(1)])
    epochs.restore(B, later, [at(1)])
    expect(epochs.resume()).toEqual([{ epoch: A, numbers: [1] }])
    // A copy of what was skipped meanwhile may come now: it still has its turn.
    expect(take(A, at(2))).toEqual([{ epoch: A, numbers: [2] }])
    const { released } = epochs.applyStates([stateOf(A, 0, 2, [0, [1, 1]]), stateOf(B, 0, 1)])
    expect(released).toEqual([{ epoch: B, numbers: [1] }])
  })

  it('wait for no earlier epoch that is over without anything that arrived: it has no snapshot to say so', () => {
    epochs.open(A, [])
    epochs.open(B, [A])
    take(B, at(1))
    const word = [stateOf(A, 0, 1, [1, []]), stateOf(B, 0, 1)]
    expect(epochs.applyStates(word).released).toEqual([{ epoch: B, numbers: [1] }])
    const later = copied(epochs.snapshot(B)?.value)
    epochs = new Epochs()
    epochs.restore(B, later, [at(1)])
    expect(epochs.resume()).toEqual([{ epoch: B, numbers: [1] }])
  })

  it('wait no longer for what was given up before', () => {
    epochs.open(B, [A])
    take(B, at(1))
    epochs.giveUpEpochs([A])
    expect(restart({ [B]: [at(1)] })).toEqual([{ epoch: B, numbers: [1] }])
    epochs.open(A, [])
    epochs.begin(A, at(1))
    expect(epochs.accept(A, at(1)).late).toBe(true)
  })

  it('tell apart what was opened before and after', () => {
    epochs.open(A, [])
    take(A, at(1))
    restart({ [A]: [at(1)] })
    epochs.open(B, [])
    take(B, at(1))
    epochs.processed(A, 1)
    epochs.applyStates([stateOf(B, 0, 1)])
    expect(epochs.shrink(0).settled.map(({ epoch }) => epoch)).toEqual([A])
  })

  it.each([
    ['no list', {}],
    ['too short', (value: unknown[]) => value.slice(1)],
    ['too long', (value: unknown[]) => [...value, 0]],
    ['without its place', (value: unknown[]) => value.with(0, 'first')],
    ['with ids that are none', (value: unknown[]) => value.with(1, ['a'])],
    ['with a flag that is none', (value: unknown[]) => value.with(3, 0)],
    ['with a reader that is none', (value: unknown[]) => value.with(5, [])],
  ])('are not begun from a snapshot that is %s', (_, change) => {
    epochs.open(A, [])
    const value = epochs.snapshot(A)?.value as unknown[]
    const damaged = typeof change === 'function' ? change(value) : change
    expect(() => new Epochs().restore(A, damaged, [])).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }))
  })
})
