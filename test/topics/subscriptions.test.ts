import { beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { createIds } from '../../src/message/ids.ts'
import type { Message, MessageFields } from '../../src/message/message.ts'
import { resolveLimits } from '../../src/message/validate.ts'
import {
  type Subscription,
  SubscriptionManager,
  type SubscriptionManagerOptions,
} from '../../src/topics/subscriptions.ts'
import { message, NOW } from '../message/messages.ts'

let clock: DrivenClock
let manager: SubscriptionManager
/** What the manager told: joined and left topics, dropped and unclaimed contents, errors. */
let log: unknown[]

function makeManager(options: Partial<SubscriptionManagerOptions> = {}): SubscriptionManager {
  return new SubscriptionManager({
    clock,
    limits: resolveLimits(),
    ids: createIds({ clock, random: seededRandom(1) }),
    subscriber: 'ada',
    onChange: (topics, { topic, subscribed }) => log.push([subscribed ? 'join' : 'leave', topic, [...topics]]),
    onOverflow: ({ content }, { id }) => log.push(['overflow', content, id]),
    onError: (error, { content }, { id }) => log.push(['error', error, content, id]),
    onUnclaimed: ({ content }) => log.push(['unclaimed', content]),
    ...options,
  })
}

beforeEach(() => {
  clock = new DrivenClock(NOW)
  log = []
  manager = makeManager()
})

const said = (content: string, fields: Partial<MessageFields> = {}): Message => message({ content, ...fields })

/** Everything that a subscription which has ended still gives. */
async function rest(subscription: Subscription): Promise<unknown[]> {
  const contents: unknown[] = []
  for await (const { content } of subscription) contents.push(content)
  return contents
}

const code = (expected: string) => expect.objectContaining({ code: expected })

describe('adding and removing', () => {
  test('A subscription says what it is.', () => {
    const options = { id: 's', subscriber: 'eve', description: 'all news', topic: 'news', expiresAt: NOW + 1000 }
    const subscription = manager.add({ ...options, maxMessages: 3 })
    expect(subscription).toMatchObject({
      ...{ id: 's', subscriber: 'eve', description: 'all news', expiresAt: NOW + 1000 },
      maxMessages: 3,
      createdAt: NOW,
      receivedCount: 0,
      ready: undefined,
      ended: false,
      filter: { topic: 'news' },
    })
    expect(subscription.hasExpired(NOW + 999)).toBe(false)
    expect(subscription.hasExpired(NOW + 1000)).toBe(true)
    expect(manager.add().hasExpired(Number.MAX_SAFE_INTEGER)).toBe(false)
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
    manager = makeManager({ limits: resolveLimits({ subscriptions: 3, topics: 1 }) })
    manager.add({ topic: 'news' })
    manager.add({ topic: 'news' })
    expect(() => manager.add({ topic: 'weather' })).toThrow(code('SUBSCRIPTION_OVERFLOW'))
    manager.add()
    expect(() => manager.add()).toThrow(code('SUBSCRIPTION_OVERFLOW'))
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
})

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
