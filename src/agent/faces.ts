/** What an application sees of dead letters, circuit breakers and subscriptions; the rest of them is the agent's own. */

import { checkOption, STRING } from '../common/check-options.ts'
import { face } from '../common/face.ts'
import type { BreakerOptions } from '../delivery/breaker.ts'
import type { CircuitBreakers } from '../delivery/breakers.ts'
import type { DeadLetter, NewDeadLetter } from '../delivery/dead-letter.ts'
import type { LetterFilter } from '../delivery/dead-letter-index.ts'
import type { ListLettersOptions, PurgeOptions } from '../delivery/dead-letter-options.ts'
import type { DeadLetters } from '../delivery/dead-letters.ts'
import type { Limits } from '../message/validate.ts'
import type { SubscriptionManager } from '../topics/subscriptions.ts'
import { checkCall, checkLetter } from './option-checks.ts'

const LETTERS = [
  'nextDueAt',
  'addEventListener',
  'removeEventListener',
] as const satisfies readonly (keyof DeadLetters)[]

const BREAKERS = [
  'size',
  'get',
  'remove',
  'all',
  'states',
  'resetAll',
  'addEventListener',
  'removeEventListener',
] as const satisfies readonly (keyof CircuitBreakers)[]

const SUBSCRIPTIONS = [
  'size',
  'topics',
  'get',
  'list',
  'bySubscriber',
  'clean',
] as const satisfies readonly (keyof SubscriptionManager)[]

/** What reads or writes the store: not once the agent has closed, since another may have it then. */
type Stored = 'get' | 'list' | 'markProcessed' | 'discard' | 'purge' | 'retry'

/**
 * See `Agent.deadLetters`; its events are those of the agent that begin with `dead-letter:`. Once `close` was called, all
 * but `count` and `nextDueAt` reject with CLOSED; what was called before is finished, but for retries, which stop.
 */
export interface Letters extends Pick<DeadLetters, (typeof LETTERS)[number] | 'count' | Stored> {
  /**
   * Stores a letter of the application's own, to be listed and retried as others are. `letterBytes` makes its message.
   *
   * @example
   * ```ts
   * import { createAgent, letterBytes } from 'agent-flow-protocol'
   *
   * const bob = await createAgent({ name: 'bob', mesh: 'demo', listen: ['/ip4/127.0.0.1/tcp/0'] })
   * const ada = await createAgent({ name: 'ada', mesh: 'demo', peers: bob.addresses })
   *
   * // Not to be sent before somebody has looked at it.
   * const message = letterBytes({ order: 7, amount: 1_000 }, { sender: ada.id, recipient: bob.id })
   * const why = { reason: 'rejected', attempts: 0 } as const
   * const { id } = await ada.deadLetters.add({ side: 'sender', peer: bob.id, sender: ada.id, message, ...why })
   *
   * await ada.deadLetters.retry(id)
   * console.log([(await bob.receive()).content]) // [ { order: 7, amount: 1000 } ]
   *
   * await ada.close()
   * await bob.close()
   * ```
   *
   * @throws AfpError INVALID_OPTION for what is no letter, naming the field
   * @throws AfpDeliveryError QUEUE_FULL when there is no room
   * @throws AfpDataStoreError when the store fails; then nothing was stored
   */
  add(letter: NewDeadLetter): Promise<DeadLetter>
}

/**
 * See `Agent.breakers`. The number is bounded: the closed one that was asked for longest ago gives way, and if none is
 * closed the open one; never one that is forced open, or whose recipient something waits for or did not long ago: that
 * one stays also where it is removed, and is reset. One that gave way begins anew when it is next asked for, so ask for
 * it each time instead of keeping it. Events: those of all breakers that are kept.
 */
export interface Breakers extends Pick<CircuitBreakers, (typeof BREAKERS)[number] | 'getOrCreate'> {}

/** All subscriptions of an agent, to look at: `agent.subscribe` makes them, `agent.unsubscribe` ends them. */
export interface Subscriptions extends Pick<SubscriptionManager, (typeof SUBSCRIPTIONS)[number]> {}

/** @param open the letters, while the agent has its store; throws CLOSED after that */
export const lettersFace = (letters: DeadLetters, limits: Limits, open: () => DeadLetters): Letters => {
  const ofLetter = (method: Stored, id: string): DeadLetters => {
    checkOption(`the id of deadLetters.${method}()`, id, STRING)
    return open()
  }
  return Object.freeze(
    Object.assign(face(letters, LETTERS), {
      add: async (letter: NewDeadLetter) => {
        const whole = checkLetter(letter, limits)
        return open().add(whole)
      },
      get: async (id: string) => ofLetter('get', id).get(id),
      markProcessed: async (id: string, note?: string) => {
        if (note !== undefined) checkOption('the note of deadLetters.markProcessed()', note, STRING)
        return ofLetter('markProcessed', id).markProcessed(id, note)
      },
      discard: async (id: string) => ofLetter('discard', id).discard(id),
      retry: async (id: string) => ofLetter('retry', id).retry(id),
      count: (filter: LetterFilter = {}) => {
        checkCall('deadLetters.count', filter)
        return letters.count(filter)
      },
      list: async (options: ListLettersOptions = {}) => {
        checkCall('deadLetters.list', options)
        return open().list(options)
      },
      purge: async (options: PurgeOptions = {}) => {
        checkCall('deadLetters.purge', options)
        return open().purge(options)
      },
    }),
  )
}

export const breakersFace = (breakers: CircuitBreakers): Breakers =>
  Object.freeze(
    Object.assign(face(breakers, BREAKERS), {
      getOrCreate: (name: string, options: BreakerOptions = {}) => {
        checkCall('breakers.getOrCreate', options)
        return breakers.getOrCreate(name, options)
      },
    }),
  )

export const subscriptionsFace = (subscriptions: SubscriptionManager): Subscriptions =>
  Object.freeze(face(subscriptions, SUBSCRIPTIONS))
