/** When an author's later openings need not name an epoch. */

import { beforeEach, expect, it } from 'vitest'
import { AuthorFeed } from '../../src/feed/author-feed.ts'
import { Epochs } from '../../src/feed/epochs.ts'
import { ReaderFeed } from '../../src/feed/reader-feed.ts'
import { at, epoch, id, stateIn as stateOf, take } from './positions.ts'

const [A, B, C] = [id(0xa0_0000), id(0xb0_0000), id(0xc0_0000)]

let author: AuthorFeed
let reader: ReaderFeed
beforeEach(() => {
  author = new AuthorFeed(epoch)
  reader = ReaderFeed.begin(epoch)
})

const send = (): ReturnType<typeof at> => ({ ...author.next(0), priority: 0 })

it('all of an epoch has arrived once it takes nothing more, and its recipient has each number or will never take it', () => {
  const [first, second] = [send(), send()]
  take(reader, first)
  author.skip(second.number)
  author.acked(reader.ack())
  author.close()
  expect(author.arrived).toBe(false)
  reader.applyState(author.state())
  reader.snapshot().committed()
  author.acked(reader.ack())
  expect(author.arrived).toBe(true)
  expect(author.settled).toBe(false)
})

it('nothing has arrived in an epoch that still takes messages, nor what its recipient has lost', () => {
  const old = reader.snapshot().value
  take(reader, send())
  author.acked(reader.ack())
  expect(author.arrived).toBe(false)
  author.close()
  expect(author.arrived).toBe(true)
  author.acked(ReaderFeed.restore(epoch, old, []).ack())
  expect(author.arrived).toBe(false)
})

it('after a restart what has no row arrived, or never will: its recipient says which', () => {
  for (const position of [send(), send()]) take(reader, position)
  author = AuthorFeed.restore(epoch, { kept: [], delivered: [2] })
  expect(author.arrived).toBe(false)
  author.acked(reader.ack())
  expect(author.arrived).toBe(true)
})

it('an epoch that is not named has its turn first all the same, if it came first and waits', () => {
  const epochs = new Epochs()
  epochs.open(A, [])
  epochs.open(B, [A])
  for (const each of [A, B, C]) {
    if (each === C) epochs.open(C, [])
    epochs.begin(each, at(1))
    expect(epochs.accept(each, at(1)).released).toEqual(each === A ? [1] : [])
  }
  expect(epochs.applyStates([stateOf(A, 0, 1), stateOf(B, 0, 1), stateOf(C, 0, 1)]).released).toEqual([
    { epoch: B, numbers: [1] },
    { epoch: C, numbers: [1] },
  ])
})
