/** How much is announced in a mesh where somebody comes and goes, and how soon a newcomer knows who is there. */

import { beforeEach, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { type Random, seededRandom } from '../../src/common/random.ts'
import { type Card, signCard } from '../../src/identity/card.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { encode } from '../../src/message/codec.ts'
import { PresenceBook } from '../../src/network/presence.ts'
import { card, fields } from '../identity/cards.ts'

let clock: DrivenClock
let random: Random
let members: Map<string, PresenceBook>
/** By whom. */
let announced: string[]
beforeEach(() => {
  clock = new DrivenClock()
  random = seededRandom(1)
  members = new Map()
  announced = []
})

/** What `author` publishes reaches all others, a moment later. */
function publish(author: string, payload: Uint8Array): string[] {
  for (const [id, book] of members) if (id !== author) clock.after(5, () => void book.received(author, payload))
  return [...members.keys()].filter(id => id !== author)
}

async function join({ hidden = false } = {}): Promise<PresenceBook> {
  const own = await card()
  const book = new PresenceBook({
    self: own.id,
    clock,
    random,
    card: () => own,
    hidden: () => hidden,
    linked: id => members.has(id),
    learn: () => true,
    publish: async payload => {
      announced.push(own.id)
      return publish(own.id, payload)
    },
    onOnline: () => {},
    onOffline: () => {},
    onChanged: () => {},
    onTwin: () => {},
  })
  members.set(own.id, book)
  book.start()
  return book
}

/** So many agents that know each other, and have been calm for a while. */
async function crowd(size: number): Promise<void> {
  for (let i = 0; i < size; i++) await join()
  await clock.advance(30_000)
  for (const book of members.values()) expect(book.all()).toHaveLength(size - 1)
}

/** Announcements a second of all of them together, in 20 s in which `act` is done every 150 ms. */
async function rate(act: () => Promise<void>): Promise<number> {
  announced = []
  for (let i = 0; i < 133; i++) {
    await act()
    await clock.advance(150)
  }
  return announced.length / 20
}

/** How long a newcomer takes to know all, ms. */
async function acquainted(): Promise<number> {
  const newcomer = await join()
  const from = clock.now()
  while (newcomer.all().length < members.size - 1) await clock.advance(10)
  return clock.now() - from
}

let seq = 0
/** The next run of an agent, which says so. */
async function come(identity: Identity): Promise<Card> {
  seq += 2
  const next = await signCard(identity, { ...fields, instance: `run ${seq}`, seq: fields.seq + seq })
  publish(identity.id, encode([0, next.bytes, false, 0]))
  return next
}

test.each([5, 20])('%i agents keep to 20 announcements a second, however often one member comes and goes', async n => {
  await crowd(n)
  const mallory = await createIdentity()
  let card: Card | undefined
  const again = async (): Promise<void> => {
    if (card !== undefined) publish(mallory.id, encode([1, card.seq]))
    card = await come(mallory)
  }
  expect(await rate(again)).toBeLessThan(22)
})

test('20 agents keep near 20 announcements a second, however many newcomers there are', async () => {
  await crowd(20)
  expect(await rate(async () => void (await come(await createIdentity())))).toBeLessThan(26)
})

test('of few agents a newcomer knows all at once, also when it comes again soon', async () => {
  await crowd(3)
  for (let i = 0; i < 2; i++) {
    expect(await acquainted()).toBeLessThanOrEqual(210)
    await clock.advance(2_000)
  }
})

test('of many it knows all within the time in which each may speak once', async () => {
  await crowd(20)
  expect(await acquainted()).toBeLessThanOrEqual(21 * 50 + 10)
})

test('a hidden tab answers at once: its timers may take a minute', async () => {
  await crowd(19)
  const hidden = await join({ hidden: true })
  await clock.advance(30_000)
  const own = [...members].find(([, book]) => book === hidden)?.[0] as string
  announced = []
  await come(await createIdentity())
  await clock.advance(10)
  expect(announced).toContain(own)
  expect(announced.length).toBeLessThan(members.size / 2)
})

test.each([5, 20])(
  '%i agents keep to 20 announcements a second, however often a neighbour comes into their topic, and under however many ids',
  async n => {
    await crowd(n)
    const everywhere = (id: string): void => {
      for (const book of members.values()) book.neighbour(id)
    }
    expect(await rate(async () => everywhere('mallory'))).toBeLessThan(22)
    let id = 0
    expect(await rate(async () => everywhere(`mallory ${id++}`))).toBeLessThan(26)
  },
)

test('a neighbour that comes into the topic of few agents, as a relay does, hears all of them at once', async () => {
  await crowd(2)
  announced = []
  for (const book of members.values()) book.neighbour('a relay')
  expect(announced).toHaveLength(2)
  // Again, and then back after a while.
  for (const book of members.values()) book.neighbour('a relay')
  await clock.advance(200)
  expect(announced).toHaveLength(2)
  await clock.advance(1_800)
  announced = []
  for (const book of members.values()) book.neighbour('a relay')
  await clock.advance(150)
  expect(announced).toHaveLength(2)
})
