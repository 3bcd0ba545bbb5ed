/** Messages to one recipient leave in the order of the calls, however each of them names it. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { Guarantee, Message } from '../../src/message/message.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

let world: DrivenWorld
let ada: Agent
let bob: Agent
let carol: Agent
/** What bob sent to her first. */
let before: Message
beforeEach(async () => {
  world = drivenWorld()
  ada = await world.join('ada', { capabilities: ['listen'] })
  bob = await world.join('bob')
  carol = await world.join('carol')
  await world.during(acquainted([ada, bob, carol]))
  await world.during(ada.send('bob', 'before'))
  before = await world.during(bob.receive())
})
afterEach(() => world.close())

const FORMS: Record<string, (text: string, guarantee: Guarantee) => Promise<unknown>> = {
  'its name': (text, guarantee) => bob.send('ada', text, { guarantee }),
  'its id': (text, guarantee) => bob.send(ada.id, text, { guarantee }),
  'a capability of it': (text, guarantee) => bob.send({ capability: 'listen' }, text, { guarantee }),
  'it among several': (text, guarantee) => bob.send(['carol', 'ada'], text, { guarantee }),
  'a message of it': (text, guarantee) => bob.respond(before, text, { guarantee }),
}
const names = Object.keys(FORMS)

test.each(names.flatMap(first => names.map(second => [first, second] as const)))(
  'by %s, and then by %s',
  async (first, second) => {
    for (const [one, other] of [
      ['at-least-once', 'at-least-once'],
      ['exactly-once', 'at-least-once'],
      ['at-most-once', 'at-most-once'],
    ] as const) {
      const sent = [FORMS[first]?.('1', one), FORMS[second]?.('2', other)]
      await world.during(Promise.all(sent))
      const got: unknown[] = []
      while (got.length < 2) got.push((await world.during(ada.receive())).content)
      expect(got).toEqual(['1', '2'])
    }
  },
)
