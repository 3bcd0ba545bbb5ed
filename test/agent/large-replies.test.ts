/** Replies that are as large as messages may be, and larger. */

import { expect, test } from 'vitest'
import type { AfpError } from '../../src/common/errors.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { adaAndBob, world } from './worlds.ts'

adaAndBob()
const guarantee = 'exactly-once'

test('a reply that only its envelope makes too large fails its request, and holds up nothing behind it', async () => {
  const limits = { messageBytes: 50_000 }
  const store = memoryStore()
  const asker = await world.join('carl', { guarantee, limits })
  const answerer = await world.join('dora', { guarantee, limits, store })
  await world.during(asker.waitFor(answerer.id))
  const errors: unknown[] = []
  answerer.addEventListener('store:error', ({ detail }) => errors.push(detail))
  answerer.handle<number>(({ content }) => 'x'.repeat(content))

  const sizes = Array.from({ length: 21 }, (_, i) => limits.messageBytes - 20 * i)
  const ask = async (size: number): Promise<string> => {
    const asked = asker.request(answerer.id, size, { timeout: 10_000 })
    return world.during(
      asked.then(
        ({ content }) => `${(content as string).length}`,
        ({ code }: AfpError) => code,
      ),
    )
  }
  const ends: string[] = []
  for (const size of sizes) ends.push(await ask(size))
  const fit = ends.findIndex(end => end !== 'HANDLER_FAILED')
  expect(fit).toBeGreaterThan(0)
  expect(ends.slice(fit)).toEqual(sizes.slice(fit).map(String))
  const { processed } = await world.during(asker.send(answerer.id, 0))
  await world.during(processed)
  expect([await store.count('inbox'), errors]).toEqual([0, []])
})

test('an echo of the largest request has an end, its handler’s failure', async () => {
  const store = memoryStore()
  const asker = await world.join('carl', { guarantee })
  const answerer = await world.join('dora', { guarantee, store })
  await world.during(asker.waitFor(answerer.id))
  answerer.handle(({ content }) => content)
  const whole = 'x'.repeat(DEFAULT_LIMITS.messageBytes)
  const refusal = await asker.send(answerer.id, whole).then(
    () => '',
    ({ message }: Error) => message,
  )
  const over = Number(/has (\d+) bytes/.exec(refusal)?.[1]) - DEFAULT_LIMITS.messageBytes
  const echo = asker.request(answerer.id, whole.slice(over), { timeout: 10_000 })
  expect(
    await world.during(
      echo.then(
        () => 'an echo',
        ({ code }: AfpError) => code,
      ),
    ),
  ).toBe('HANDLER_FAILED')
  expect(await store.count('inbox')).toBe(0)
})
