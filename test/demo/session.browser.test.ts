import { h, render } from 'preact'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Commands } from '../../demo/commands.ts'
import { Composer } from '../../demo/panels/composer.tsx'
import { startSession } from '../../demo/session.ts'
import { addEntry, type Channel, type Entry, initialState, MAX_CONVERSATIONS, Store, select } from '../../demo/state.ts'
import { MAX_TOPICS } from '../../demo/topics.ts'

let store: Store
let commands: Commands
let runs = 0
beforeEach(async () => {
  store = new Store(initialState)
  // A name for each test: what the one before left is another's.
  commands = await startSession(store, { mesh: 'test', relays: [] }, { name: `ada-${++runs}`, as: 'person' })
})
afterEach(() => commands.close())

it('a topic that cannot be joined is told with a reason, and the page is where it was', () => {
  for (const topic of ['$x', 'x'.repeat(500)])
    expect(commands.join(topic)).toBe('It was not joined: that topic cannot be used.')
  expect(store.state.topics).toEqual(['lobby'])
  expect(commands.join('garden')).toBeUndefined()
  expect(commands.join('garden')).toBeUndefined()
  expect(store.state.topics).toEqual(['lobby', 'garden'])
})

it('one topic too many is told, and there is room when another one was left', () => {
  for (let n = 1; n < MAX_TOPICS; n++) expect(commands.join(`topic-${n}`)).toBeUndefined()
  expect(commands.join('more')).toContain(`${MAX_TOPICS} topics`)
  expect(store.state.topics).not.toContain('more')
  commands.leave('topic-1')
  expect(commands.join('more')).toBeUndefined()
  expect(store.state.topics).toHaveLength(MAX_TOPICS)
})

it('what is written where there is no room for another conversation is told, and stays in its field', async () => {
  const entry = (key: number): Entry => ({
    key,
    id: `id-${key}`,
    sender: 'bob',
    mine: false,
    kind: 'message',
    content: { kind: 'text', text: 'hello' },
    time: key,
    status: { at: 'received' },
  })
  for (let n = 1; n <= MAX_CONVERSATIONS; n++)
    store.update(state => addEntry(state, `agent:bob-${n}`, entry(store.nextKey()), true))
  const channel: Channel = 'topic:lobby'
  store.update(state => select(state, channel))

  const root = document.body.appendChild(document.createElement('div'))
  render(h(Composer, { state: store.state, channel, commands }), root)
  const field = root.querySelector('textarea') as HTMLTextAreaElement
  const enter = () =>
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }))
  field.value = 'is there room?'
  field.dispatchEvent(new InputEvent('input', { bubbles: true }))
  const send = root.querySelector('[data-testid=send]') as HTMLButtonElement
  await expect.poll(() => send.disabled).toBe(false)
  enter()
  expect(store.state.notice).toContain(`${MAX_CONVERSATIONS} conversations`)
  expect(commands.ask('somebody', 'and here?')).toBe(false)

  commands.clear('agent:bob-7')
  // The page is drawn anew by now, with what the field holds.
  await new Promise(requestAnimationFrame)
  enter()
  await expect.poll(() => field.value).toBe('')
  const said = store.state.conversations.get(channel)?.entries
  expect(said?.map(({ content }) => content)).toEqual([{ kind: 'text', text: 'is there room?' }])
  render(null, root)
})
