/** Agents that leave and come back while they are dialled. */

import { beforeEach, expect, test } from 'vitest'
import { type ConnectorWorld, connectorWorld, RELAYED, WEBRTC } from './connector-world.ts'

let world: ConnectorWorld
/** The run that a dial reaches. */
let answering: string | undefined
let calledOff: number
beforeEach(() => {
  world = connectorWorld()
  calledOff = 0
  answering = undefined
  const { carrier, cards, links } = world
  // Nobody answers a dial to a run that is over; it is not refused either.
  carrier.answer = (peer, _, signal) => {
    if (answering !== undefined && cards.get(peer)?.instance === answering) {
      links.set(peer, 'relayed')
      return Promise.resolve({})
    }
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => {
        calledOff++
        reject(signal.reason)
      }),
    )
  }
})

const comes = (instance: string): void => {
  world.cards.set('a', { addresses: [RELAYED, WEBRTC], instance })
  world.connector.consider('a')
}

const leaves = (reason: 'left' | 'silent'): void => {
  world.cards.delete('a')
  world.connector.forget('a', reason)
}

/** The card of an agent with the higher id comes: after how many ms of the next 100 it is dialled, each time. */
async function dialsFor(card: { addresses: string[]; instance: string }): Promise<number[]> {
  const { connector, carrier, cards, clock } = world
  cards.set('z', card)
  carrier.dials = []
  const now = clock.monotonic()
  connector.consider('z')
  await clock.advance(100)
  return carrier.times().map(at => at - now)
}

test('a dial is called off when its agent says goodbye, and who is back and wanted is dialled at once', async () => {
  const { connector, carrier, clock } = world
  comes('first')
  const hurried = connector.hurry('a')
  await clock.advance(300)
  leaves('left')
  await hurried
  expect(calledOff).toBe(1)
  answering = 'second'
  comes('second')
  carrier.dials = []
  await connector.hurry('a')
  expect(carrier.times()[0]).toBe(clock.monotonic())
})

test('of an agent that began anew without a goodbye the new run is dialled instead, for who waits already', async () => {
  const { connector, links, clock } = world
  comes('first')
  const hurried = connector.hurry('a')
  await clock.advance(300)
  answering = 'second'
  comes('second')
  await hurried
  expect(calledOff).toBe(1)
  expect(links.get('a')).toBe('relayed')
})

test('a dial that was called off counts as no failure: the next one does not wait for it', async () => {
  expect(await dialsFor({ addresses: [WEBRTC], instance: 'first' })).toEqual([0])
  await world.clock.advance(5_000)
  expect(await dialsFor({ addresses: [WEBRTC], instance: 'second' })).toEqual([0])
})

test('an agent that is back before it has an address is dialled as soon as it has one', async () => {
  const { connector, cards, clock } = world
  for (const instance of ['first', 'second']) {
    await dialsFor({ addresses: [WEBRTC], instance })
    await clock.advance(1_000)
    cards.delete('z')
    connector.forget('z', 'left')
  }
  expect(await dialsFor({ addresses: [], instance: 'third' })).toEqual([])
  expect(await dialsFor({ addresses: [WEBRTC], instance: 'third' })).toEqual([0])
})

test('an agent that is not heard any more may still answer: its dial goes on', async () => {
  const { connector, clock } = world
  comes('first')
  const hurried = connector.hurry('a')
  await clock.advance(300)
  leaves('silent')
  await clock.advance(5_000)
  expect(calledOff).toBe(0)
  connector.stop()
  await hurried
})
