/** What is said, on the page and in the store: every message goes into both through here. */

import { type Message, systemClock } from 'agent-flow-protocol'
import { show } from './content.ts'
import { type History, type Said, write } from './history.ts'
import type { Place } from './settings.ts'
import type { Store } from './state.ts'
import {
  addEntry,
  type Channel,
  changeEntry,
  clear,
  conversationOf,
  type Entry,
  isOpen,
  LOBBY,
  MAX_ENTRIES,
  markRead,
} from './state.ts'

/** See the head of this file. */
export class Conversations {
  readonly #store: Store
  readonly #history: History
  readonly #visible: () => boolean

  /** @param visible - whether somebody looks at the page */
  constructor(store: Store, history: History, visible: () => boolean) {
    this.#store = store
    this.#history = history
    this.#visible = visible
    this.#noteReading()
  }

  /** Whatever on the page it is read by: it is read in the next run too. */
  #noteReading(): void {
    let before = this.#store.state.conversations
    this.#store.subscribe(() => {
      const { conversations } = this.#store.state
      if (conversations === before) return
      for (const [channel, { entries, unread }] of conversations) {
        const last = entries.at(-1)
        if (unread === 0 && last !== undefined && (before.get(channel)?.unread ?? 0) > 0)
          this.#history.read(channel, last.key)
      }
      before = conversations
    })
  }

  /** Brings back what was said in earlier runs, and what was open; resolves with the topics of then. */
  async recall(place?: Place): Promise<readonly string[]> {
    const { conversations, contacts, topics, last } = await this.#history.load()
    this.#store.keysFrom(last)
    // A topic can have been left; an agent of whom nothing is known yet may be about to come.
    const topic = place?.selected.startsWith('topic:') ? place.selected.slice(6) : undefined
    const open = topic === undefined || topic === LOBBY || topics.includes(topic) ? place : undefined
    this.#store.update(state => ({
      ...state,
      contacts,
      conversations,
      ...(open === undefined ? {} : { selected: open.selected, view: open.view }),
    }))
    if (this.#visible()) this.#store.update(markRead)
    return topics
  }

  find(channel: Channel, matches: (entry: Entry) => boolean): Entry | undefined {
    return conversationOf(this.#store.state, channel).entries.findLast(matches)
  }

  /**
   * Shows a message, or shows it anew where it is there already. What there is to write of it, which is for the caller
   * to do; undefined where there is no room for another conversation.
   */
  add(channel: Channel, entry: Entry): Said | undefined {
    const { entries } = conversationOf(this.#store.state, channel)
    if (entries.some(({ key }) => key === entry.key)) return this.change(channel, entry.key, entry)
    const gone = entries.slice(0, Math.max(0, entries.length + 1 - MAX_ENTRIES)).map(({ key }) => key)
    const seen = entry.mine || this.#visible()
    this.#store.update(state => addEntry(state, channel, entry, seen))
    const added = this.find(channel, ({ key }) => key === entry.key)
    return added && { channel, entry: added, gone, contact: this.#contact(channel) }
  }

  /** Shows a message of another's as {@link add} does, and what key it has. `time`: when it arrived, ms since 1970. */
  came(
    channel: Channel,
    { id, sender, parentId, content, contentType }: Message,
    { kind, status, time = systemClock.now() }: Pick<Entry, 'kind' | 'status'> & { time?: number },
  ): { key: number; said: Said | undefined } {
    // One that comes again, since its handler failed or the tab ended before it was done, is not another one.
    const before = this.find(channel, entry => !entry.mine && entry.id === id && entry.sender === sender)
    const key = before?.key ?? this.#store.nextKey()
    const shown = { key, id, sender, mine: false, kind, content: show(content, contentType), status } as const
    const entry = { ...shown, time: before?.time ?? time, ...(parentId === undefined ? {} : { parentId }) }
    return { key, said: this.add(channel, entry) }
  }

  /** Changes a message on the page; what there is to write of it, or undefined where it has given way. */
  change(channel: Channel, key: number, change: Partial<Entry>): Said | undefined {
    this.#store.update(state => changeEntry(state, channel, key, change))
    const entry = this.find(channel, other => other.key === key)
    return entry && { channel, entry }
  }

  /** @throws AfpDataStoreError when it is not written */
  async keep(said: Said | undefined): Promise<void> {
    if (said !== undefined) await this.#history.change(transaction => write(transaction, said))
  }

  /** As {@link keep}, for what is shown whether it can be written or not. */
  save(said: Said | undefined): void {
    if (said !== undefined) this.#history.try(transaction => write(transaction, said))
  }

  /** Forgets what was said, but for what something is still to come of. */
  clear(channel: Channel): void {
    const gone = conversationOf(this.#store.state, channel).entries.filter(entry => !isOpen(entry))
    this.#store.update(state => clear(state, channel))
    this.#history.forget(
      channel,
      gone.map(({ key }) => key),
    )
  }

  /** Whom a conversation is with, where that is news: so that it has a name while it is away. */
  #contact(channel: Channel): Said['contact'] {
    const { peers, contacts } = this.#store.state
    const id = channel.slice(6)
    const card = channel.startsWith('agent:') ? peers.get(id)?.card : undefined
    const known = contacts.get(id)
    if (card === undefined || (known?.name === card.name && known.description === card.description)) return undefined
    const { name, description, capabilities } = card
    const contact = { id, name, description, capabilities }
    this.#store.update(state => ({ ...state, contacts: new Map(state.contacts).set(id, contact) }))
    return contact
  }
}
