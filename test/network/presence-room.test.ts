import { beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { Card } from '../../src/identity/card.ts'
import { KnownAgents, type Trust } from '../../src/identity/known-agents.ts'
import { encode } from '../../src/message/codec.ts'
import { PresenceBook, type PresenceOptions } from '../../src/network/presence.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { fields, NOW } from '../identity/cards.ts'

const RUN = fields.instance

let clock: DrivenClock
let log: string[]
let published: number
let links: Set<string>
let trusted: Map<string, Trust>
let book: PresenceBook
beforeEach(() => {
  clock = new DrivenClock(NOW)
  log = []
  published = 0
  links = new Set()
  trusted = new Map()
  book = bookOf({})
})

const bookOf = (changed: Partial<PresenceOptions>): PresenceBook =>
  new PresenceBook({
    self: 'self',
    clock,
    random: { bytes: length => new Uint8Array(length), float: () => 0.5 },
    card: () => cardOf('self'),
    hidden: () => false,
    linked: id => links.has(id),
    learn: () => true,
    trust: id => trusted.get(id) ?? 'stranger',
    publish: async () => {
      published++
      return ['a neighbour']
    },
    onOnline: ({ card }) => log.push(`online ${card.id}`),
    onOffline: (id, reason) => log.push(`offline ${id} ${reason}`),
    onChanged: () => {},
    onTwin: () => {},
    ...changed,
  })

const cardOf = (id: string, changed: Partial<Card> = {}): Card => ({
  ...fields,
  bytes: new Uint8Array(),
  id,
  ...changed,
})

describe('Room in the mesh as an agent knows it', () => {
  const meet = (id: string, changed: Partial<Card> = {}): boolean => {
    book.met(cardOf(id, changed))
    return book.get(id) !== undefined
  }

  /** Everybody there can be, online. */
  beforeEach(() => {
    for (let i = 0; i < 1_024; i++) meet(`agent ${i}`)
  })

  test('is kept for those that are online: no flood of newcomers takes it from them', () => {
    for (let i = 0; i < 2_000; i++) expect(meet(`flood ${i}`)).toBe(false)
    expect(book.all().every(({ card: { id }, online }) => online && id.startsWith('agent'))).toBe(true)
    expect(book.all()).toHaveLength(1_024)
  })

  test('is made by those that are offline, the one that left first at first', () => {
    for (const i of [7, 3, 5]) book.left(`agent ${i}`, RUN)
    expect(meet('one')).toBe(true)
    expect([7, 3, 5].map(i => book.get(`agent ${i}`) !== undefined)).toEqual([false, true, true])
    // Back, and away again: the one that left last.
    meet('agent 3', { instance: 'next', seq: NOW + 1 })
    book.left('agent 3', 'next')
    expect(meet('two')).toBe(true)
    expect([3, 5].map(i => book.get(`agent ${i}`) !== undefined)).toEqual([true, false])
    expect(book.all()).toHaveLength(1_024)
  })

  test('goes on being made, however many come and go', async () => {
    for (let i = 0; i < 1_024; i++) book.left(`agent ${i}`, RUN)
    for (let i = 0; i < 5_000; i++) {
      expect(meet(`visitor ${i}`)).toBe(true)
      book.left(`visitor ${i}`, RUN)
    }
    expect(book.all()).toHaveLength(1_024)
    // Nor do they count for anything any more, once the mesh is full of others.
    for (let i = 0; i < 1_024; i++) expect(meet(`agent ${i}`, { instance: 'next', seq: NOW + 1 })).toBe(true)
    await clock.advance(1_000)
    published = 0
    book.start()
    await clock.advance(120_000)
    expect(published).toBe(3)
    book.stop()
  })

  test('is not made by whom the user pinned or who has a link, and by whom the application used last', () => {
    for (const i of [1, 2, 3, 4]) book.left(`agent ${i}`, RUN)
    trusted.set('agent 1', 'pinned')
    trusted.set('agent 2', 'used')
    links.add('agent 3')
    expect([meet('one'), meet('two'), meet('three')]).toEqual([true, true, false])
    expect([1, 2, 3, 4].map(i => book.get(`agent ${i}`) !== undefined)).toEqual([true, false, true, false])
  })

  test('is found for whom the application named: the quietest stranger without a link is taken for gone', async () => {
    log = []
    await clock.advance(100)
    for (let i = 0; i < 1_024; i++) if (![400, 500, 600].includes(i)) meet(`agent ${i}`)
    trusted.set('agent 400', 'used')
    links.add('agent 500')
    for (const worth of ['pinned', 'used'] as const) trusted.set(`named ${worth}`, worth)
    expect(meet('a stranger')).toBe(false)
    expect(meet('named pinned')).toBe(true)
    expect(log).toEqual(['offline agent 600 silent', 'online named pinned'])
    expect([400, 500, 600].map(i => book.get(`agent ${i}`) !== undefined)).toEqual([true, true, false])
    expect(meet('named used')).toBe(true)
    expect(book.get('named pinned')?.online).toBe(true)
    expect(book.all()).toHaveLength(1_024)
  })

  test('is the same in the directory of names: after thousands of visitors the next one is found by its name', () => {
    const directory: KnownAgents = new KnownAgents({
      store: memoryStore(),
      limit: 1_024,
      now: () => clock.now(),
      keeps: id => followed.get(id) !== undefined,
      onConflict: () => {},
    })
    const followed = bookOf({ learn: card => directory.learn(card), trust: id => directory.trust(id) })
    directory.pin('friend', 'the friend')
    for (let i = 0; i < 1_024; i++) followed.met(cardOf(`honest ${i}`, { name: `honest ${i}` }))
    for (let i = 0; i < 1_024; i += 2) followed.left(`honest ${i}`, RUN)
    for (let i = 0; i < 3_000; i++) {
      followed.met(cardOf(`visitor ${i}`, { name: `visitor ${i}` }))
      expect(directory.resolve(`visitor ${i}`)).toBe(`visitor ${i}`)
      followed.left(`visitor ${i}`, RUN)
    }
    for (let i = 1; i < 1_024; i += 2) expect(directory.resolve(`honest ${i}`)).toBe(`honest ${i}`)
    followed.met(cardOf('the friend', { name: 'friend' }))
    expect(directory.get('the friend')).toBeDefined()
  })
})

test('A goodbye that is heard before what was said before it ends that run all the same.', async () => {
  await book.received('bob', encode([1, 7]))
  await book.received('bob', encode([1, 3]))
  for (const seq of [6, 7]) book.met(cardOf('bob', { seq }))
  expect(log).toEqual([])
  book.met(cardOf('bob', { seq: 8, instance: 'next' }))
  expect(log).toEqual(['online bob'])
})
