import type { Peer } from 'agent-flow-protocol'
import { describe, expect, it } from 'vitest'
import { show, summary } from '../../demo/content.ts'
import {
  addEntry,
  addLog,
  type Channel,
  calledOff,
  changeEntry,
  channels,
  clear,
  conversationOf,
  type Entry,
  initialState,
  MAX_CONVERSATIONS,
  MAX_ENTRIES,
  MAX_LOG,
  nameOf,
  roster,
  type State,
  Store,
  select,
  someone,
  waitingFor,
} from '../../demo/state.ts'

const entry = (key: number, change: Partial<Entry> = {}): Entry => ({
  key,
  id: `id-${key}`,
  sender: 'bob-id',
  mine: false,
  kind: 'message',
  content: { kind: 'text', text: 'hello' },
  time: 0,
  status: { at: 'received' },
  ...change,
})

const peer = (name: string, online: boolean): Peer =>
  ({ card: { id: `${name}-id`, name, capabilities: [] }, online, hidden: false, link: undefined }) as unknown as Peer

describe('the state of the page', () => {
  it('counts what others write where nobody looks as unread, until somebody does', () => {
    let state: State = { ...initialState, selected: 'everyone' }
    state = addEntry(state, 'agent:bob-id', entry(1), true)
    state = addEntry(state, 'agent:bob-id', entry(2, { mine: true }), true)
    expect(conversationOf(state, 'agent:bob-id').unread).toBe(1)
    state = select(state, 'agent:bob-id')
    expect(conversationOf(state, 'agent:bob-id').unread).toBe(0)
    expect(conversationOf(addEntry(state, 'agent:bob-id', entry(3), true), 'agent:bob-id').unread).toBe(0)
    expect(conversationOf(addEntry(state, 'agent:bob-id', entry(3), false), 'agent:bob-id').unread).toBe(1)
  })

  it('changes one entry and leaves what it was made from as it was', () => {
    const before = addEntry(initialState, 'everyone', entry(1), true)
    const after = changeEntry(before, 'everyone', 1, { status: { at: 'failed', reason: 'gone' } })
    expect(conversationOf(after, 'everyone').entries[0]?.status).toEqual({ at: 'failed', reason: 'gone' })
    expect(conversationOf(before, 'everyone').entries[0]?.status).toEqual({ at: 'received' })
    expect(changeEntry(after, 'everyone', 99, {})).toBe(after)
  })

  it('keeps a bounded number of entries, conversations and log lines, however many strangers send', () => {
    let state = initialState
    for (let key = 0; key < MAX_ENTRIES + 50; key++) state = addEntry(state, 'everyone', entry(key), true)
    expect(conversationOf(state, 'everyone').entries.length).toBe(MAX_ENTRIES)
    expect(conversationOf(state, 'everyone').entries.at(-1)?.key).toBe(MAX_ENTRIES + 49)
    for (let n = 0; n < MAX_CONVERSATIONS + 50; n++) state = addEntry(state, `agent:${n}` as Channel, entry(n), true)
    expect(state.conversations.size).toBe(MAX_CONVERSATIONS)
    for (let key = 0; key < MAX_LOG + 50; key++)
      state = addLog(state, { key, time: 0, level: 'warn', title: '', detail: '' })
    expect(state.log.length).toBe(MAX_LOG)
    expect(state.warnings).toBe(MAX_LOG + 50)
  })

  it('lists everyone, then topics, then agents, those online first', () => {
    const peers = new Map([peer('zoe', true), peer('bob', false), peer('ann', true)].map(it => [it.card.id, it]))
    const state: State = { ...initialState, peers, topics: ['lobby'] }
    expect(channels(state)).toEqual(['everyone', 'topic:lobby', 'agent:ann-id', 'agent:zoe-id', 'agent:bob-id'])
    expect(nameOf(state, 'zoe-id')).toBe('zoe')
    expect(nameOf(state, '12D3KooWstranger')).toBe('strang…')
  })

  it('lists agents that are away and known from what was said, under their names', () => {
    const contact = { id: 'bob-id', name: 'bob', capabilities: ['chat'], description: 'a person' }
    const state: State = {
      ...initialState,
      peers: new Map([['zoe-id', peer('zoe', true)]]),
      contacts: new Map([['bob-id', contact]]),
    }
    expect(roster(state).map(({ name, peer }) => [name, peer?.online])).toEqual([
      ['zoe', true],
      ['bob', undefined],
    ])
    expect(nameOf(state, 'bob-id')).toBe('bob')
    expect(someone(state, 'nobody')).toBeUndefined()
  })

  it('tells agents of one name apart by what differs in their ids, and leaves others their names', () => {
    const who = (id: string, name: string) => ({ id, name, capabilities: [], description: '' })
    const here = (id: string, name: string) => ({ ...peer(name, true), card: who(id, name) }) as unknown as Peer
    const [bob, twin, ada, away] = ['12D3KooWAAAAAAx', '12D3KooWBBBBBBx', '12D3KooWCCCCCCx', '12D3KooWDDDDDDx']
    const state: State = {
      ...initialState,
      me: { id: '12D3KooWEEEEEEx', name: 'ada', as: 'person' },
      peers: new Map([bob, twin].map(id => [id, here(id, 'bob')])).set(ada, here(ada, 'ada')),
      contacts: new Map([
        [bob, who(bob, 'bob')],
        [away, who(away, 'zoe')],
      ]),
    }
    expect([bob, twin, ada, away].map(id => nameOf(state, id))).toEqual([
      'bob AAAAAA',
      'bob BBBBBB',
      'ada CCCCCC',
      'zoe',
    ])
    const alone = { ...state, peers: new Map([[bob, here(bob, 'bob')]]) }
    expect(nameOf(alone, bob)).toBe('bob')
    // Also of one that is away and known from before.
    expect(nameOf({ ...alone, contacts: new Map([[twin, who(twin, 'bob')]]) }, bob)).toBe('bob AAAAAA')
  })

  it('counts what waits for somebody, and clears the rest', () => {
    const mine = (key: number, at: 'queued' | 'sent' | 'processed') => entry(key, { mine: true, status: { at } })
    let state = initialState
    for (const each of [mine(1, 'queued'), mine(2, 'sent'), mine(3, 'processed'), entry(4)])
      state = addEntry(state, 'agent:bob-id', each, true)
    expect(waitingFor(state, 'agent:bob-id')).toBe(2)
    state = changeEntry(state, 'agent:bob-id', 1, { status: { at: 'cancelled' } })
    expect(waitingFor(state, 'agent:bob-id')).toBe(1)
    state = clear(state, 'agent:bob-id')
    expect(conversationOf(state, 'agent:bob-id').entries.map(({ key }) => key)).toEqual([2])
    expect(waitingFor(state, 'everyone')).toBe(0)
  })

  it('says of a request that was called off how far it had come', () => {
    expect(calledOff({ at: 'waiting' })).toEqual({ at: 'cancelled' })
    expect(calledOff({ at: 'waiting', way: 'queued' })).toEqual({ at: 'cancelled' })
    expect(calledOff({ at: 'waiting', way: 'sent' })).toEqual({ at: 'cancelled', doubt: true })
    expect(calledOff({ at: 'waiting', way: 'delivered' })).toEqual({ at: 'cancelled', came: true })
  })

  it('tells its listeners of changes, and of nothing when nothing changed', () => {
    const store = new Store(initialState)
    const seen: State[] = []
    const stop = store.subscribe(() => seen.push(store.state))
    store.update(state => state)
    store.update(state => ({ ...state, mesh: 'demo' }))
    stop()
    store.update(state => ({ ...state, mesh: 'other' }))
    expect(seen.map(state => state.mesh)).toEqual(['demo'])
  })
})

describe('what of a message is shown', () => {
  it('is text without control characters and without marks that turn its direction', () => {
    expect(show('a\u202Eb\u0007c\nd\te 👩\u200D💻')).toEqual({ kind: 'text', text: 'abc\nd\te 👩\u200D💻' })
    expect(show('x'.repeat(9_000))).toEqual({ kind: 'text', text: `${'x'.repeat(4_000)}…` })
  })

  it('is the answer where there is one, data as it is, and bytes as their type and length', () => {
    expect(show({ answer: '7', value: 7 })).toEqual({ kind: 'answer', answer: { answer: '7', value: 7 } })
    expect(show({ a: [1] })).toEqual({ kind: 'data', text: '{\n  "a": [\n    1\n  ]\n}' })
    expect(show(new Uint8Array(3), 'image/png')).toEqual({ kind: 'data', text: 'image/png, 3 bytes' })
    expect(summary(show('a\n\n b'))).toBe('a b')
  })
})
