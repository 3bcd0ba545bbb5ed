/** Messages as large as limits allow, and larger than those of their recipient: no link is cut for one. */

import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { DEFAULT_LIMITS, resolveLimits } from '../../src/message/validate.ts'
import { collect, failure } from './waiting.ts'
import { adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

const kept = 'at-least-once'

/** Text that makes a message to `to` just as large as it may be. */
async function largest(agent: Agent, to: string[], messageBytes: number): Promise<string> {
  const error = await failure(agent.send(to, 'x'.repeat(messageBytes)))
  expect(error.code).toBe('MESSAGE_TOO_LARGE')
  const [, bytes] = error.message.match(/has (\d+) bytes/) as RegExpMatchArray
  return 'x'.repeat(2 * messageBytes - Number(bytes))
}

describe('A message', () => {
  test.each([
    ['the smallest frames that messages of so many bytes can have', { messageBytes: 100_000, frameBytes: 117_620 }],
    ['messages beyond a MiB', { messageBytes: 2 ** 21, frameBytes: 2 ** 22 }],
  ])('that is as large as it may be arrives, at one or at several, with %s', async (_, limits) => {
    const carl = await world.join('carl', { guarantee: kept, limits })
    const [dora, emil] = [await world.join('dora', { limits }), await world.join('emil', { limits })]
    for (const { id } of [dora, emil]) await world.during(carl.waitFor(id))
    const closed = collect(carl, 'link:closed')
    for (const to of [[dora.id], [dora.id, emil.id]]) {
      const text = await largest(carl, to, limits.messageBytes)
      await world.during((await world.during(carl.send(to, text))).delivered)
      for (const agent of to.length === 1 ? [dora] : [dora, emil])
        expect((await world.during(agent.receive())).content === text).toBe(true)
    }
    expect(closed).toEqual([])
  })

  test('that is beyond the limit of its recipient is dead at once, and others go on over the same link', async () => {
    const limits = { messageBytes: 2 ** 19 }
    const carl = await world.join('carl', { guarantee: kept, limits })
    await world.during(carl.waitFor(bob.id))
    const closed = collect(carl, 'link:closed')
    const receipt = await carl.send(bob.id, 'x'.repeat(DEFAULT_LIMITS.messageBytes))
    const after = await carl.send(bob.id, 'after')
    await world.during(failure(receipt.processed))
    expect(receipt.recipients.get(bob.id)).toMatchObject({ state: 'dead', reason: 'too-large', retries: 0 })
    await world.during(after.delivered)
    expect(closed).toEqual([])
  })

  test('that is beyond the frames of its recipient is dead at once, and others go on over the same link', async () => {
    const carl = await world.join('carl', { guarantee: kept, limits: { messageBytes: 2 ** 18 } })
    const dora = await world.join('dora', { limits: { messageBytes: 50_000, frameBytes: 100_000 } })
    await world.during(carl.waitFor(dora.id))
    const closed = collect(carl, 'link:closed')
    const text = 'x'.repeat(200_000)
    const receipt = await carl.send(dora.id, text)
    const after = await carl.send(dora.id, 'after')
    await world.during(failure(receipt.processed))
    expect(receipt.recipients.get(dora.id)).toMatchObject({ state: 'dead', reason: 'too-large', inDoubt: false })
    expect(await carl.deadLetters.list()).toMatchObject([
      { reason: 'too-large', messageId: receipt.id, inDoubt: false },
    ])
    await world.during(after.delivered)
    const once = await world.during(failure(carl.send(dora.id, text, { guarantee: 'at-most-once' })))
    expect(once).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(closed).toEqual([])
    const back = await dora.send(carl.id, 'and back', { guarantee: kept })
    await world.during(back.delivered)
  })
})

test('Limits under which a message might not fit a frame are refused, with the numbers.', () => {
  const limits = { messageBytes: 100_000, frameBytes: 117_620 }
  expect(resolveLimits(limits)).toMatchObject(limits)
  expect(() => resolveLimits({ ...limits, frameBytes: 117_619 })).toThrow(
    'limits.frameBytes is 117619; a message of limits.messageBytes, 100000, may need 117620',
  )
  expect(() => resolveLimits({ messageBytes: DEFAULT_LIMITS.frameBytes })).toThrow('1048576')
})
