import { expect, it } from 'vitest'
import { DeliveryWorld } from './world.ts'

it('A message that nobody wants in the end is offered to who came while that was found out', async () => {
  const world = new DeliveryWorld()
  const ada = await world.start(await world.machine())
  const got: unknown[] = []
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<'waiting'>()
  let handler = false
  const bob = await world.start(await world.machine(), undefined, {
    take: ({ message }) => {
      if (handler) return Promise.resolve(void got.push(message.content))
      asked.resolve()
      return answer.promise
    },
  })
  await ada.meet(bob)
  const { processed } = await ada.send(bob, 'hello', { guarantee: 'exactly-once' })
  let reached = false
  void asked.promise.then(() => {
    reached = true
  })
  await world.clock.advanceUntil(() => reached)
  handler = true
  bob.delivery.offerAgain()
  answer.resolve('waiting')
  await world.clock.advance(1_000)
  expect(got).toEqual(['hello'])
  await processed
  await world.close()
})
