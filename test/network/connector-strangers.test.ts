/** Strangers whose addresses nobody answers, and those that wait to be dialled beside them. */

import { beforeEach, expect, test } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import { type ConnectorWorld, connectorWorld, DIRECT, RELAYED, WEBRTC } from './connector-world.ts'

let clock: ConnectorWorld['clock']
let carrier: ConnectorWorld['carrier']
let cards: ConnectorWorld['cards']
let links: ConnectorWorld['links']
let trusted: ConnectorWorld['trusted']
let connector: ConnectorWorld['connector']
let underWay: number
let most: number
beforeEach(() => {
  ;({ clock, carrier, cards, links, trusted, connector } = connectorWorld(seededRandom(1)))
  underWay = 0
  most = 0
  carrier.answer = async (peer, _addresses, signal) => {
    if (peer.startsWith('z honest')) return void links.set(peer, 'direct')
    most = Math.max(most, ++underWay)
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    underWay--
    throw signal.reason
  }
})

function come(id: string, addresses = [DIRECT]): void {
  cards.set(id, { addresses })
  connector.consider(id)
}

const strangers = (count: number): string[] => Array.from({ length: count }, (_, i) => `z stranger ${i}`)

/** When an agent was first dialled. */
const dialledAt = (id: string): number => carrier.dials.find(({ peer }) => peer === id)?.at ?? Number.POSITIVE_INFINITY

test.each([4, 50])('%i strangers whom nobody answers for hold up a newcomer for seconds', async count => {
  for (const id of strangers(count)) come(id)
  await clock.advance(30_000)
  come('z honest')
  await clock.advance(60_000)
  expect(dialledAt('z honest') - 30_000).toBeLessThan(25_000)
})

test('200 of them have ten dials under way at the most, and have been tried in five minutes', async () => {
  for (const id of strangers(200)) come(id)
  await clock.advance(300_000)
  expect(new Set(carrier.dials.map(({ peer }) => peer)).size).toBe(200)
  expect(most).toBeLessThanOrEqual(10)
})

test('those that were dialled in vain are behind a newcomer, however often they come again', async () => {
  for (const id of strangers(200)) come(id)
  for (let s = 0; s < 400; s += 10) {
    for (const id of strangers(200)) {
      connector.forget(id, 'left')
      connector.consider(id)
    }
    await clock.advance(10_000)
  }
  const from = clock.monotonic()
  come('z honest')
  await clock.advance(10_000)
  expect(dialledAt('z honest') - from).toBeLessThan(10_000)
})

test.each(['used', 'pinned'] as const)(
  'an agent that the application has %s goes before all strangers',
  async worth => {
    for (const id of strangers(500)) come(id)
    await clock.advance(30_000)
    trusted.set('z honest', worth)
    come('z honest')
    await clock.advance(10_000)
    expect(dialledAt('z honest') - 30_000).toBeLessThan(10_000)
  },
)

test('among strangers it is by chance who goes next: nobody is last by coming last', async () => {
  for (const id of strangers(200)) come(id)
  await clock.advance(100)
  const honest = Array.from({ length: 20 }, (_, i) => `z honest ${i}`)
  for (const id of honest) come(id)
  await clock.advance(300_000)
  const order = [...new Set(carrier.dials.map(({ peer }) => peer))]
  const places = honest.map(id => order.indexOf(id)).sort((a, b) => a - b)
  expect(order).toHaveLength(220)
  expect(places[4]).toBeLessThan(100)
  expect(places[15]).toBeGreaterThan(100)
})

test('a stranger whom nobody answers for is dialled less and less, at most five minutes apart; one that was used, as before', async () => {
  come('z stranger')
  await clock.advance(1_500_000)
  const pauses = carrier.pauses().map(ms => ms - 10_000)
  for (const [i, pause] of [4_000, 16_000, 64_000, 256_000, 300_000, 300_000].entries()) {
    expect(pauses[i]).toBeGreaterThanOrEqual(0.8 * pause)
    expect(pauses[i]).toBeLessThanOrEqual(1.2 * pause)
  }
  connector.forget('z stranger', 'left')
  carrier.dials = []
  trusted.set('z used', 'used')
  come('z used')
  await clock.advance(100_000)
  expect(Math.max(...carrier.pauses())).toBeLessThanOrEqual(22_000)
})

test('a direct link makes up for slow dials, and so does another address of this agent', async () => {
  come('z stranger')
  await clock.advance(100_000)
  carrier.own = [RELAYED]
  carrier.dials = []
  connector.consider('z stranger')
  await clock.advance(16_000)
  expect(carrier.dials).toHaveLength(2)
  links.set('z stranger', 'direct')
  await clock.advance(60_000)
  links.delete('z stranger')
  carrier.dials = []
  connector.lost('z stranger')
  await clock.advance(16_000)
  expect(carrier.dials).toHaveLength(2)
})

test('a way through a relay that is slow is given four seconds before the next one begins', async () => {
  for (const id of strangers(6)) come(id, [WEBRTC, RELAYED])
  await clock.advance(3_900)
  expect(most).toBe(2)
  await clock.advance(200)
  expect(most).toBe(4)
})
