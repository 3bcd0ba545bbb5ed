/** A message goes again as the bytes that it was first sealed to, whatever happened to its sender meanwhile. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { toHex } from '../../src/common/bytes.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { HostileWorld, type Party } from './hostile-world.ts'

let world: HostileWorld
beforeEach(async () => {
  world = await HostileWorld.make()
})
afterEach(() => world.close())

test.each(['to one', 'to several'])('a message %s is the same bytes at each try, also after a restart', async to => {
  const { ada, bob, carol } = world
  await world.meet(ada, carol)
  const recipients = to === 'to one' ? [bob] : [bob, carol]
  const tries = ({ tap }: Party): string[] => tap.of(FrameType.envelope, ada.id).map(toHex)
  const triedAgain = (times: number): Promise<void> =>
    world.until(() => recipients.every(each => tries(each).length >= times))
  for (const { tap } of recipients) tap.drop(FrameType.envelope)
  const ids = recipients.map(({ id }) => id)
  const { id } = await world.during(ada.agent.send(ids, 'once and for all', { guarantee: 'exactly-once' }))
  await triedAgain(1)
  // Again on the same link, on a new one, and by the next run of the sender.
  await triedAgain(2)
  await world.reconnect(ada, bob)
  await triedAgain(3)
  const before = recipients.map(each => tries(each).length)
  await world.restart(ada)
  await world.until(() => recipients.every((each, i) => tries(each).length > (before[i] as number)))
  for (const each of recipients) expect(new Set(tries(each)).size).toBe(1)
  // They are sealed to each: nothing is the same by accident.
  expect(new Set(recipients.flatMap(tries)).size).toBe(recipients.length)
  for (const { tap } of recipients) tap.behave()
  await world.until(() => recipients.every(({ got }) => got.length > 0))
  for (const { got } of recipients) expect(got).toMatchObject([{ id, content: 'once and for all' }])
})
