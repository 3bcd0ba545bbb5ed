/**
 * What the page shows, in one immutable value. The session changes it, the panels read it: data flows one way. Every
 * change is a pure function here.
 */

import type { Peer } from 'agent-flow-protocol'
import type { Step } from './behaviours/behaviour.ts'
import type { BehaviourName } from './behaviours/catalogue.ts'
import type { Shown } from './content.ts'

/** A conversation: with everyone, on a topic, or with one agent by its id. */
export type Channel = 'everyone' | `topic:${string}` | `agent:${string}`

/** How far a message has come. */
export type Status =
  | { readonly at: 'sending' }
  /** On its way, in the other's store, handled there; or an answer that has left. */
  | { readonly at: 'queued' | 'delivered' | 'processed' | 'sent' }
  | { readonly at: 'published'; readonly peers: number; readonly onward: boolean }
  | { readonly at: 'received' }
  /** A request that waits for its reply. */
  | { readonly at: 'waiting' }
  /** A request that waits for the person in front of this page. */
  | { readonly at: 'asked'; readonly until: number }
  | { readonly at: 'answered'; readonly ms: number }
  | { readonly at: 'failed'; readonly reason: string }

/** One message, or one request with its reply. */
export interface Entry {
  /** Unique on this page. */
  readonly key: number
  /** The message's id. */
  readonly id: string
  readonly sender: string
  readonly mine: boolean
  readonly kind: 'message' | 'request'
  readonly content: Shown
  /** When it was sent or arrived here, ms since 1970. */
  readonly time: number
  readonly status: Status
  readonly reply?: Shown
  /** Id of the message that it answers. */
  readonly parentId?: string
  readonly steps?: readonly Step[]
}

/** What has been said on a channel. */
export interface Conversation {
  readonly entries: readonly Entry[]
  readonly unread: number
}

/** A line of the event log. */
export interface LogLine {
  readonly key: number
  readonly time: number
  readonly level: 'info' | 'good' | 'warn' | 'bad'
  readonly title: string
  readonly detail: string
}

/** How the page stands with a relay. */
export type RelayState = 'connecting' | 'connected' | 'reserved' | 'lost'

/** A message that just passed, for the map. */
export interface Pulse {
  readonly key: number
  readonly peer: string
  readonly outward: boolean
}

/** The part of the page in front where there is room for one only. */
export type View = 'agents' | 'talk' | 'mesh' | 'log'

/** See the head of this file. */
export interface State {
  readonly phase: 'start' | 'starting' | 'running' | 'stopped'
  /** Why the page is not running. */
  readonly problem: string | undefined
  readonly me: { readonly id: string; readonly name: string; readonly as: BehaviourName } | undefined
  readonly mesh: string
  readonly relays: ReadonlyMap<string, RelayState>
  readonly peers: ReadonlyMap<string, Peer>
  readonly topics: readonly string[]
  readonly conversations: ReadonlyMap<Channel, Conversation>
  readonly selected: Channel
  readonly log: readonly LogLine[]
  /** Warnings in the log that nobody has seen. */
  readonly warnings: number
  readonly pulse: Pulse | undefined
  readonly view: View
  readonly open: 'invite' | 'keyboard' | 'log' | undefined
}

/** Most entries kept of one conversation; the oldest go first. */
export const MAX_ENTRIES = 300
/** Most lines kept of the event log. */
export const MAX_LOG = 300
/** Most conversations kept; strangers can open new ones by writing. */
export const MAX_CONVERSATIONS = 200

/** The state of a page that has not started. */
export const initialState: State = {
  phase: 'start',
  problem: undefined,
  me: undefined,
  mesh: '',
  relays: new Map(),
  peers: new Map(),
  topics: [],
  conversations: new Map(),
  selected: 'topic:lobby',
  log: [],
  warnings: 0,
  pulse: undefined,
  view: 'agents',
  open: undefined,
}

const empty: Conversation = { entries: [], unread: 0 }

/** What has been said on a channel. */
export const conversationOf = (state: State, channel: Channel): Conversation =>
  state.conversations.get(channel) ?? empty

const withConversation = (state: State, channel: Channel, conversation: Conversation): State => ({
  ...state,
  conversations: new Map(state.conversations).set(channel, conversation),
})

/** Adds a message; one of another's on a channel that is not looked at counts as unread. */
export function addEntry(state: State, channel: Channel, entry: Entry, seen: boolean): State {
  if (!state.conversations.has(channel) && state.conversations.size >= MAX_CONVERSATIONS) return state
  const before = conversationOf(state, channel)
  const looked = seen && state.selected === channel
  return withConversation(state, channel, {
    entries: [...before.entries, entry].slice(-MAX_ENTRIES),
    unread: entry.mine || looked ? before.unread : before.unread + 1,
  })
}

/** Changes the entry with a key, if it is still kept. */
export function changeEntry(state: State, channel: Channel, key: number, change: Partial<Entry>): State {
  const before = conversationOf(state, channel)
  const at = before.entries.findIndex(entry => entry.key === key)
  const entry = before.entries[at]
  if (entry === undefined) return state
  return withConversation(state, channel, { ...before, entries: before.entries.with(at, { ...entry, ...change }) })
}

/** Turns to a channel: what is there counts as read. */
export function select(state: State, channel: Channel): State {
  const turned: State = { ...state, selected: channel, view: 'talk' }
  return markRead(turned)
}

/** What is looked at counts as read. */
export function markRead(state: State): State {
  const { unread, entries } = conversationOf(state, state.selected)
  return unread === 0 ? state : withConversation(state, state.selected, { entries, unread: 0 })
}

/** Adds a line to the event log. */
export function addLog(state: State, line: LogLine): State {
  const counts = line.level === 'warn' || line.level === 'bad'
  const visible = state.open === 'log'
  return {
    ...state,
    log: [...state.log, line].slice(-MAX_LOG),
    warnings: visible || !counts ? state.warnings : state.warnings + 1,
  }
}

/** Peers in the order of the roster: those online first, then by name. */
export const roster = (state: State): Peer[] =>
  [...state.peers.values()].sort(
    (a, b) =>
      Number(b.online) - Number(a.online) || a.card.name.localeCompare(b.card.name) || (a.card.id < b.card.id ? -1 : 1),
  )

/** The name of an agent, or the end of its id when its card is not known. */
export function nameOf(state: State, id: string): string {
  if (id === state.me?.id) return state.me.name
  return state.peers.get(id)?.card.name ?? `…${id.slice(-6)}`
}

/** What a channel is called. */
export function titleOf(state: State, channel: Channel): string {
  if (channel === 'everyone') return 'Everyone'
  return channel.startsWith('topic:') ? channel.slice(6) : nameOf(state, channel.slice(6))
}

/** Channels in the order in which the page lists them. */
export const channels = (state: State): Channel[] => [
  'everyone',
  ...state.topics.map(topic => `topic:${topic}` as const),
  ...roster(state).map(peer => `agent:${peer.card.id}` as const),
]

/** Holds the state and tells when it changed. */
export class Store {
  #state: State
  readonly #listeners = new Set<() => void>()
  #keys = 0

  constructor(state: State) {
    this.#state = state
  }

  get state(): State {
    return this.#state
  }

  /** A number that was not given before. */
  nextKey(): number {
    return ++this.#keys
  }

  update(change: (state: State) => State): void {
    const next = change(this.#state)
    if (next === this.#state) return
    this.#state = next
    for (const listener of this.#listeners) listener()
  }

  /** Calls `listener` after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
