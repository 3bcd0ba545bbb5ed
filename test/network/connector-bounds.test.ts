import { beforeEach, describe, expect, test } from 'vitest'
import { type ConnectorWorld, connectorWorld, DIRECT, ELSEWHERE, RELAYED, WEBRTC } from './connector-world.ts'

let clock: ConnectorWorld['clock']
let carrier: ConnectorWorld['carrier']
let cards: ConnectorWorld['cards']
let links: ConnectorWorld['links']
let connector: ConnectorWorld['connector']
beforeEach(() => {
  ;({ clock, carrier, cards, links, connector } = connectorWorld())
})

const times = (): number[] => carrier.times()
const pauses = (): number[] => carrier.pauses()

describe('An agent that would have others dial somebody else', () => {
  /** Dials in the minutes after the first. */
  const later = (): number => times().filter(at => at >= 60_000).length

  beforeEach(async () => {
    cards.set('z', { addresses: [DIRECT] })
    connector.consider('z')
    await clock.advance(0)
  })

  test('gains nothing by a new card every second: the pause goes on', async () => {
    for (let i = 0; i < 60; i++) {
      connector.consider('z')
      await clock.advance(1_000)
    }
    expect(pauses()).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000, 10_000])
  })

  test('gains nothing by another order of its addresses, or by naming one twice', async () => {
    await clock.advance(60_000)
    cards.set('z', { addresses: [DIRECT, ELSEWHERE] })
    connector.consider('z')
    await clock.advance(100_000)
    cards.set('z', { addresses: [ELSEWHERE, DIRECT, ELSEWHERE] })
    connector.consider('z')
    await clock.advance(60_000)
    expect(pauses().slice(-6)).toEqual(Array(6).fill(10_000))
  })

  test('ends a pause by new addresses once a minute', async () => {
    for (let i = 0; i < 600; i++) {
      cards.set('z', { addresses: [DIRECT, `/ip4/127.0.0.1/tcp/${3 + i}`] })
      connector.consider('z')
      await clock.advance(1_000)
    }
    // 0, 1, 3, 7, 15, 25, 35, 45, 55 s of each minute.
    expect(carrier.dials.length).toBeLessThanOrEqual(91)
    expect(carrier.dials.length).toBeGreaterThanOrEqual(85)
  })

  test('ends it so by coming and going too', async () => {
    for (let i = 0; i < 600; i++) {
      connector.forget('z', 'left')
      connector.consider('z')
      await clock.advance(1_000)
    }
    expect(carrier.dials.length).toBeLessThanOrEqual(91)
  })

  test('has fifteen dials a minute by links that it opens and drops, and by asking for replies', async () => {
    carrier.answer = async peer => void links.set(peer, 'direct')
    for (let i = 0; i < 3_000; i++) {
      links.delete('z')
      connector.lost('z')
      await connector.hurry('z')
      await clock.advance(100)
    }
    expect(later()).toBeGreaterThan(55)
    expect(later()).toBeLessThanOrEqual(61)
  })

  test('leaves others their turn: each has a number of its own', async () => {
    for (let i = 0; i < 50; i++) await connector.hurry('z')
    cards.set('y', { addresses: [DIRECT] })
    connector.consider('y')
    await clock.advance(0)
    expect(carrier.dials.at(-1)?.peer).toBe('y')
  })

  test('cannot make this agent keep account of any number of ids; that of those that are there is kept', async () => {
    const dialsAtOnce = async (id: string): Promise<boolean> => {
      const before = carrier.dials.length
      cards.set(id, { addresses: [DIRECT] })
      connector.consider(id)
      await clock.advance(0)
      connector.forget(id, 'left')
      return carrier.dials.length > before
    }
    expect([await dialsAtOnce('early'), await dialsAtOnce('early')]).toEqual([true, false])
    for (let i = 0; i < 2_048; i++) {
      connector.consider(`id ${i}`)
      connector.forget(`id ${i}`, 'left')
    }
    expect(await dialsAtOnce('early')).toBe(true)
    expect(await dialsAtOnce('z')).toBe(false)
  })

  test('does not keep this agent, whose own addresses change, from trying all anew', async () => {
    await clock.advance(30_000)
    carrier.dials = []
    const start = clock.monotonic()
    carrier.own = [RELAYED]
    connector.consider('z')
    await clock.advance(1_000)
    expect(times()).toEqual([start, start + 1_000])
  })

  test('is dialled at once at an address that comes after others that could not be dialled at all', async () => {
    cards.set('x', { addresses: [] })
    connector.consider('x')
    await clock.advance(100)
    cards.set('x', { addresses: ['/udp/nothing'] })
    connector.consider('x')
    await clock.advance(100)
    cards.set('x', { addresses: [WEBRTC] })
    connector.consider('x')
    await clock.advance(0)
    expect(carrier.dials.at(-1)).toMatchObject({ peer: 'x', at: 200 })
  })
})
