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
/** Who is there to take what is published. */
let audience: string[]
let book: PresenceBook
beforeEach(() => {
  clock = new DrivenClock()
  log = []
  published = []
  links = new Set()
  audience = ['a neighbour']
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
      return audience
    },
    onOnline: presence => log.push(`online ${presence.card.name}`),
    onOffline: (_id, reason) => log.push(`offline ${reason}`),
    onChanged: presence => log.push(`changed ${presence.card.name}${presence.hidden ? ' hidden' : ''}`),
    onTwin: twin => log.push(`twin ${twin.instance}`),
  })
})

let counted = 0
/** An announcement later than all before it, or with the given number. */
const announcement = (of: Card, hidden = false, count = counted++): Uint8Array => encode([0, of.bytes, hidden, count])
const bye = (of: Card): Uint8Array => encode([1, of.seq])

describe('Presence', () => {
  test('announces the own card at start and every second, and once stopped answers nobody', async () => {
    book.start()
    expect(decode(published[0] as Uint8Array)).toEqual([0, own.bytes, false, 0])
    await clock.advance(10_000)
    expect(published).toHaveLength(11)
    book.stop()
    book.neighbour(bob.id)
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

  test('what is urgent waits for nothing, and takes the announcement that waited with it', async () => {
    book.start()
    book.announce()
    book.announce({ urgent: true })
    expect(published).toHaveLength(2)
    await clock.advance(400)
    expect(published).toHaveLength(2)
  })

  test('an announcement that nobody was there to take keeps the next one from nobody', async () => {
    audience = []
    book.start()
    await clock.advance(0)
    audience = ['a neighbour']
    book.announce()
    expect(published).toHaveLength(2)
    await clock.advance(0)
    book.announce()
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
    // One without a link: there is no calm.
    book.met(bobs)
    book.start()
    await clock.advance(200)
    const before = published.length
    for (let i = 0; i < 30; i++) {
      await clock.advance(1_000)
      await book.received(bob.id, announcement(bobs))
    }
    expect(published.length - before).toBeLessThanOrEqual(11)
    expect(published.length - before).toBeGreaterThanOrEqual(9)
  })

  test('those that left slow it down no longer', async () => {
    for (let i = 0; i < 59; i++) book.met({ ...bobs, id: `agent ${i}` })
    for (let i = 0; i < 50; i++) book.left(`agent ${i}`, bobs.instance)
    await clock.advance(1_000)
    const before = published.length
    book.start()
    await clock.advance(4_000)
    expect(published.length - before).toBe(5)
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
    expect(await book.received(eve.id, bye(bobs))).toBe(true)
    expect(log).toEqual(['online bob'])
    await book.received(bob.id, bye(bobs))
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
      encode([0, bobs.bytes, true]),
      encode([0, bobs.bytes, 1, 0]),
      encode([0, bobs.bytes, true, -1]),
      encode([0, bobs.bytes, true, 'one']),
      encode([0, 'card', true, 0]),
      encode([1]),
      encode([1, 'one']),
      announcement(own),
      encode([0, bobs.bytes.subarray(1), true, 0]),
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

  test('believes no card for longer than a day without a newer one, whatever the card says', async () => {
    const { bytes, expiresAt } = await card({ expiresAt: clock.now() + 365 * 86_400_000 }, bob)
    await book.received(bob.id, encode([0, bytes, false, counted++]))
    expect(book.get(bob.id)?.card.expiresAt).toBe(clock.now() + 86_400_000 + 120_000)
    expect(expiresAt).toBeGreaterThan(clock.now() + 300 * 86_400_000)
    await clock.advance(1_000)
    const first = book.get(bob.id)?.card.expiresAt
    await book.received(bob.id, encode([0, bytes, true, counted++]))
    expect(book.get(bob.id)).toMatchObject({ hidden: true, card: { expiresAt: first } })
    const eve = await createIdentity()
    book.met(await card({ expiresAt: clock.now() + 5_000 }, eve))
    expect(book.get(eve.id)?.card.expiresAt).toBe(clock.now() + 5_000)
  })
})

describe('What is played again', () => {
  test('an announcement from before a goodbye brings nobody back, and a hello that was under way does not either', async () => {
    const recorded = announcement(bobs)
    await book.received(bob.id, recorded)
    const renewed = await card({ name: 'bob', seq: bobs.seq + 1 }, bob)
    const unheard = announcement(renewed)
    await book.received(bob.id, bye(renewed))
    for (const replayed of [recorded, unheard]) expect(await book.received(bob.id, replayed)).toBe(true)
    book.met(bobs)
    book.met(renewed)
    expect(log).toEqual(['online bob', 'offline left'])
  })

  test('the same holds for a goodbye on the own connection, where no number tells how far that run came', async () => {
    await book.received(bob.id, announcement(bobs))
    book.left(bob.id, bobs.instance)
    await book.received(bob.id, announcement(await card({ name: 'bob', seq: bobs.seq + 1 }, bob)))
    expect(log).toEqual(['online bob', 'offline left'])
  })

  test('the goodbye of an earlier run is nothing to the next one, however it comes', async () => {
    const next = await card({ name: 'bob again', instance: 'next', seq: bobs.seq + 5 }, bob)
    await book.received(bob.id, announcement(bobs))
    await book.received(bob.id, bye(bobs))
    await book.received(bob.id, announcement(next, false, 0))
    await book.received(bob.id, bye(bobs))
    book.left(bob.id, bobs.instance)
    expect(log).toEqual(['online bob', 'offline left', 'online bob again'])
    await book.received(bob.id, announcement(bobs))
    expect(book.get(bob.id)?.card.name).toBe('bob again')
    await book.received(bob.id, bye(next))
    expect(log.at(-1)).toBe('offline left')
  })

  test('a run that was never heard of ends with its goodbye, and so does the one before it', async () => {
    await book.received(bob.id, announcement(bobs))
    const unheard = await card({ name: 'bob', instance: 'next', seq: bobs.seq + 5 }, bob)
    await book.received(bob.id, bye(unheard))
    await book.received(bob.id, bye(bobs))
    await book.received(bob.id, announcement(unheard, false, 3))
    await book.received(bob.id, announcement(await card({ name: 'bob', seq: bobs.seq + 1 }, bob)))
    expect(log).toEqual(['online bob', 'offline left'])
    await book.received(bob.id, announcement(await card({ name: 'bob', instance: 'third', seq: bobs.seq + 6 }, bob)))
    expect(log.at(-1)).toBe('online bob')
  })

  test('an announcement that was heard before keeps nobody online and changes nothing', async () => {
    book.start()
    const [recorded, last] = [announcement(bobs, true), announcement(bobs)]
    await book.received(bob.id, recorded)
    await book.received(bob.id, last)
    for (let i = 0; i < 6; i++) {
      await clock.advance(1_000)
      for (const replayed of [recorded, last]) expect(await book.received(bob.id, replayed)).toBe(true)
    }
    expect(log).toEqual(['online bob', 'changed bob', 'offline silent'])
    expect(book.get(bob.id)?.hidden).toBe(false)
    await book.received(bob.id, announcement(bobs))
    expect(log.at(-1)).toBe('online bob')
  })

  test('a hello between changes nothing about that', async () => {
    const recorded = announcement(bobs, true)
    await book.received(bob.id, recorded)
    await book.received(bob.id, announcement(bobs))
    book.met(bobs)
    await book.received(bob.id, recorded)
    expect(log).toEqual(['online bob', 'changed bob'])
  })

  test('an earlier run that crashed is over when the next is heard, which counts from nought', async () => {
    const recorded = announcement(bobs, false, 100)
    await book.received(bob.id, announcement(bobs, false, 99))
    const next = await card({ name: 'bob again', instance: 'next', seq: bobs.seq + 5 }, bob)
    book.met(next)
    await book.received(bob.id, recorded)
    await book.received(bob.id, announcement(next, true, 0))
    expect(log).toEqual(['online bob', 'changed bob again', 'changed bob again hidden'])
  })

  test('the own announcements are counted, and the goodbye names the newest card', async () => {
    book.start()
    await clock.advance(2_000)
    await book.bye()
    expect(published.map(payload => (decode(payload) as unknown[]).at(-1))).toEqual([0, 1, 2, own.seq])
    expect((decode(published.at(-1) as Uint8Array) as unknown[])[0]).toBe(1)
  })
})

describe('Calm', () => {
  /** Announcements in this time. */
  const announced = async (ms: number): Promise<number> => {
    const before = published.length
    await clock.advance(ms)
    return published.length - before
  }

  beforeEach(() => {
    book.start()
    book.met(bobs)
    links.add(bob.id)
  })

  test('with a link to everybody, and after ten seconds without news, announces a third as often', async () => {
    expect(await announced(10_000)).toBeGreaterThanOrEqual(9)
    await clock.advance(5_000)
    expect(await announced(30_000)).toBe(10)
  })

  test('who is alone, or has no link to somebody, is not calm', async () => {
    book.left(bob.id, bobs.instance)
    await clock.advance(20_000)
    expect(await announced(10_000)).toBe(10)
  })

  test('a link that is lost ends it within half a second', async () => {
    await clock.advance(20_000)
    while ((await announced(100)) === 0);
    links.delete(bob.id)
    expect(await announced(500)).toBe(1)
    expect(await announced(4_000)).toBe(4)
  })

  test('a newcomer ends it at once, and so do news of this agent itself', async () => {
    await clock.advance(20_000)
    for (const news of [() => book.met({ ...bobs, id: 'newcomer', bytes: new Uint8Array() }), () => book.announce()]) {
      while ((await announced(100)) === 0);
      await clock.advance(200)
      const before = published.length
      news()
      links.add('newcomer')
      expect(published.length - before).toBe(1)
      expect(await announced(10_000)).toBeGreaterThanOrEqual(9)
      await clock.advance(10_000)
      expect(await announced(30_000)).toBeLessThanOrEqual(11)
    }
  })

  test('so does somebody who falls silent: it may be this agent that is not heard', async () => {
    book.met({ ...bobs, id: 'another' })
    links.add('another')
    await clock.advance(20_000)
    links.delete('another')
    while (!log.includes('offline silent')) await clock.advance(100)
    await clock.advance(600)
    expect(await announced(9_000)).toBeGreaterThanOrEqual(8)
    await clock.advance(5_000)
    expect(await announced(30_000)).toBe(10)
  })

  test('an agent that is calm and whose link is lost is heard again before it is taken for gone', async () => {
    await clock.advance(20_000)
    // Bob does not know yet, and goes on at the calm pace, at its slowest.
    await book.received(bob.id, announcement(bobs))
    links.delete(bob.id)
    await clock.advance(3_600)
    await book.received(bob.id, announcement(bobs))
    await clock.advance(3_600)
    expect(log).toEqual(['online bob'])
    await clock.advance(2_000)
    expect(log).toEqual(['online bob', 'offline silent'])
  })

  test('ten that are linked to each other keep to four announcements a second together', async () => {
    for (let i = 0; i < 8; i++) {
      book.met({ ...bobs, id: `agent ${i}` })
      links.add(`agent ${i}`)
    }
    await clock.advance(20_000)
    expect((await announced(60_000)) / 60).toBeLessThanOrEqual(0.4)
  })
})
