import { beforeEach, describe, expect, it } from 'vitest'
import { Epochs, MAX_EARLIER, MAX_KEPT, MAX_OPEN, MAX_SETTLED } from '../../src/feed/epochs.ts'
import { at, id } from './positions.ts'
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
    expect(epochs.awaits(id(MAX_KEPT))).toContain(id(MAX_KEPT + 1))
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

  it('is so many settled epochs', () => {
    for (const index of range(1, MAX_SETTLED - 1)) epochs.restoreSettled(id(index), 1, 0)
    epochs.resume()
    expect(epochs.open(id(MAX_SETTLED), [])).toBe('opened')
    expect(epochs.open(id(MAX_SETTLED + 1), [])).toBe('too-many')
  })
})
