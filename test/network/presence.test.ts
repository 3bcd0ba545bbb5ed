import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { Card } from '../../src/identity/card.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { PresenceBook } from '../../src/network/presence.ts'
import { card } from '../identity/cards.ts'

let ada: Identity
let bob: Identity
let own: Card
let bobs: Card
beforeAll(async () => {
  ada = await createIdentity()
  bob = await createIdentity()
  own = await card({ name: 'ada' }, ada)
  bobs = await card({ name: 'bob' }, bob)
})

let clock: DrivenClock
let log: string[]
let published: Uint8Array[]
let links: Set<string>
let book: PresenceBook
beforeEach(() => {
  clock = new DrivenClock()
  log = []
  published = []
  links = new Set()
  book = new PresenceBook({
    self: ada.id,
    clock,
    random: { bytes: length => new Uint8Array(length), float: () => 0.5 },
    card: () => own,
    hidden: () => false,
    linked: id => links.has(id),
    learn: () => true,
    publish: async payload => {
      published.push(payload)
    },
    onOnline: presence => log.push(`online ${presence.card.name}`),
    onOffline: (_id, reason) => log.push(`offline ${reason}`),
    onChanged: presence => log.push(`changed ${presence.card.name}${presence.hidden ? ' hidden' : ''}`),
    onTwin: twin => log.push(`twin ${twin.instance}`),
  })
})

const announcement = (of: Card, hidden = false): Uint8Array => encode([0, of.bytes, hidden])

describe('Presence', () => {
  test('announces the own card at start and every second', async () => {
    book.start()
    expect(decode(published[0] as Uint8Array)).toEqual([0, own.bytes, false])
    await clock.advance(10_000)
    expect(published).toHaveLength(11)
    book.stop()
    await clock.advance(10_000)
    expect(published).toHaveLength(11)
    expect(clock.pending).toBe(0)
  })

  test('asked to announce many times announces now and once more', async () => {
    book.start()
    for (let i = 0; i < 10; i++) book.announce()
    expect(published).toHaveLength(1)
    await clock.advance(150)
    expect(published).toHaveLength(2)
  })

  test('answers a newcomer with an announcement before the next beat', async () => {
    book.start()
    await clock.advance(300)
    await book.received(bob.id, announcement(bobs))
    expect(log).toEqual(['online bob'])
    expect(published).toHaveLength(2)
  })

  test('beats slower the more agents there are, so that all together keep to 20 a second', async () => {
    for (let i = 0; i < 59; i++) {
      const each = await createIdentity()
      await book.received(each.id, announcement(await card({}, each)))
      links.add(each.id)
    }
    book.start()
    await clock.advance(200)
    const before = published.length
    await clock.advance(30_000)
    expect(published.length - before).toBeLessThanOrEqual(11)
    expect(published.length - before).toBeGreaterThanOrEqual(9)
  })

  test('takes who is silent for more than four beats for gone, unless a link says otherwise', async () => {
    book.start()
    await book.received(bob.id, announcement(bobs))
    await clock.advance(4_800)
    expect(log).toEqual(['online bob'])
    await clock.advance(1_000)
    expect(log).toEqual(['online bob', 'offline silent'])
    await book.received(bob.id, announcement(bobs))
    links.add(bob.id)
    await clock.advance(60_000)
    expect(log).toEqual(['online bob', 'offline silent', 'online bob'])
  })

  test('gives a hidden tab four minutes and more', async () => {
    book.start()
    await book.received(bob.id, announcement(bobs, true))
    await clock.advance(240_000)
    expect(log).toEqual(['online bob'])
    await clock.advance(60_000)
    expect(log).toEqual(['online bob', 'offline silent'])
  })

  test('says what changed: a newer card, a tab that is hidden', async () => {
    await book.received(bob.id, announcement(bobs))
    await book.received(bob.id, announcement(bobs))
    await book.received(bob.id, announcement(bobs, true))
    await book.received(bob.id, announcement(await card({ name: 'rob', seq: bobs.seq + 1 }, bob), true))
    expect(log).toEqual(['online bob', 'changed bob hidden', 'changed rob hidden'])
  })

  test('an older card changes nothing', async () => {
    await book.received(bob.id, announcement(bobs))
    expect(await book.received(bob.id, announcement(await card({ name: 'old', seq: bobs.seq - 1 }, bob)))).toBe(true)
    expect(book.get(bob.id)?.card.name).toBe('bob')
    expect(log).toEqual(['online bob'])
  })

  test('a goodbye counts for its author alone', async () => {
    await book.received(bob.id, announcement(bobs))
    const eve = await createIdentity()
    expect(await book.received(eve.id, encode([1]))).toBe(true)
    expect(log).toEqual(['online bob'])
    await book.received(bob.id, encode([1]))
    expect(log).toEqual(['online bob', 'offline left'])
  })

  test('what makes no sense is told as such', async () => {
    for (const payload of [
      Uint8Array.of(0xff),
      encode('x'),
      encode([]),
      encode([2]),
      encode([0]),
      encode([0, bobs.bytes]),
      encode([0, bobs.bytes, 1]),
      encode([0, 'card', true]),
      announcement(own),
      encode([0, bobs.bytes.subarray(1), true]),
    ]) {
      expect(await book.received(bob.id, payload)).toBe(false)
    }
    expect(log).toEqual([])
  })

  test('a card for another mesh or of the own run is nobody, one of another run is a twin', async () => {
    await book.received(bob.id, announcement(await card({ mesh: 'other' }, bob)))
    await book.received(ada.id, announcement(own))
    expect(log).toEqual([])
    await book.received(ada.id, announcement(await card({ instance: 'ff' }, ada)))
    expect(log).toEqual(['twin ff'])
    expect(book.all()).toEqual([])
  })

  test('keeps no more than a thousand and some; those that left give way', async () => {
    for (let i = 0; i < 1_024; i++) book.met({ ...bobs, id: `agent ${i}` })
    book.met(bobs)
    expect(book.get(bob.id)).toBeUndefined()
    book.left('agent 7')
    book.met(bobs)
    expect(book.get(bob.id)).toBeDefined()
    expect(book.get('agent 7')).toBeUndefined()
    expect(book.all()).toHaveLength(1_024)
  })
})
