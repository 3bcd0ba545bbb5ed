import {
  type Agent,
  createAgent,
  createIdentity,
  type Identity,
  memoryStore,
  type Store as RowStore,
} from 'agent-flow-protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Conversations } from '../../demo/conversations.ts'
import { History, write } from '../../demo/history.ts'
import { Mail } from '../../demo/mail.ts'
import type { Place } from '../../demo/settings.ts'
import {
  type Channel,
  conversationOf,
  type Entry,
  initialState,
  MAX_ENTRIES,
  markRead,
  Store,
  select,
} from '../../demo/state.ts'

/** A browser's profile: who its agent is and what it keeps outlive the agent. */
interface Profile {
  readonly identity: Identity
  readonly rows: RowStore
}
const profile = async (): Promise<Profile> => ({
  identity: await createIdentity(),
  rows: Object.assign(memoryStore(), { close: async () => {} }),
})

/** A page on a profile, without what is drawn. */
interface Page {
  readonly agent: Agent
  readonly store: Store
  readonly said: Conversations
  readonly topics: readonly string[]
  /** What went wrong with storage. */
  readonly troubles: unknown[]
  readonly entries: (channel: Channel) => readonly Entry[]
}

const agents: Agent[] = []
afterEach(async () => {
  await Promise.all(agents.splice(0).map(agent => agent.close()))
})

async function open({ identity, rows }: Profile, name = 'ada', visible = () => true, place?: Place): Promise<Page> {
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const agent = await createAgent({ name, mesh: 'test', listen, identity, store: rows })
  agents.push(agent)
  const store = new Store(initialState)
  const troubles: unknown[] = []
  const history = new History(agent.storage, error => troubles.push(error))
  const said = new Conversations(store, history, visible)
  const mail = new Mail(agent, store, said)
  const topics = await said.recall(place)
  mail.listen()
  await mail.resume()
  return { agent, store, said, topics, troubles, entries: channel => conversationOf(store.state, channel).entries }
}

/** The same profile in the next run. */
async function reopen(page: Page, kept: Profile): Promise<Page> {
  await page.agent.close()
  return open(kept)
}

let kept: Profile
let page: Page
beforeEach(async () => {
  kept = await profile()
  page = await open(kept)
})

const entry = (key: number, change: Partial<Entry> = {}): Entry => ({
  key,
  id: `id-${key}`,
  sender: 'bob',
  mine: false,
  kind: 'message',
  content: { kind: 'text', text: `number ${key}` },
  time: key,
  status: { at: 'received' },
  ...change,
})

describe('what was said', () => {
  it('is there in the next run as it was, conversation by conversation, and new keys go on from there', async () => {
    const answer = { answer: '84', steps: [{ ask: '12 * 7', capability: 'calculate' }] }
    const asked = entry(2, {
      kind: 'request',
      mine: true,
      status: { at: 'answered', ms: 3.5 },
      reply: { kind: 'answer', answer },
    })
    await page.said.keep(page.said.add('agent:bob', asked))
    await page.said.keep(page.said.add('agent:bob', entry(10)))
    await page.said.keep(page.said.add('topic:lobby', entry(9)))
    const next = await reopen(page, kept)
    expect(next.entries('agent:bob')).toEqual([asked, entry(10, { unseen: true })])
    expect(next.entries('topic:lobby')).toEqual([entry(9)])
    expect(next.store.nextKey()).toBe(11)
  })

  it('is bounded in each conversation, here and in the store: the oldest gives way', async () => {
    const extra = 7
    for (let key = 1; key <= MAX_ENTRIES + extra; key++) page.said.save(page.said.add('agent:bob', entry(key)))
    await page.said.keep(page.said.add('everyone', entry(10_000)))
    expect(page.entries('agent:bob').map(({ key }) => key)[0]).toBe(extra + 1)
    expect(await page.agent.storage.list({ prefix: ['said', 'agent:bob'] })).toHaveLength(MAX_ENTRIES)

    // One that a run which ended in between could not delete any more.
    await page.agent.storage.change(transaction => write(transaction, { channel: 'agent:bob', entry: entry(3) }))
    const next = await reopen(page, kept)
    expect(next.entries('agent:bob')).toHaveLength(MAX_ENTRIES)
    expect(next.entries('agent:bob')[0]?.key).toBe(extra + 1)
    await next.agent.storage.change(() => {})
    expect(await next.agent.storage.list({ prefix: ['said', 'agent:bob'] })).toHaveLength(MAX_ENTRIES)
    expect(page.troubles.concat(next.troubles)).toEqual([])
  })

  it('is in a conversation once, though its handler failed at first, and only when it counts as handled', async () => {
    const bob = await open(await profile(), 'bob')
    await bob.agent.connect(page.agent.addresses[0] as string)
    let runs = 0
    page.agent.handle((message, { transaction }) => {
      const { id, sender } = message
      const channel: Channel = `agent:${sender}`
      const key = page.said.find(channel, other => other.id === id)?.key ?? page.store.nextKey()
      const said = page.said.add(channel, { ...entry(key), id, sender })
      if (said !== undefined) write(transaction, said)
      if (++runs < 3) throw new Error('not this time')
    })
    const { processed } = await bob.agent.send('ada', 'hello')
    await processed
    expect(runs).toBe(3)
    expect(page.entries(`agent:${bob.agent.id}`)).toHaveLength(1)
    const rows = await page.agent.storage.list({ prefix: ['said'] })
    expect(rows).toHaveLength(1)
  })

  it('is forgotten when it is cleared, but for what something is still to come of', async () => {
    const open = entry(2, { mine: true, status: { at: 'queued' } })
    for (const each of [entry(1), open, entry(3)]) await page.said.keep(page.said.add('agent:bob', each))
    page.said.clear('agent:bob')
    expect(page.entries('agent:bob')).toEqual([open])
    const next = await reopen(page, kept)
    expect(next.entries('agent:bob').map(({ key }) => key)).toEqual([2])
  })
})

describe('what nobody has read', () => {
  const unread = ({ store }: Page, channel: Channel = 'agent:bob'): number =>
    conversationOf(store.state, channel).unread
  const come = (to: Page, key: number, channel: Channel = 'agent:bob'): Promise<void> =>
    to.said.keep(to.said.add(channel, entry(key)))
  const turnTo = ({ store }: Page, channel: Channel): void => store.update(state => select(state, channel))

  it('is unread in the next run too, until somebody turns to it, and what comes before their eyes never is', async () => {
    for (const key of [1, 2]) await come(page, key)
    await come(page, 3, 'topic:lobby')
    const second = await reopen(page, kept)
    expect([unread(second), unread(second, 'topic:lobby')]).toEqual([2, 0])

    await come(second, 4)
    expect(unread(second)).toBe(3)
    turnTo(second, 'agent:bob')
    await come(second, 5)
    turnTo(second, 'everyone')
    const third = await reopen(second, kept)
    expect(unread(third)).toBe(0)
    await come(third, 6)
    expect(unread(await reopen(third, kept))).toBe(1)
  })

  it('is still so when nobody looks at the page that it is in front of, also in the next run', async () => {
    let visible = false
    const hidden = await open(await profile(), 'carl', () => visible)
    await come(hidden, 1, 'topic:lobby')
    expect(unread(hidden, 'topic:lobby')).toBe(1)
    visible = true
    hidden.store.update(markRead)
    await hidden.agent.storage.change(() => {})
    expect(await hidden.agent.storage.list({ prefix: ['read'] })).toEqual([{ key: ['read', 'topic:lobby'], value: 1 }])
  })

  it('counts as read at the start where it is in front', async () => {
    turnTo(page, 'everyone')
    await come(page, 1, 'topic:lobby')
    const next = await reopen(page, kept)
    expect(unread(next, 'topic:lobby')).toBe(0)
    await next.agent.close()
    expect(unread(await open(kept, 'ada', () => false), 'topic:lobby')).toBe(0)
  })

  it('leaves nothing behind when it is cleared, and no new key is below what was read', async () => {
    for (const key of [40, 50]) await come(page, key)
    turnTo(page, 'agent:bob')
    page.said.clear('agent:bob')
    await page.agent.storage.change(() => {})
    expect(await page.agent.storage.list({ prefix: ['read'] })).toEqual([{ key: ['read', 'agent:bob'], value: 50 }])
    const next = await reopen(page, kept)
    expect(next.store.nextKey()).toBe(51)
    await come(next, 51)
    expect(unread(next)).toBe(1)
    expect(await next.agent.storage.list({ prefix: ['read'] })).toEqual([])
  })
})

describe('a message of an earlier run', () => {
  const say = async (to: string, key: number): Promise<string> => {
    const id = crypto.randomUUID()
    await page.said.keep(page.said.add(`agent:${to}`, entry(key, { id, mine: true, status: { at: 'sending' } })))
    return id
  }

  it('goes on where it was, and its end is written', async () => {
    const bobs = await profile()
    const channel: Channel = `agent:${bobs.identity.id}`
    const id = await say(bobs.identity.id, 1)
    await page.agent.send(bobs.identity.id, 'for later', { id })
    const second = await reopen(page, kept)
    expect(second.entries(channel)).toMatchObject([{ id, status: { at: 'queued' } }])

    const bob = await open(bobs, 'bob')
    bob.agent.handle(() => {})
    const processed = new Promise<void>(resolve => {
      second.agent.addEventListener('delivery:changed', ({ detail }) => {
        if (detail.receipt.state === 'processed') resolve()
      })
    })
    await second.agent.connect(bob.agent.addresses[0] as string)
    await processed
    expect(second.entries(channel)).toMatchObject([{ id, status: { at: 'processed' } }])
    await second.agent.storage.change(() => {})
    expect(await second.agent.storage.list({ prefix: ['said'] })).toMatchObject([
      { value: { status: { at: 'processed' } } },
    ])
  })

  it('that was never sent or perhaps published, or whose reply nobody waits for any more, says so', async () => {
    await page.said.keep(page.said.add('topic:lobby', entry(3, { mine: true, status: { at: 'sending' } })))
    await say('12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo', 1)
    await page.said.keep(
      page.said.add('agent:bob', entry(2, { mine: true, kind: 'request', status: { at: 'waiting' } })),
    )
    const next = await reopen(page, kept)
    expect(next.entries('agent:12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo')[0]?.status).toEqual({
      at: 'failed',
      reason: 'the page ended first',
    })
    expect(next.entries('topic:lobby')[0]?.status).toEqual({
      at: 'failed',
      reason: 'the page ended first; it may have come all the same',
    })
    expect(next.entries('agent:bob')[0]?.status).toMatchObject({ reason: expect.stringContaining('page was closed') })
  })

  it('that is called off says so here and in the next run', async () => {
    const to = (await createIdentity()).id
    const id = await say(to, 1)
    await page.agent.send(to, 'never mind', { id })
    expect(await page.agent.deliveries.cancel(id)).toBe(true)
    expect(page.entries(`agent:${to}`)[0]?.status).toEqual({ at: 'cancelled' })
    const next = await reopen(page, kept)
    expect(next.entries(`agent:${to}`)[0]?.status).toEqual({ at: 'cancelled' })
  })
})

describe('what was open', () => {
  const at = (selected: Channel): Place => ({ mesh: 'test', selected, view: 'talk' })

  it('is open again in the next run, but for a topic that was left', async () => {
    for (const [place, selected] of [
      [at('agent:bob-id'), 'agent:bob-id'],
      [at('topic:lobby'), 'topic:lobby'],
      [at('topic:garden'), 'topic:lobby'],
      [undefined, 'topic:lobby'],
    ] as const) {
      await page.agent.close()
      page = await open(kept, 'ada', () => true, place)
      expect(page.store.state.selected).toBe(selected)
      expect(page.store.state.view).toBe(place?.selected === selected ? 'talk' : 'agents')
    }
  })
})
