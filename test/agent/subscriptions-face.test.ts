/** What an application gets of its subscriptions as a whole: it looks at them there, and makes and ends them elsewhere. */

import { expect, test } from 'vitest'
import { ada, adaAndBob, world } from './worlds.ts'

adaAndBob()

test('Subscriptions are listed, found and cleaned, and not made, fed or closed past the agent', async () => {
  const { subscriptions } = ada
  expect(Object.keys(subscriptions).toSorted()).toEqual(['bySubscriber', 'clean', 'get', 'list', 'size', 'topics'])
  for (const inner of ['add', 'remove', 'deliver', 'matching', 'idle', 'closeAll'])
    expect(subscriptions).not.toHaveProperty(inner)
  expect(Object.isFrozen(subscriptions)).toBe(true)

  const news = ada.subscribe({ topic: 'news', subscriber: 'reader' })
  const all = ada.subscribe({ expiresAt: world.clock.now() + 1_000 })
  expect([subscriptions.size, [...subscriptions.topics]]).toEqual([2, ['news']])
  expect(subscriptions.list()).toEqual([news, all])
  expect(subscriptions.get(news.id)).toBe(news)
  expect(subscriptions.bySubscriber('reader')).toEqual([news])
  expect(subscriptions.clean()).toBe(0)
  ada.unsubscribe(news.id)
  expect(subscriptions.list()).toEqual([all])
})
