import { expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { Lines } from '../../src/delivery/lines.ts'
import type { Link, Network, Peer } from '../../src/network/network.ts'

test('an agent that is online again is connected to at once, however lately that was in vain; others after a pause', async () => {
  const clock = new DrivenClock()
  let tries = 0
  let online = true
  let hurried = 0
  const network: Pick<Network, 'send' | 'link' | 'peer' | 'open' | 'hurry'> = {
    send: async () => {},
    link: () => undefined,
    peer: () => ({ online }) as Peer,
    hurry: () => {
      hurried++
    },
    open: async (): Promise<Link> => {
      tries++
      throw new Error('nobody answers')
    },
  }
  const lines = new Lines({ self: 'me', network, clock, received: () => {} })
  const reach = (): void => lines.reach('ada', () => true)
  reach()
  await clock.advance(1_000)
  reach()
  await clock.advance(0)
  expect(tries).toBe(1)

  lines.back('ada')
  reach()
  await clock.advance(0)
  expect(tries).toBe(2)
  await clock.advance(4_999)
  expect(tries).toBe(2)
  await clock.advance(1)
  expect(tries).toBe(3)

  // Of who is not online the network may know an address all the same.
  expect(hurried).toBe(0)
  online = false
  lines.back('ada')
  reach()
  expect(hurried).toBe(1)
  await clock.advance(60_000)
  expect(tries).toBe(3)
  lines.close()
  reach()
  expect(hurried).toBe(1)
})
