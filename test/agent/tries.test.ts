/** Messages whose recipient does not answer: what their sender is told, and how often they are tried. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { collect, failure, until } from './waiting.ts'
import { type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
/** A machine on which the sender can start again. */
let disk: { readonly identity: Identity; readonly store: Store }
beforeEach(async () => {
  world = drivenWorld()
  disk = { identity: await createIdentity(), store: Object.assign(memoryStore(), { close: async () => {} }) }
})
afterEach(() => world.close())

const join = (name: string, options: Partial<AgentOptions> = {}): Promise<Agent> =>
  world.join(name, { guarantee: 'at-least-once', ...options })

/** One that never gets as far as to keep what comes, and counts how often it does. */
async function silent(options: Partial<AgentOptions> = {}): Promise<{ bob: Agent; readonly came: number }> {
  const held = Promise.withResolvers<never>()
  let came = 0
  const bob = await join('bob', {
    ...options,
    hooks: {
      afterReceive: () => {
        came++
        return held.promise
      },
    },
  })
  return {
    bob,
    get came() {
      return came
    },
  }
}

const met = (agent: Agent, other: Agent): Promise<unknown> => world.during(agent.waitFor(other.id))

const standing = async (agent: Agent, id: string, recipient: string): Promise<unknown> =>
  (await agent.deliveries.get(id))?.recipients.get(recipient)

describe('A kept message that nobody acknowledges', () => {
  test('is pending until it is handed to a connection, and sent from then on', async () => {
    const ada = await join('ada')
    const identity = await createIdentity()
    const receipt = await world.during(ada.send(identity.id, 'x'))
    await world.clock.advance(10_000)
    expect(receipt.status).toBe('pending')
    expect(await ada.deliveries.get(receipt.id)).toMatchObject({ status: 'pending' })
    const changed = collect(ada, 'delivery:changed')
    const { bob } = await silent({ identity })
    await met(ada, bob)
    expect(receipt.status).toBe('sent')
    expect(await ada.deliveries.get(receipt.id)).toMatchObject({ status: 'sent' })
    expect(changed).toMatchObject([{ id: receipt.id, recipient: bob.id, status: 'sent', receipt: { state: 'sent' } }])
  })

  test('is tried as often as was asked for, and each of these is told and counted', async () => {
    const ada = await join('ada')
    const { bob } = await silent()
    await met(ada, bob)
    const retries = collect(ada, 'delivery:retry')
    const failed = until(ada, 'delivery:failed')
    const from = world.clock.now()
    const receipt = await world.during(ada.send('bob', 'x', { retry: fixedRetry({ delay: 1_000, retries: 3 }) }))
    await world.during(failed)
    expect(retries.map(({ receipt }) => receipt.retries)).toEqual([1, 2, 3])
    // Each after a second without an answer, and another one.
    for (const [i, { nextAt }] of retries.entries()) {
      expect(nextAt - from).toBeGreaterThanOrEqual(2_000 * (i + 1))
      expect(nextAt - from).toBeLessThan(2_000 * (i + 1) + 500)
    }
    expect(receipt.status).toBe('failed')
    expect(receipt.recipients.get(bob.id)).toMatchObject({ state: 'dead', reason: 'attempts-exhausted', retries: 3 })
    expect(await failure(receipt.delivered)).toMatchObject({ code: 'DELIVERY_FAILED', retries: 3 })
    expect(await ada.deadLetters.list()).toMatchObject([{ reason: 'attempts-exhausted', attempts: 4 }])
  })

  test('is tried as often as was asked for over restarts of its sender, each of them early', async () => {
    let ada = await join('ada', disk)
    const { bob } = await silent()
    await met(ada, bob)
    const { id } = await world.during(ada.send('bob', 'x', { retry: fixedRetry({ delay: 60_000, retries: 3 }) }))
    for (const retries of [1, 2, 3]) {
      // The next try is far away: that it was announced is all that happens in this run.
      await world.during(until(ada, 'delivery:retry'))
      await world.during(ada.close())
      ada = await join('ada', disk)
      expect(await standing(ada, id, bob.id)).toMatchObject({ retries })
      if (retries < 3) await met(ada, bob)
    }
    const failed = until(ada, 'delivery:failed')
    const more = collect(ada, 'delivery:retry')
    await met(ada, bob)
    await world.during(failed)
    expect(more).toEqual([])
    expect(await standing(ada, id, bob.id)).toMatchObject({ state: 'dead', reason: 'attempts-exhausted', retries: 3 })
    expect(await ada.deadLetters.list()).toMatchObject([{ reason: 'attempts-exhausted', attempts: 4 }])
  })

  test('that expires before the try that was announced counts those that were made', async () => {
    const ada = await join('ada')
    const { bob } = await silent()
    await met(ada, bob)
    const expired = until(ada, 'delivery:expired')
    const retry = fixedRetry({ delay: 4_000, retries: 9 })
    const receipt = await world.during(ada.send('bob', 'x', { retry, ttl: 8 }))
    await world.during(expired)
    // At once, and after 5 s; the third would have been after 10 s.
    expect(receipt.status).toBe('expired')
    expect(receipt.recipients.get(bob.id)).toMatchObject({ state: 'expired', retries: 1, inDoubt: true })
    expect(await ada.deadLetters.list()).toMatchObject([{ reason: 'expired', attempts: 2 }])
  })

  test('that expires while its first try is under way was tried once', async () => {
    const ada = await join('ada')
    const { bob } = await silent()
    await met(ada, bob)
    const expired = until(ada, 'delivery:expired')
    const receipt = await world.during(ada.send('bob', 'x', { ttl: 0.5 }))
    await world.during(expired)
    expect(receipt.recipients.get(bob.id)).toMatchObject({ state: 'expired', retries: 0, inDoubt: true })
    expect(await ada.deadLetters.list()).toMatchObject([{ reason: 'expired', attempts: 1 }])
  })

  test('has one error, whether it is asked for or waited for', async () => {
    const ada = await join('ada')
    const { bob } = await silent()
    await met(ada, bob)
    const short = await world.during(ada.send('bob', 'x', { ttl: 3 }))
    const few = await world.during(ada.send('bob', 'y', { retry: fixedRetry({ delay: 100, retries: 1 }) }))
    for (const [receipt, code] of [
      [short, 'MESSAGE_EXPIRED'],
      [few, 'DELIVERY_FAILED'],
    ] as const) {
      const error = await world.during(failure(receipt.delivered))
      expect(error).toMatchObject({ code })
      expect(receipt.recipients.get(bob.id)?.error).toMatchObject({ code })
    }
  })
})
