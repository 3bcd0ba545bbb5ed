import { afterEach, expect, test } from 'vitest'
import { createRelay, type Relay } from '../../relay/index.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import type { Carrier, CarrierEvents } from '../../src/network/carrier.ts'
import { libp2pCarrier } from '../../src/network/libp2p.ts'
import { eventually, until } from '../contracts/waiting.ts'

const running: { close?(): Promise<unknown>; stop?(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await (one.stop?.() ?? one.close?.())
})

/** A relay at a place that stays the same over its runs, which it leaves at once. */
async function place(): Promise<{ address: string; run(): Promise<Relay> }> {
  const { seed } = await createIdentity()
  const first = await createRelay({ seed, listen: ['/ip4/127.0.0.1/tcp/0/ws'] })
  const address = first.addresses()[0] as string
  await first.close()
  const listen = [address.slice(0, address.indexOf('/p2p/'))]
  return {
    address,
    run: async () => {
      const relay = await createRelay({ seed, listen })
      running.push(relay)
      return relay
    },
  }
}

async function carrierWith(...relays: string[]): Promise<Carrier> {
  const carrier = libp2pCarrier({ identity: await createIdentity(), relays, listen: [] })
  running.push(carrier)
  await carrier.start()
  return carrier
}

type RelayState = CarrierEvents['relay']['state']

/** Resolves when a carrier says that of a relay. */
const says = (carrier: Carrier, address: string, state: RelayState): Promise<unknown> =>
  until(carrier, 'relay', detail => detail.address === address && detail.state === state)

const reachedThrough = (carrier: Carrier, address: string): boolean =>
  carrier.addresses().includes(`${address}/p2p-circuit/p2p/${carrier.id}`)

test('a relay that is down at start, comes up, is lost and comes back is reserved each time', {
  timeout: 60_000,
}, async () => {
  const { address, run } = await place()
  const carrier = await carrierWith(address)
  const reserved = says(carrier, address, 'reserved')
  const first = await run()
  await reserved
  expect(reachedThrough(carrier, address)).toBe(true)
  const lost = says(carrier, address, 'lost')
  await first.close()
  await lost
  await eventually(carrier, 'addresses', () => carrier.addresses().length === 0)
  const again = says(carrier, address, 'reserved')
  await run()
  await again
  expect(reachedThrough(carrier, address)).toBe(true)
})

test('each of several relays is reserved, the one that comes later too, and others are not', {
  timeout: 60_000,
}, async () => {
  const [one, two, other] = [await place(), await place(), await place()]
  await one.run()
  const stranger = await other.run()
  const carrier = await carrierWith(one.address, two.address)
  await eventually(carrier, 'addresses', () => reachedThrough(carrier, one.address))
  // There is a slot left, which is not for just any relay that is met.
  await carrier.dial(stranger.id, [other.address])
  const second = says(carrier, two.address, 'reserved')
  await two.run()
  await second
  expect(
    carrier
      .addresses()
      .map(address => address.slice(0, address.indexOf('/p2p-circuit')))
      .sort(),
  ).toEqual([one.address, two.address].sort())
})

test('two that listen nowhere reach each other through the relay, and each knows that the link is relayed', async () => {
  const { address, run } = await place()
  await run()
  const [a, b] = [await carrierWith(address), await carrierWith(address)]
  await Promise.all([a, b].map(each => eventually(each, 'addresses', () => reachedThrough(each, address))))
  const opened = until(b, 'connection:open', ({ peer }) => peer === a.id)
  const connection = await a.dial(b.id, b.addresses())
  expect([connection.kind, connection.transport]).toEqual(['relayed', 'circuit'])
  expect((await opened).kind).toBe('relayed')
})
