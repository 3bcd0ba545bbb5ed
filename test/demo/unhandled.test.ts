import {
  type Agent,
  createAgent,
  createIdentity,
  fixedRetry,
  type HandlerContext,
  type Identity,
  type Message,
  memoryStore,
  messageIdFrom,
  type Store as RowStore,
} from 'agent-flow-protocol'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Conversations } from '../../demo/conversations.ts'
import { History, write } from '../../demo/history.ts'
import { LetterDesk } from '../../demo/letters.ts'
import { Mail } from '../../demo/mail.ts'
import { type Channel, conversationOf, type Entry, initialState, letterOf, Store } from '../../demo/state.ts'

const listen = ['/ip4/127.0.0.1/tcp/0']
const FAILED = 'your handler failed (not now)'

/** A page without what is drawn: what it handles is shown and written as the session does. */
class Page {
  readonly agent: Agent
  readonly store = new Store(initialState)
  readonly said: Conversations
  readonly mail: Mail
  failing = true
  /** Fails after the page has shown the message, as a behaviour whose answer cannot be sent. */
  failingLate = false

  constructor(agent: Agent) {
    this.agent = agent
    const onError = (error: unknown): void => {
      throw error
    }
    this.said = new Conversations(this.store, new History(agent.storage, onError), () => true)
    this.mail = new Mail(agent, this.store, this.said)
  }

  async begin(): Promise<void> {
    await this.said.recall()
    this.mail.listen()
    await this.mail.resume()
    this.agent.handle((message, context) => this.#handle(message, context))
  }

  #handle(message: Message, { transaction, expectsReply }: HandlerContext): void {
    if (this.failing) throw new Error('not now')
    const kind = expectsReply ? 'request' : 'message'
    const { said } = this.said.came(`agent:${message.sender}`, message, { kind, status: { at: 'received' } })
    if (said !== undefined) write(transaction, said)
    if (this.failingLate) throw new Error('not now')
  }

  entries(channel: Channel): readonly Entry[] {
    return conversationOf(this.store.state, channel).entries
  }
}

let identity: Identity
let rows: RowStore
let ada: Page
let bob: Agent
let channel: Channel
async function start(): Promise<void> {
  const agent = await createAgent({
    name: 'ada',
    mesh: 'test',
    listen,
    identity,
    store: rows,
    handlerRetry: fixedRetry({ retries: 0 }),
  })
  ada = new Page(agent)
  await ada.begin()
}
beforeEach(async () => {
  identity = await createIdentity()
  rows = Object.assign(memoryStore(), { close: async () => {} })
  await start()
  bob = await createAgent({ name: 'bob', mesh: 'test', peers: ada.agent.addresses })
  channel = `agent:${bob.id}`
})
afterEach(() => Promise.all([ada.agent.close(), bob.close()]))

const texts = (): string[] => ada.entries(channel).map(({ content }) => (content.kind === 'text' ? content.text : ''))
const states = () => ada.entries(channel).map(({ status }) => (status.at === 'failed' ? status.reason : status.at))
async function reopen(): Promise<void> {
  await ada.agent.close()
  await start()
}
async function tell(...words: string[]): Promise<void> {
  for (const word of words) await (await bob.send(ada.agent.id, word)).processed.catch(() => {})
}
const letter = (at = 0): string => letterOf(ada.entries(channel)[at] as Entry) as string

it('a message that its handler failed at stands in its conversation with the reason and its letter, over restarts', async () => {
  await tell('one', 'two')
  expect(texts()).toEqual(['one', 'two'])
  expect(states()).toEqual([FAILED, FAILED])
  const before = ada.entries(channel)
  const letters = await ada.agent.deadLetters.list({ side: 'recipient' })
  expect(letters.map(({ id }) => id)).toEqual([letter(1), letter(0)])
  await reopen()
  expect(ada.entries(channel)).toEqual(before)
})

it('it changes where it stands when its letter is retried and handled, and is no failure after a restart', async () => {
  await tell('one', 'two')
  const [{ time } = { time: 0 }] = ada.entries(channel)
  ada.failing = false
  const desk = await LetterDesk.open(ada.agent, ada.store)
  expect(await desk.retry(letter())).toBe('It is on its way again.')
  expect(states()).toEqual(['received', FAILED])
  expect(ada.entries(channel)[0]?.time).toBe(time)
  await reopen()
  expect(texts()).toEqual(['one', 'two'])
  expect(states()).toEqual(['received', FAILED])
})

it('it is a failure again where its retry fails after the page has shown it', async () => {
  await tell('one')
  Object.assign(ada, { failing: false, failingLate: true })
  const desk = await LetterDesk.open(ada.agent, ada.store)
  const before = letter()
  expect(await desk.retry(before)).toBe('It failed: not now.')
  await expect.poll(states).toEqual([FAILED])
  expect(letter()).toBe(before)
})

it('a letter that somebody has marked or discarded leads nowhere any more, and its message stays failed', async () => {
  await tell('one', 'two', 'three')
  const [marked, discarded] = [letter(0), letter(1)]
  await ada.agent.deadLetters.markProcessed(marked)
  await ada.agent.deadLetters.discard(discarded)
  const check = (): void => {
    expect(states()).toEqual([FAILED, FAILED, FAILED])
    expect(ada.entries(channel).map(entry => letterOf(entry) !== undefined)).toEqual([false, false, true])
  }
  check()
  await reopen()
  check()
  // What somebody still has to deal with is not forgotten with the rest.
  ada.said.clear(channel)
  expect(texts()).toEqual(['three'])
})

it('what a run that ended in between has not written is made good by the next one', async () => {
  await tell('one', 'two')
  const [first, second] = [letter(0), letter(1)]
  const all = await ada.agent.storage.list({ prefix: ['said'] })
  await ada.agent.storage.change(transaction => transaction.delete(all[1]?.key as (typeof all)[number]['key']))
  const row = ada.entries(channel)[0] as Entry
  await ada.agent.deadLetters.discard(first)
  await ada.agent.storage.change(transaction => write(transaction, { channel, entry: row }))
  await reopen()
  expect(texts()).toEqual(['one', 'two'])
  expect(ada.entries(channel).map(letterOf)).toEqual([undefined, second])
})

it('a letter that cannot be read, or of what went out, is none of the conversation', async () => {
  const mine = { side: 'recipient', peer: bob.id, sender: bob.id, reason: 'handler-error', attempts: 1 } as const
  await tell('one')
  const entries = ada.entries(channel)
  const message = (await ada.agent.deadLetters.get(letter()))?.message as Uint8Array
  await ada.agent.deadLetters.add({ ...mine, side: 'sender', message })
  expect(ada.entries(channel)).toBe(entries)
  await ada.agent.close()
  const entry = (await rows.get('dead-letters', ['entry', letter()])) as Uint8Array
  const put = { op: 'put', table: 'dead-letters' } as const
  const id = messageIdFrom('cannot be read')
  await rows.commit({
    writes: [
      { ...put, key: ['entry', id], value: entry },
      { ...put, key: ['message', id], value: new Uint8Array(3) },
    ],
  })
  await start()
  expect(ada.agent.deadLetters.count()).toBe(3)
  expect(ada.entries(channel)).toEqual(entries)
})
