import { beforeEach, describe, expect, test } from 'vitest'
import { clock, code, log, manager, rest, said, setUp } from './desk.ts'

beforeEach(setUp)

describe('callbacks', () => {
  test('A callback gets one message at a time, in order, and never within deliver.', async () => {
    const steps: string[] = []
    const gate = Promise.withResolvers<void>()
    manager.add({}, async ({ content }) => {
      steps.push(`begin ${content}`)
      if (content === 'a') await gate.promise
      steps.push(`end ${content}`)
    })
    manager.deliver(said('a'))
    manager.deliver(said('b'))
    expect(steps).toEqual([])
    await clock.advance(0)
    expect(steps).toEqual(['begin a'])
    gate.resolve()
    await manager.idle()
    expect(steps).toEqual(['begin a', 'end a', 'begin b', 'end b'])
  })

  test('One that throws or rejects is told, and gets the next message all the same.', async () => {
    const boom = new Error('boom')
    const seen: unknown[] = []
    manager.add({ id: 'bad' }, ({ content }) => {
      seen.push(content)
      if (content === 'a') throw boom
      if (content === 'b') return Promise.reject(boom)
    })
    for (const content of ['a', 'b', 'c']) manager.deliver(said(content))
    await manager.idle()
    expect(seen).toEqual(['a', 'b', 'c'])
    expect(log).toEqual([
      ['error', boom, 'a', 'bad'],
      ['error', boom, 'b', 'bad'],
    ])
  })

  test('One that unsubscribes in the middle is not called again.', async () => {
    const seen: unknown[] = []
    const subscription = manager.add({}, ({ content }) => {
      seen.push(content)
      subscription.unsubscribe()
    })
    manager.deliver(said('a'))
    manager.deliver(said('b'))
    await subscription.idle()
    expect(seen).toEqual(['a'])
  })

  test('A slow callback is bounded as a slow reader is.', async () => {
    const gate = Promise.withResolvers<void>()
    const seen: unknown[] = []
    manager.add({ queue: 1, id: 'slow' }, async ({ content }) => {
      seen.push(content)
      await gate.promise
    })
    manager.deliver(said('a'))
    await clock.advance(0)
    manager.deliver(said('b'))
    manager.deliver(said('c'))
    expect(log).toEqual([['overflow', 'c', 'slow']])
    gate.resolve()
    await manager.idle()
    expect(seen).toEqual(['a', 'b'])
  })

  test('closeAll waits until callbacks have finished with what was taken.', async () => {
    const gate = Promise.withResolvers<void>()
    const seen: unknown[] = []
    manager.add({}, async ({ content }) => {
      await gate.promise
      seen.push(content)
    })
    manager.deliver(said('a'))
    manager.deliver(said('b'))
    let closed = false
    const closing = manager.closeAll().then(() => {
      closed = true
    })
    await clock.advance(0)
    expect(closed).toBe(false)
    gate.resolve()
    await closing
    expect(seen).toEqual(['a', 'b'])
  })

  test('A subscription with a callback cannot be read as well.', () => {
    const subscription = manager.add({}, () => {})
    expect(() => subscription[Symbol.asyncIterator]()).toThrow(code('INVALID_OPTION'))
  })
})

describe('filters that are not ready', () => {
  test('Messages that may match wait in order, and only those that do are taken.', async () => {
    const subscription = manager.add({ sender: 'ada', contentType: /^text\/plain$/ })
    expect(subscription.isReady).toBe(false)
    expect(manager.matching(said('x'))).toEqual([])
    expect(manager.deliver(said('a'))).toBe(1)
    expect(manager.deliver(said('b', { contentType: 'text/html' }))).toBe(1)
    expect(manager.deliver(said('c', { sender: 'eve' }))).toBe(0)
    expect(manager.deliver(said('d'))).toBe(1)
    await subscription.ready
    expect(subscription.isReady).toBe(true)
    expect(manager.deliver(said('e'))).toBe(1)
    expect(manager.deliver(said('f', { contentType: 'text/html' }))).toBe(0)
    await manager.closeAll()
    expect(await rest(subscription)).toEqual(['a', 'd', 'e'])
    expect(log).toEqual([['unclaimed', 'b']])
  })

  test('A message that another took, or that one of two takes in the end, is not unclaimed.', async () => {
    const one = manager.add({ contentType: /^text\/html$/ })
    const two = manager.add({ contentType: /^text\/plain$/ })
    manager.deliver(said('plain'))
    const three = manager.add({ sender: 'ada' })
    manager.deliver(said('png', { contentType: 'image/png' }))
    await Promise.all([one.ready, two.ready])
    expect([one.receivedCount, two.receivedCount, three.receivedCount]).toEqual([0, 1, 1])
    expect(log).toEqual([])
  })

  test('What waits is bounded, and counts towards the most messages.', async () => {
    const subscription = manager.add({ contentType: /text/, queue: 2, maxMessages: 1, id: 'x' })
    expect(['a', 'b', 'c'].map(content => manager.deliver(said(content)))).toEqual([1, 1, 0])
    await subscription.ready
    expect(subscription).toMatchObject({ receivedCount: 1, ended: true })
    expect(log).toEqual([
      ['overflow', 'c', 'x'],
      ['unclaimed', 'b'],
    ])
    expect(await rest(subscription)).toEqual(['a'])
  })

  test('A pattern that RE2 cannot do ends the subscription with an error for its reader.', async () => {
    const subscription = manager.add({ contentType: /(a)\1/ })
    manager.deliver(said('a'))
    await expect(subscription.ready).rejects.toMatchObject({ code: 'INVALID_FILTER' })
    await expect(rest(subscription)).rejects.toMatchObject({ code: 'INVALID_FILTER' })
    expect(manager.size).toBe(0)
    expect(log).toEqual([['unclaimed', 'a']])
  })

  test('One that is unsubscribed before it is ready gives back what waited.', async () => {
    const subscription = manager.add({ contentType: /text/ })
    manager.deliver(said('a'))
    subscription.unsubscribe()
    await subscription.ready
    expect(subscription.receivedCount).toBe(0)
    expect(log).toEqual([['unclaimed', 'a']])
  })
})
