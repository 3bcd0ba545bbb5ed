import { expect, test } from 'vitest'
import type { Clock } from '../../src/common/clock.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { libp2pCarrier } from '../../src/network/libp2p.ts'
import { until } from '../contracts/waiting.ts'

/** How often own addresses are looked at, ms. */
const POLLS = [50, 250]

test('own addresses are looked at often only while a reservation can come any moment', async () => {
  const clock = new DrivenClock()
  const polls: number[] = []
  const watched: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delay, callback) => {
      if (POLLS.includes(delay)) polls.push(delay)
      return clock.after(delay, callback)
    },
  }
  const nobody = (await createIdentity()).id
  const carrier = libp2pCarrier({
    identity: await createIdentity(),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    relays: [`/ip4/127.0.0.1/tcp/1/p2p/${nobody}`],
    clock: watched,
    // The pause before the relay that is down is dialled again is none of the two.
    random: { bytes: length => new Uint8Array(length), float: () => 0.7 },
  })
  const lost = until(carrier, 'relay', ({ state }) => state === 'lost')
  await carrier.start()
  expect(carrier.addresses()).toHaveLength(1)
  await lost
  polls.length = 0
  await clock.advance(50)
  expect(polls).toEqual([250])
  const again = until(carrier, 'relay', ({ state }) => state === 'connecting')
  await clock.advance(450)
  await again
  expect(polls.slice(0, 2)).toEqual([250, 250])
  await carrier.stop()
})
