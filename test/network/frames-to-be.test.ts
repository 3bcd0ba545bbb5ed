/** What becomes frames as it leaves, with a maker that says when and whether. */

import { beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { frameOf } from '../../src/network/frames.ts'
import type { AnyFrame, FrameMaker } from '../../src/network/frames-to-be.ts'
import { WriteQueue } from '../../src/network/write-queue.ts'
import { turn } from '../contracts/waiting.ts'
import { FakeChannel } from './fake-channel.ts'

/** Makes one frame of all that leaves together: the numbers in it. */
class Maker implements FrameMaker<number> {
  /** What {@link make} waits for. */
  gate: Promise<void> | undefined
  failure: Error | undefined
  readonly made: number[][] = []

  make(numbers: readonly number[]): Uint8Array[] | Promise<Uint8Array[]> {
    this.made.push([...numbers])
    return this.gate === undefined ? this.#frames(numbers) : this.gate.then(() => this.#frames(numbers))
  }

  of(content: number): AnyFrame {
    return { content, maker: this as FrameMaker<unknown>, length: 1 }
  }

  #frames(numbers: readonly number[]): Uint8Array[] {
    if (this.failure !== undefined) throw this.failure
    return [frameOf(16, Uint8Array.from(numbers))]
  }
}

let channel: FakeChannel
let queue: WriteQueue
let maker: Maker
let failures: unknown[]
const clock = new DrivenClock()
beforeEach(() => {
  channel = new FakeChannel('bob')
  maker = new Maker()
  failures = []
  queue = new WriteQueue({
    channel,
    clock,
    maxBytes: 1_000_000,
    window: Number.POSITIVE_INFINITY,
    onFailed: error => failures.push(error),
  })
})

const frame = (number: number): Uint8Array => frameOf(16, Uint8Array.of(number))
const written = (): number[][] => channel.frames.map(each => [...each.subarray(1)])
const outcomes = async (sends: readonly Promise<void>[]): Promise<string[]> =>
  (await Promise.allSettled(sends)).map(each =>
    each.status === 'fulfilled' ? 'left' : (each.reason.code ?? each.reason.message),
  )

/** Makes the channel full until the returned function is called. */
function fill(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  channel.full = promise
  return resolve
}

describe.each(['at once', 'in a while'])('What becomes a frame %s as it leaves', when => {
  beforeEach(() => {
    maker.gate = when === 'at once' ? undefined : Promise.resolve()
  })

  test('does so with its neighbours of the same maker, in order with all others, in one write', async () => {
    const other = new Maker()
    const all = [maker.of(1), maker.of(2), frame(3), maker.of(4), other.of(5), other.of(6), maker.of(7)]
    expect(await outcomes(all.map(each => queue.add(each)))).toEqual(all.map(() => 'left'))
    expect(written()).toEqual([[1, 2], [3], [4], [5, 6], [7]])
    expect(channel.writes).toBe(1)
  })

  test('counts as the frames that were written, which is what the other side can have read', async () => {
    await Promise.all([1, 2, 3, 4].map(number => queue.add(maker.of(number))))
    await queue.add(frame(5))
    expect(queue.frames).toBe(2)
    expect(queue.frames).toBe(channel.frames.length)
  })

  test('and cannot be made is refused alone: frames and what others make leave', async () => {
    const broken = new Maker()
    broken.gate = maker.gate
    broken.failure = new Error('no such key')
    const all = [maker.of(1), frame(2), broken.of(3), broken.of(4), maker.of(5)]
    const sends = all.map(each => queue.add(each))
    expect(await outcomes(sends)).toEqual(['left', 'left', 'no such key', 'no such key', 'left'])
    expect(written()).toEqual([[1], [2], [5]])
    expect(queue.frames).toBe(3)
    expect(failures).toEqual([])
    await queue.add(frame(6))
  })

  test('makes no write where nothing could be made', async () => {
    maker.failure = new Error('no such key')
    expect(await outcomes([queue.add(maker.of(1))])).toEqual(['no such key'])
    expect(channel.writes).toBe(0)
    expect(queue.frames).toBe(0)
  })

  test('is taken back alone by its signal or its deadline, and the others become one frame', async () => {
    const open = fill()
    const off = new AbortController()
    const deadline = { at: clock.monotonic() + 100, reason: () => new Error('late') }
    const sends = [
      queue.add(maker.of(1)),
      queue.add(maker.of(2), { signal: off.signal }),
      queue.add(maker.of(3), { deadline }),
      queue.add(maker.of(4), { signal: new AbortController().signal }),
    ]
    const all = outcomes(sends)
    await turn()
    off.abort(new Error('called off'))
    await clock.advance(100)
    open()
    expect(await all).toEqual(['left', 'called off', 'late', 'left'])
    expect(written()).toEqual([[1, 4]])
    expect(maker.made).toEqual([[1, 4]])
  })
})

describe('While frames are being made', () => {
  let made: () => void
  beforeEach(() => {
    const gate = Promise.withResolvers<void>()
    maker.gate = gate.promise
    made = gate.resolve
  })
  const making = async (): Promise<void> => {
    while (maker.made.length === 0) await turn()
  }

  test('nothing takes them back, and what comes later does not overtake them', async () => {
    const off = new AbortController()
    const sends = [queue.add(maker.of(1), { signal: off.signal })]
    await making()
    sends.push(queue.add(frame(2)))
    off.abort(new Error('too late'))
    await turn()
    expect(channel.writes).toBe(0)
    made()
    expect(await outcomes(sends)).toEqual(['left', 'left'])
    expect(written()).toEqual([[1], [2]])
  })

  test('a connection that closes leaves none of them a way', async () => {
    const broken = new Maker()
    broken.gate = maker.gate
    broken.failure = new Error('no such key')
    const sends = [queue.add(maker.of(1)), queue.add(frame(2)), queue.add(broken.of(3))]
    await making()
    sends.push(queue.add(maker.of(4)))
    queue.close(new Error('gone'))
    made()
    expect(await outcomes(sends)).toEqual(sends.map(() => 'NO_ROUTE'))
    expect(channel.writes).toBe(0)
    expect(queue.frames).toBe(0)
    expect(failures).toEqual([])
  })

  test('what is said past them is said', async () => {
    const sent = queue.add(maker.of(1))
    await making()
    queue.control(frameOf(2))
    expect(channel.types).toEqual([2])
    made()
    await sent
    expect(channel.types).toEqual([2, 16])
  })
})
