import { describe, expect, it } from 'vitest'
import { BoundedQueue } from '../../src/common/queue.ts'

const reason = new Error('called off')
const item = <T>(value: T): IteratorResult<T> => ({ done: false, value })
const END = { done: true, value: undefined }

describe('a bounded queue', () => {
  it('gives items in the order they came, and undefined when there is none to shift', async () => {
    const queue = new BoundedQueue<number>(10)
    for (const n of [1, 2, 3]) expect(queue.push(n)).toBe(true)
    expect(queue.size).toBe(3)
    expect(await queue.next()).toEqual(item(1))
    expect(queue.shift()).toBe(2)
    expect(queue.shift()).toBe(3)
    expect(queue.shift()).toBeUndefined()
  })

  it('refuses what is beyond its limit and takes more once there is room', () => {
    const queue = new BoundedQueue<number>(2)
    expect([1, 2, 3].map(n => queue.push(n))).toEqual([true, true, false])
    expect(queue.shift()).toBe(1)
    expect(queue.push(4)).toBe(true)
    expect(queue.takeAll()).toEqual([2, 4])
    expect([queue.size, queue.takeAll()]).toEqual([0, []])
  })

  it('hands items to those who wait, first come, first served, whatever the limit', async () => {
    const queue = new BoundedQueue<string>(0)
    const waiting = [queue.next(), queue.next()]
    expect([queue.push('a'), queue.push('b'), queue.push('c')]).toEqual([true, true, false])
    expect(await Promise.all(waiting)).toEqual([item('a'), item('b')])
  })

  it('loses nothing when a wait is called off: the next one gets the item', async () => {
    const queue = new BoundedQueue<string>(1)
    const controller = new AbortController()
    const first = queue.next(controller.signal)
    const second = queue.next()
    controller.abort(reason)
    queue.push('a')
    await expect(first).rejects.toBe(reason)
    expect(await second).toEqual(item('a'))
  })

  it('loses nothing when an item was handed over just before the signal fired', async () => {
    const queue = new BoundedQueue<string>(1)
    const controller = new AbortController()
    const waiting = queue.next(controller.signal)
    queue.push('a')
    controller.abort(reason)
    expect(await waiting).toEqual(item('a'))
    expect(queue.size).toBe(0)
  })

  it('leaves items where they are for a wait whose signal has fired', async () => {
    const queue = new BoundedQueue<string>(1)
    queue.push('a')
    await expect(queue.next(AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(queue.size).toBe(1)
  })

  it('ends after its last item, takes no more, and stays ended', async () => {
    const queue = new BoundedQueue<string>(2)
    queue.push('a')
    queue.end()
    queue.end(new Error('too late to matter'))
    expect([queue.ended, queue.push('b')]).toEqual([true, false])
    expect(await queue.next()).toEqual(item('a'))
    expect(await queue.next()).toEqual(END)
    expect(await queue.next()).toEqual(END)
  })

  it('ends those who wait', async () => {
    const queue = new BoundedQueue<string>(2)
    const waiting = [queue.next(), queue.next()]
    queue.end()
    expect(await Promise.all(waiting)).toEqual([END, END])
  })

  it('ends with an error for those who wait and, after its last item, for those who come', async () => {
    const error = new Error('broken')
    const queue = new BoundedQueue<string>(2)
    const waiting = queue.next()
    queue.end(error)
    await expect(waiting).rejects.toBe(error)

    const filled = new BoundedQueue<string>(2)
    filled.push('a')
    filled.end(error)
    expect(await filled.next()).toEqual(item('a'))
    await expect(filled.next()).rejects.toBe(error)
    await expect(filled.next()).rejects.toBe(error)
  })

  it('is iterated until its end, and leaving the loop leaves the rest', async () => {
    const queue = new BoundedQueue<number>(10)
    for (const n of [1, 2, 3, 4]) queue.push(n)
    queue.end()
    for await (const n of queue) if (n === 2) break
    const rest: number[] = []
    for await (const n of queue) rest.push(n)
    expect(rest).toEqual([3, 4])
  })

  it('throws its error out of the loop', async () => {
    const queue = new BoundedQueue<number>(10)
    queue.push(1)
    queue.end(reason)
    const seen: number[] = []
    const loop = (async () => {
      for await (const n of queue) seen.push(n)
    })()
    await expect(loop).rejects.toBe(reason)
    expect(seen).toEqual([1])
  })

  it('refuses what would make it heavier than its limit, until enough was taken', async () => {
    const queue = new BoundedQueue<string>(10, 100)
    expect(queue.push('a', 60)).toBe(true)
    expect(queue.push('b', 41)).toBe(false)
    expect(queue.push('c', 40)).toBe(true)
    expect(queue.push('weightless')).toBe(true)
    expect(queue.shift()).toBe('a')
    expect(queue.push('d', 60)).toBe(true)
    expect(queue.push('e', 1)).toBe(false)
    expect(await queue.next()).toEqual(item('c'))
    expect(queue.push('f', 40)).toBe(true)
    expect(queue.takeAll()).toEqual(['weightless', 'd', 'f'])
    expect(queue.push('g', 100)).toBe(true)
    expect(queue.shift()).toBe('g')
    expect(queue.shift()).toBeUndefined()
    expect(queue.push('h', 100)).toBe(true)
  })

  it('takes one item, however heavy, and hands it over whatever it weighs where somebody waits', async () => {
    const queue = new BoundedQueue<string>(10, 100)
    expect(queue.push('huge', 1_000)).toBe(true)
    expect(queue.push('light', 1)).toBe(false)
    expect(await queue.next()).toEqual(item('huge'))
    const waiting = queue.next()
    expect(queue.push('next', 1_000)).toBe(true)
    expect(await waiting).toEqual(item('next'))
    expect(queue.push('light', 100)).toBe(true)
  })
})

it('what has gone stale while it waited is left out, whoever takes it', async () => {
  const stale = new Set<string>()
  const queue = new BoundedQueue<string>(10, undefined, item => stale.has(item))
  const fill = (): void => {
    for (const item of ['a', 'b', 'c']) queue.push(item, 1)
  }
  fill()
  stale.add('a').add('b')
  expect(queue.shift()).toBe('c')
  fill()
  expect(queue.takeAll()).toEqual(['c'])
  fill()
  expect(await queue.next()).toEqual({ done: false, value: 'c' })
  queue.push('b')
  const next = queue.next()
  queue.push('d')
  expect(await next).toEqual({ done: false, value: 'd' })
})

it('tells of each item that a consumer gets, and of none that was stale or that was all taken out', async () => {
  const stale = new Set(['b'])
  const told: string[] = []
  const queue = new BoundedQueue<string>(
    10,
    undefined,
    item => stale.has(item),
    item => told.push(item),
  )
  const next = queue.next()
  for (const item of ['a', 'b', 'c', 'd']) queue.push(item)
  await next
  expect(queue.shift()).toBe('c')
  expect(queue.takeAll()).toEqual(['d'])
  expect(told).toEqual(['a', 'c'])
})
