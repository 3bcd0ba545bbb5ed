import { beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { frameOf } from '../../src/network/frames.ts'
import { FRAME_OVERHEAD, WriteQueue } from '../../src/network/write-queue.ts'
import { turn } from '../contracts/waiting.ts'
import { FakeChannel } from './fake-channel.ts'

let channel: FakeChannel
let clock: DrivenClock
let failures: unknown[]
beforeEach(() => {
  channel = new FakeChannel('bob')
  clock = new DrivenClock()
  failures = []
})

const queue = (options: { maxBytes?: number; window?: number } = {}): WriteQueue =>
  new WriteQueue({
    channel,
    clock,
    maxBytes: options.maxBytes ?? 1_000_000,
    window: options.window ?? Number.POSITIVE_INFINITY,
    onFailed: error => failures.push(error),
  })

const frame = (number: number, bytes = 1): Uint8Array => frameOf(16, new Uint8Array(bytes).fill(number))
/** The numbers in the frames that were written, those of control left out. */
const written = (): number[] => channel.frames.filter(([type]) => type === 16).map(([, number]) => number as number)

/** Makes the channel full until the returned function is called. */
function fill(): () => void {
  const gate = Promise.withResolvers<void>()
  channel.accepting = false
  channel.full = gate.promise
  return () => {
    channel.accepting = true
    channel.full = Promise.resolve()
    gate.resolve()
  }
}

/** How a promise stands after a turn of the event loop. */
async function stateOf(promise: Promise<unknown>): Promise<'waiting' | 'done' | 'failed'> {
  let state: 'waiting' | 'done' | 'failed' = 'waiting'
  promise.then(
    () => (state = 'done'),
    () => (state = 'failed'),
  )
  await turn()
  return state
}

describe('What waits for a channel', () => {
  test('leaves in one write, in order, if it came in one turn', async () => {
    const one = queue()
    await Promise.all([1, 2, 3].map(number => one.add(frame(number))))
    expect(channel.writes).toBe(1)
    expect(written()).toEqual([1, 2, 3])
    expect(one.frames).toBe(3)
  })

  test('is taken back when its signal fires, never leaves, and nothing else is disturbed', async () => {
    const open = fill()
    const one = queue()
    const off = new AbortController()
    const sends = [
      one.add(frame(1)),
      one.add(frame(2), { signal: off.signal }),
      one.add(frame(3), { signal: new AbortController().signal }),
    ]
    await turn()
    off.abort(new Error('no time'))
    await expect(sends[1]).rejects.toThrow('no time')
    expect(await stateOf(sends[2] as Promise<void>)).toBe('waiting')
    open()
    await Promise.all([sends[0], sends[2]])
    expect(written()).toEqual([1, 3])
  })

  test('is not written for a signal that has fired before', async () => {
    const one = queue()
    await expect(one.add(frame(1), { signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late')
    await one.add(frame(2))
    expect(written()).toEqual([2])
  })

  test('cannot be taken back once it is handed over', async () => {
    const one = queue()
    const off = new AbortController()
    const sent = one.add(frame(1), { signal: off.signal })
    await Promise.resolve()
    await Promise.resolve()
    while (channel.writes === 0) await Promise.resolve()
    off.abort(new Error('too late'))
    await expect(sent).resolves.toBeUndefined()
    expect(written()).toEqual([1])
  })

  test('is taken back at its deadline, with the reason that it gave, and never leaves', async () => {
    const open = fill()
    const one = queue()
    const until = (at: number) => ({ deadline: { at, reason: () => new Error(`after ${at} ms`) } })
    const sends = [one.add(frame(1), until(200)), one.add(frame(2), until(100)), one.add(frame(3))]
    const late = Promise.allSettled(sends.slice(0, 2))
    await clock.advance(99)
    expect(await stateOf(sends[1] as Promise<void>)).toBe('waiting')
    await clock.advance(1)
    await expect(sends[1]).rejects.toThrow('after 100 ms')
    expect(await stateOf(sends[0] as Promise<void>)).toBe('waiting')
    await clock.advance(100)
    await expect(sends[0]).rejects.toThrow('after 200 ms')
    await late
    open()
    await sends[2]
    expect(written()).toEqual([3])
    expect(clock.pending).toBe(0)
  })

  test('costs no timer that outlives the channel', async () => {
    const one = queue()
    await one.add(frame(1), { deadline: { at: 5_000, reason: () => new Error('late') } })
    one.close()
    expect(clock.pending).toBe(0)
  })

  test('leaves at once when it is the first of its turn, and with all that follows it in one write', async () => {
    const turns: (() => void)[] = []
    Object.assign(channel, { afterTurn: (run: () => void) => turns.push(run) })
    const one = queue()
    await one.add(frame(1))
    const rest = [one.add(frame(2)), one.add(frame(3))]
    await turn()
    expect(written()).toEqual([1])
    for (const run of turns.splice(0)) run()
    await Promise.all(rest)
    expect(written()).toEqual([1, 2, 3])
    expect(channel.writes).toBe(2)
  })

  test('that everybody has taken back makes no write', async () => {
    const open = fill()
    const one = queue()
    const off = new AbortController()
    const sends = [one.add(frame(1), { signal: off.signal }), one.add(frame(2), { signal: off.signal })]
    off.abort(new Error('no time'))
    for (const sent of sends) await expect(sent).rejects.toThrow('no time')
    open()
    await turn()
    expect(channel.writes).toBe(0)
  })

  test('is bounded, what a frame costs beside its bytes counted in, and what is taken back makes room', async () => {
    const open = fill()
    const one = queue({ maxBytes: 10 * (FRAME_OVERHEAD + 2) })
    const off = new AbortController()
    const sends = Array.from({ length: 10 }, (_, i) => one.add(frame(i), i === 9 ? { signal: off.signal } : undefined))
    await expect(one.add(frame(10))).rejects.toMatchObject({ code: 'QUEUE_FULL', recipients: ['bob'] })
    off.abort(new Error('no time'))
    await expect(sends[9]).rejects.toThrow('no time')
    sends[9] = one.add(frame(11))
    await expect(one.add(frame(12))).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    open()
    await Promise.all(sends)
    expect(written()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 11])
    await expect(one.add(frame(13))).resolves.toBeUndefined()
  })

  test('may be one frame that is larger than the bound', async () => {
    const one = queue({ maxBytes: 10 })
    await expect(one.add(frame(1, 1_000))).resolves.toBeUndefined()
  })

  test('leaves in parts, and the channel is asked between them', async () => {
    const one = queue({ maxBytes: 16_000_000 })
    const asked: number[] = []
    channel.drained = async () => {
      asked.push(channel.writes)
    }
    await Promise.all(Array.from({ length: 40 }, (_, i) => one.add(frame(i, 65_536))))
    expect(written()).toEqual(Array.from({ length: 40 }, (_, i) => i))
    expect(asked).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('lets frames of control past, of which the newest of each type waits while the channel is full', async () => {
    const one = queue()
    const open = fill()
    one.control(frameOf(2, Uint8Array.of(0)))
    const sent = one.add(frame(1))
    for (let i = 1; i < 1_000; i++) for (const type of [2, 3]) one.control(frameOf(type, Uint8Array.of(i % 200)))
    await turn()
    expect(channel.frames).toEqual([Uint8Array.of(2, 0)])
    open()
    await sent
    expect(channel.frames).toEqual([Uint8Array.of(2, 0), Uint8Array.of(2, 199), Uint8Array.of(3, 199), frame(1)])
  })

  test('waits until enough is read of what is under way, frames of control excepted', async () => {
    const one = queue({ window: 1_000 })
    await one.add(frame(1, 1_200))
    const second = one.add(frame(2))
    expect(await stateOf(second)).toBe('waiting')
    one.control(frameOf(2))
    expect(channel.types).toEqual([16, 2])
    one.wasRead(100)
    expect(await stateOf(second)).toBe('waiting')
    one.wasRead(400)
    await second
    expect(written()).toEqual([1, 2])
  })

  test('learns it when the channel closes, and so does whoever comes later', async () => {
    fill()
    const one = queue()
    const sends = [one.add(frame(1)), one.add(frame(2), { signal: new AbortController().signal })]
    one.close(new Error('gone'))
    for (const sent of [...sends, one.add(frame(3))]) {
      await expect(sent).rejects.toMatchObject({ code: 'NO_ROUTE', recipients: ['bob'] })
    }
    one.control(frameOf(2))
    one.write(frameOf(4))
    expect(channel.writes).toBe(0)
    expect(failures).toEqual([])
  })

  test('fails once, and tells why, when the channel takes nothing any more', async () => {
    const one = queue()
    channel.closed = true
    await expect(one.add(frame(1))).rejects.toMatchObject({ code: 'NO_ROUTE', cause: { message: 'closed' } })
    one.write(frameOf(4))
    expect(failures).toHaveLength(1)
    channel.full = Promise.reject(new Error('drained no more'))
    const other = queue()
    await expect(other.add(frame(1))).rejects.toMatchObject({ code: 'NO_ROUTE', cause: { message: 'drained no more' } })
    expect(failures).toHaveLength(2)
  })
})
