import { beforeEach, describe, expect, test } from 'vitest'
import { resolveLimits } from '../../src/message/validate.ts'
import { NOW } from '../message/messages.ts'
import { clock, code, log, makeManager, manager, rest, said, setUp } from './desk.ts'

beforeEach(setUp)

describe('adding and removing', () => {
  test('A subscription says what it is.', () => {
    const options = { id: 's', subscriber: 'eve', description: 'all news', topic: 'news', expiresAt: NOW + 1000 }
    const subscription = manager.add({ ...options, maxMessages: 3 })
    expect(subscription).toMatchObject({
      ...{ id: 's', subscriber: 'eve', description: 'all news', expiresAt: NOW + 1000 },
      maxMessages: 3,
      createdAt: NOW,
      receivedCount: 0,
      ended: false,
      filter: { topic: 'news' },
    })
    expect(subscription.hasExpired(NOW + 999)).toBe(false)
    expect(subscription.hasExpired(NOW + 1000)).toBe(true)
    expect(manager.add().hasExpired(Number.MAX_SAFE_INTEGER)).toBe(false)
  })

  test('A subscription is ready when the agent is in its topic, and so is one that shares the topic.', async () => {
    const joining = Promise.withResolvers<void>()
    const waiting = makeManager({ onChange: (_topics, { subscribed }) => (subscribed ? joining.promise : undefined) })
    const ready: string[] = []
    for (const [id, topic] of [
      ['first', 'news'],
      ['second', 'news'],
      ['without a topic', undefined],
    ] as const) {
      void waiting.add({ id, topic }).ready.then(() => ready.push(id))
    }
    await clock.advance(0)
    expect(ready).toEqual(['without a topic'])
    joining.resolve()
    await clock.advance(0)
    expect(ready.toSorted()).toEqual(['first', 'second', 'without a topic'])
  })

  test('Subscriptions are found by id, in a list, and by subscriber.', () => {
    const mine = manager.add()
    const hers = manager.add({ id: 'x', subscriber: 'eve' })
    expect(manager.get(mine.id)).toBe(mine)
    expect(manager.get('x')).toBe(hers)
    expect(manager.get('y')).toBeUndefined()
    expect(manager.list()).toEqual([mine, hers])
    expect(manager.bySubscriber('eve')).toEqual([hers])
    expect(manager.bySubscriber('ada')).toEqual([mine])
    expect(manager.bySubscriber('bob')).toEqual([])
  })

  test('An id that is in use is refused, and free again afterwards.', () => {
    const first = manager.add({ id: 'x' })
    expect(() => manager.add({ id: 'x' })).toThrow(
      expect.objectContaining({ name: 'AfpSubscriptionError', code: 'DUPLICATE_SUBSCRIPTION', subscriptionId: 'x' }),
    )
    expect(manager.get('x')).toBe(first)
    first.unsubscribe()
    const second = manager.add({ id: 'x' })
    first.unsubscribe()
    expect(manager.get('x')).toBe(second)
  })

  test('Removing an unknown id is an error.', () => {
    expect(() => manager.remove('x')).toThrow(code('UNKNOWN_SUBSCRIPTION'))
    manager.add({ id: 'x' })
    manager.remove('x')
    expect(() => manager.remove('x')).toThrow(code('UNKNOWN_SUBSCRIPTION'))
  })

  test('There are bounds on subscriptions and on topics.', () => {
    const bounded = makeManager({ limits: resolveLimits({ subscriptions: 3, topics: 1 }) })
    bounded.add({ topic: 'news' })
    bounded.add({ topic: 'news' })
    expect(() => bounded.add({ topic: 'weather' })).toThrow(code('SUBSCRIPTION_OVERFLOW'))
    bounded.add()
    expect(() => bounded.add()).toThrow(code('SUBSCRIPTION_OVERFLOW'))
  })

  test.each([
    [{ maxMessages: 0 }, 'INVALID_OPTION'],
    [{ maxMessages: 1.5 }, 'INVALID_OPTION'],
    [{ queue: 0 }, 'INVALID_OPTION'],
    [{ expiresAt: NOW }, 'INVALID_OPTION'],
    [{ expiresAt: Number.NaN }, 'INVALID_OPTION'],
    [{ id: '' }, 'INVALID_OPTION'],
    [{ topic: '$x' }, 'INVALID_TOPIC'],
    [{ contentType: 'x'.repeat(257) }, 'INVALID_FILTER'],
  ])('The options %j are refused, and nothing is left behind.', (options, expected) => {
    expect(() => manager.add(options)).toThrow(code(expected))
    expect(manager.size).toBe(0)
    expect(clock.pending).toBe(0)
    expect(log).toEqual([])
  })

  test('A topic is joined with its first subscription and left with its last.', () => {
    const one = manager.add({ topic: 'news' })
    const two = manager.add({ topic: 'news' })
    const three = manager.add({ topic: 'weather' })
    manager.add()
    expect(manager.topics).toEqual(new Set(['news', 'weather']))
    one.unsubscribe()
    one.unsubscribe()
    three.unsubscribe()
    two.unsubscribe()
    expect(log).toEqual([
      ['join', 'news', ['news']],
      ['join', 'weather', ['news', 'weather']],
      ['leave', 'weather', ['news']],
      ['leave', 'news', []],
    ])
  })
})

describe('delivery', () => {
  test('Every subscription that matches gets the message, and those that took it are counted.', async () => {
    const all = manager.add()
    const ada = manager.add({ sender: 'ada' })
    const eve = manager.add({ sender: 'eve' })
    expect(manager.matching(said('x'))).toEqual([all, ada])
    expect(manager.deliver(said('one'))).toBe(2)
    expect(manager.deliver(said('two', { sender: 'eve' }))).toBe(2)
    expect([all.receivedCount, ada.receivedCount, eve.receivedCount]).toEqual([2, 1, 1])
    await manager.closeAll()
    expect(await rest(all)).toEqual(['one', 'two'])
    expect(await rest(ada)).toEqual(['one'])
    expect(await rest(eve)).toEqual(['two'])
  })

  test('A message that nobody wants is taken by nobody.', () => {
    manager.add({ sender: 'eve' })
    expect(manager.deliver(said('x'))).toBe(0)
    expect(makeManager().deliver(said('x'))).toBe(0)
  })

  test('A topic subscription gets its topic alone; one without a topic gets direct messages and broadcasts.', async () => {
    const news = manager.add({ topic: 'news' })
    const direct = manager.add()
    manager.deliver(said('direct'))
    manager.deliver(said('broadcast', { recipients: ['*'] }))
    manager.deliver(said('news', { topic: 'news' }))
    manager.deliver(said('weather', { topic: 'weather' }))
    await manager.closeAll()
    expect(await rest(news)).toEqual(['news'])
    expect(await rest(direct)).toEqual(['direct', 'broadcast'])
  })

  test('A reader that waits gets the message, and is told the end.', async () => {
    const iterator = manager.add()[Symbol.asyncIterator]()
    const next = iterator.next()
    manager.deliver(said('one'))
    expect((await next).value).toMatchObject({ content: 'one' })
    const last = iterator.next()
    await manager.closeAll()
    expect(await last).toEqual({ done: true, value: undefined })
  })

  test('For a slow reader the newest messages are dropped, and each is told.', async () => {
    const slow = manager.add({ id: 'slow', queue: 2 })
    const fast = manager.add()
    expect(['a', 'b', 'c', 'd'].map(content => manager.deliver(said(content)))).toEqual([2, 2, 1, 1])
    expect(log).toEqual([
      ['overflow', 'c', 'slow'],
      ['overflow', 'd', 'slow'],
    ])
    expect(slow.receivedCount).toBe(2)
    await manager.closeAll()
    expect(await rest(slow)).toEqual(['a', 'b'])
    expect(await rest(fast)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('A predicate that throws is told and keeps the message from nobody else.', () => {
    const boom = new Error('boom')
    const where = (): boolean => {
      throw boom
    }
    manager.add({ id: 'bad', where })
    manager.add()
    expect(manager.deliver(said('x'))).toBe(1)
    expect(log).toEqual([['error', boom, 'x', 'bad']])
  })
})

describe('how it ends', () => {
  test('After as many messages as it asked for, exactly; they can still be read.', async () => {
    const subscription = manager.add({ topic: 'news', maxMessages: 2 })
    const counts = ['a', 'b', 'c'].map(content => manager.deliver(said(content, { topic: 'news' })))
    expect(counts).toEqual([1, 1, 0])
    expect(subscription).toMatchObject({ ended: true, receivedCount: 2 })
    expect(manager.size).toBe(0)
    expect(log.at(-1)).toEqual(['leave', 'news', []])
    expect(await rest(subscription)).toEqual(['a', 'b'])
  })

  test('When its time is up, by itself; what it took can still be read.', async () => {
    const subscription = manager.add({ expiresAt: NOW + 1000 })
    manager.deliver(said('in time'))
    await clock.advance(999)
    expect(subscription.ended).toBe(false)
    await clock.advance(1)
    expect(subscription.ended).toBe(true)
    expect(manager.deliver(said('late'))).toBe(0)
    expect(await rest(subscription)).toEqual(['in time'])
    expect(manager.size).toBe(0)
  })

  test('When wall time jumps ahead it takes nothing more, and clean counts it.', () => {
    manager.add({ expiresAt: NOW + 1000 })
    manager.add({ expiresAt: NOW + 1000, topic: 'news' })
    manager.add({ expiresAt: NOW + 9000 })
    expect(manager.clean()).toBe(0)
    clock.jump(1000)
    expect(manager.matching(said('x'))).toHaveLength(1)
    expect(manager.deliver(said('x'))).toBe(1)
    expect(manager.clean()).toBe(1)
    expect(manager.clean()).toBe(0)
    expect(manager.size).toBe(1)
  })

  test('When wall time is set back it goes on until its time.', async () => {
    const subscription = manager.add({ expiresAt: NOW + 1000 })
    clock.jump(-5000)
    await clock.advance(1000)
    expect(subscription.ended).toBe(false)
    await clock.advance(5000)
    expect(subscription.ended).toBe(true)
  })

  test('Leaving the loop unsubscribes, and leaves no timer.', async () => {
    const subscription = manager.add({ topic: 'news', expiresAt: NOW + 1000 })
    manager.deliver(said('a', { topic: 'news' }))
    manager.deliver(said('b', { topic: 'news' }))
    for await (const { content } of subscription) {
      expect(content).toBe('a')
      break
    }
    expect(subscription.ended).toBe(true)
    expect(manager.size).toBe(0)
    expect(log.at(-1)).toEqual(['leave', 'news', []])
    expect(clock.pending).toBe(0)
  })

  test('After unsubscribe nothing more comes, not even what waited; a reader that waits is told the end.', async () => {
    const subscription = manager.add()
    manager.deliver(said('a'))
    manager.remove(subscription.id)
    expect(manager.deliver(said('b'))).toBe(0)
    expect(await rest(subscription)).toEqual([])
    const waiting = manager.add()
    const next = waiting[Symbol.asyncIterator]().next()
    waiting[Symbol.dispose]()
    expect(await next).toEqual({ done: true, value: undefined })
  })

  test('An abort signal unsubscribes; one that has fired refuses the subscription.', async () => {
    const controller = new AbortController()
    const subscription = manager.add({ signal: controller.signal })
    const next = subscription[Symbol.asyncIterator]().next()
    controller.abort()
    expect(await next).toEqual({ done: true, value: undefined })
    expect(manager.size).toBe(0)
    expect(() => manager.add({ signal: controller.signal })).toThrow(expect.objectContaining({ name: 'AbortError' }))
    expect(manager.size).toBe(0)
  })

  test('closeAll ends every one and leaves every topic.', async () => {
    const subscriptions = [manager.add(), manager.add({ topic: 'news' }), manager.add({ expiresAt: NOW + 1 })]
    await manager.closeAll()
    expect(subscriptions.every(({ ended }) => ended)).toBe(true)
    expect(manager.size).toBe(0)
    expect(manager.topics.size).toBe(0)
    expect(clock.pending).toBe(0)
  })

  test('What waits is bounded in bytes too, also while the filter is not ready.', async () => {
    const manager = makeManager({ limits: resolveLimits({ queuedBytes: 100 }) })
    const plain = manager.add({ id: 'plain' })
    const pattern = manager.add({ id: 'pattern', contentType: /text/ })
    for (const content of ['a', 'b', 'c']) manager.deliver(said(content), 50)
    expect(log).toEqual([
      ['overflow', 'c', 'plain'],
      ['overflow', 'c', 'pattern'],
    ])
    await pattern.ready
    manager.deliver(said('d'), 50)
    expect(log.slice(2)).toEqual([
      ['overflow', 'd', 'plain'],
      ['overflow', 'd', 'pattern'],
    ])
    await plain[Symbol.asyncIterator]().next()
    expect(manager.deliver(said('e'), 50)).toBe(1)
    await manager.closeAll()
    expect(await rest(plain)).toMatchObject(['b', 'e'])
    expect(await rest(pattern)).toMatchObject(['a', 'b'])
  })

  test('What nobody took after it had waited for a filter keeps its size.', async () => {
    const unclaimed: unknown[] = []
    const manager = makeManager({ onUnclaimed: ({ content }, bytes) => unclaimed.push([content, bytes]) })
    const pattern = manager.add({ contentType: /image/ })
    manager.deliver(said('a'), 50)
    await pattern.ready
    expect(unclaimed).toEqual([['a', 50]])
  })

  test('Senders are who the manager says, and the filter shows who was asked for.', () => {
    const asked: (readonly string[])[] = []
    const manager = makeManager({
      senders: names => {
        asked.push(names)
        return id => id === `id of ${names[0]}`
      },
    })
    const subscription = manager.add({ sender: 'bob' })
    expect(manager.deliver(said('a', { sender: 'bob' }))).toBe(0)
    expect(manager.deliver(said('a', { sender: 'id of bob' }))).toBe(1)
    expect(manager.add({ sender: ['eve', 'bob'] }).filter.sender).toEqual(['eve', 'bob'])
    expect(subscription.filter.sender).toBe('bob')
    expect(asked).toEqual([['bob'], ['eve', 'bob']])
  })
})
