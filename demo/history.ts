/**
 * What was said, in the agent's own store: a row for each message, by conversation, so that all of it is there again
 * after a reload or a crash. What comes in is written by the transaction of its handler: it is in here exactly when it
 * counts as handled.
 */

import type { AgentStorage, Content, Key, Transaction } from 'agent-flow-protocol'
import { type Channel, type Contact, type Conversation, type Entry, MAX_ENTRIES, type Status } from './state.ts'

const said = (channel: Channel, key: number): Key => ['said', channel, key]
const contact = (id: string): Key => ['contact', id]
/** Up to which key a conversation is read; beyond it, what came while nobody looked is not. */
const read = (channel: Channel): Key => ['read', channel]
const TOPICS: Key = ['topics']

/** What earlier runs left. */
export interface Kept {
  readonly conversations: ReadonlyMap<Channel, Conversation>
  readonly contacts: ReadonlyMap<string, Contact>
  readonly topics: readonly string[]
  /** The highest key that was given. */
  readonly last: number
}

/** What is written of a message, and which older ones give way to it. */
export interface Said {
  readonly channel: Channel
  readonly entry: Entry
  readonly gone?: readonly number[]
  readonly contact?: Contact | undefined
}

/** Writes a message into a transaction, a handler's or one of {@link History}. */
export function write(transaction: Transaction, { channel, entry, gone = [], contact: who }: Said): void {
  transaction.put(said(channel, entry.key), toContent(entry))
  for (const key of gone) transaction.delete(said(channel, key))
  if (who !== undefined) transaction.put(contact(who.id), toContent(who))
}

/** See the head of this file. */
export class History {
  readonly #storage: AgentStorage
  readonly #onError: (error: unknown) => void

  /** @param onError - told of what could not be written and is not waited for */
  constructor(storage: AgentStorage, onError: (error: unknown) => void) {
    this.#storage = storage
    this.#onError = onError
  }

  async load(): Promise<Kept> {
    const said = new Map<Channel, Entry[]>()
    let last = 0
    const gone: Key[] = []
    // The newest first: what is beyond the bound is left over from a run that ended in between.
    for (const { key, value } of await this.#storage.list({ prefix: ['said'], reverse: true })) {
      const [, channel, number] = key as [string, Channel, number]
      const entries = said.get(channel) ?? []
      said.set(channel, entries)
      last = Math.max(last, number)
      if (entries.length < MAX_ENTRIES) entries.unshift({ ...(value as unknown as Entry), key: number })
      else gone.push(key)
    }
    const marks = new Map<Channel, number>()
    for (const { key, value } of await this.#storage.list({ prefix: ['read'] })) {
      const channel = key[1] as Channel
      marks.set(channel, value as number)
      // Also where what was read is gone: new keys are above every mark.
      last = Math.max(last, value as number)
      if (!said.has(channel)) gone.push(key)
    }
    const contacts = await this.#storage.list({ prefix: ['contact'] })
    const topics = await this.#storage.list({ prefix: TOPICS })
    this.#delete(gone)
    return {
      conversations: new Map(
        [...said].map(([channel, entries]) => {
          const mark = marks.get(channel) ?? 0
          return [channel, { entries, unread: entries.filter(({ unseen, key }) => unseen && key > mark).length }]
        }),
      ),
      contacts: new Map(contacts.map(({ value }) => value as unknown as Contact).map(who => [who.id, who])),
      topics: topics.flatMap(({ value }) => value as string[]),
      last,
    }
  }

  /** @throws AfpDataStoreError when it is not written */
  change(work: (transaction: Transaction) => void): Promise<void> {
    return this.#storage.change(work)
  }

  /** As {@link change}, for what goes on whether it can be written or not. */
  try(work: (transaction: Transaction) => void): void {
    this.#storage.change(work).catch(this.#onError)
  }

  topics(topics: readonly string[]): void {
    this.try(transaction => transaction.put(TOPICS, [...topics]))
  }

  /** A conversation is read up to a key. */
  read(channel: Channel, key: number): void {
    this.try(transaction => transaction.put(read(channel), key))
  }

  forget(channel: Channel, keys: readonly number[]): void {
    this.#delete(keys.map(key => said(channel, key)))
  }

  #delete(keys: readonly Key[]): void {
    if (keys.length === 0) return
    this.try(transaction => {
      for (const key of keys) transaction.delete(key)
    })
  }
}

/** The page's own plain values; the compiler cannot see that optional fields left out are JSON. */
const toContent = (value: Entry | Contact): Content => value as unknown as Content

/** How a message of an earlier run stands when nothing more is known of it than its row says. */
export function afterwards(status: Status, channel: Channel): Status {
  switch (status.at) {
    case 'sending':
      // To an agent it cannot have gone without a receipt; what is published has none.
      return {
        at: 'failed',
        reason: `the page ended first${channel.startsWith('agent:') ? '' : '; it may have come all the same'}`,
      }
    case 'queued':
    case 'sent':
      return { at: 'failed', reason: 'nobody knows any more what became of it' }
    case 'waiting':
      return { at: 'failed', reason: 'the page was closed before the reply came' }
    default:
      return status
  }
}
