/** A manager on a driven clock that notes what it tells; made anew by {@link setUp}. */

import { expect } from 'vitest'
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

export let clock: DrivenClock
export let manager: SubscriptionManager
/** What the manager told: joined and left topics, dropped and unclaimed contents, errors. */
export let log: unknown[]

export function makeManager(options: Partial<SubscriptionManagerOptions> = {}): SubscriptionManager {
  return new SubscriptionManager({
    clock,
    limits: resolveLimits(),
    ids: createIds({ clock, random: seededRandom(1) }),
    subscriber: 'ada',
    onChange: (topics, { topic, subscribed }) => void log.push([subscribed ? 'join' : 'leave', topic, [...topics]]),
    onOverflow: ({ content }, { id }) => log.push(['overflow', content, id]),
    onError: (error, { content }, { id }) => log.push(['error', error, content, id]),
    onUnclaimed: ({ content }) => log.push(['unclaimed', content]),
    ...options,
  })
}

export function setUp(): void {
  clock = new DrivenClock(NOW)
  log = []
  manager = makeManager()
}

export const said = (content: string, fields: Partial<MessageFields> = {}): Message => message({ content, ...fields })

/** Everything that a subscription which has ended still gives. */
export async function rest(subscription: Subscription): Promise<unknown[]> {
  const contents: unknown[] = []
  for await (const { content } of subscription) contents.push(content)
  return contents
}

export const code = (expected: string) => expect.objectContaining({ code: expected })
