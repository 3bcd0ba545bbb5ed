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

/** The way of a message that is kept: in this tab's store, handed over, in the other's store, handled there. */
export type Way = 'queued' | 'sent' | 'delivered' | 'processed'

/** How far a message has come. */
export type Status =
  | { readonly at: 'sending' }
  | { readonly at: Way }
  /** Called off here; `doubt`: it had left, and nobody knows yet whether it came all the same; `came`: it had come. */
  | { readonly at: 'cancelled'; readonly doubt?: boolean; readonly came?: boolean }
  | { readonly at: 'published'; readonly peers: number; readonly onward: boolean }
  | { readonly at: 'received' }
  /** A request that waits for its reply. */
  | { readonly at: 'waiting'; readonly way?: Way }
  /** A request that waits for the person in front of this page. */
  | { readonly at: 'asked'; readonly until: number }
  | { readonly at: 'answered'; readonly ms: number }
  /** `letter`: its dead letter here, which nobody has dealt with. */
  | { readonly at: 'failed'; readonly reason: string; readonly letter?: string }

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
  /** It came while nobody looked; whether it has been read since, {@link Conversation.unread} says. */
  readonly unseen?: true
}

/** What has been said on a channel. */
export interface Conversation {
  readonly entries: readonly Entry[]
  readonly unread: number
}

/** What the page knows of an agent, also while it is away. */
export interface Contact {
  readonly id: string
  readonly name: string
  readonly capabilities: readonly string[]
  readonly description: string
}

/** An agent of the list: in the mesh now, or known from what was said before. */
export interface Someone extends Contact {
  readonly peer: Peer | undefined
}

/** A message that could not be delivered or handled, as the page shows it. */
export interface Letter {
  readonly id: string
  /** Whether it came and could not be handled; otherwise it could not be delivered. */
  readonly came: boolean
  readonly peer: string
  readonly reason: string
  readonly attempts: number
  readonly time: number
  readonly error: string | undefined
  readonly text: string
  readonly done: boolean
  readonly notes: readonly string[]
}

/** A circuit breaker that does not let everything through. */
export interface Held {
  /** Whether somebody holds it by hand. */
  readonly byHand: boolean
  readonly failures: number
  /** When it lets a message try again, ms since 1970; undefined: by hand only. */
  readonly until: number | undefined
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
export type View = 'agents' | 'talk' | 'mesh' | 'letters' | 'log'

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
  /** Agents with whom something was said, by id. */
  readonly contacts: ReadonlyMap<string, Contact>
  /** Dead letters that nobody has dealt with. */
  readonly dead: number
  /** The newest dead letters, once somebody has looked at them. */
  readonly letters: readonly Letter[] | undefined
  /** How many there are, with those that somebody has dealt with. */
  readonly allLetters: number
  /** Agents to which messages are held back, by id. */
  readonly held: ReadonlyMap<string, Held>
  /** Whether this page fails at what comes in, for show. */
  readonly failing: boolean
  /** What went wrong with storage, and what to do. */
  readonly notice: string | undefined
  readonly selected: Channel
  readonly log: readonly LogLine[]
  /** Warnings in the log that nobody has seen. */
  readonly warnings: number
  readonly pulse: Pulse | undefined
  readonly view: View
  readonly open: 'invite' | 'keyboard' | 'log' | 'letters' | undefined
}

/** The topic every page joins. */
export const LOBBY = 'lobby'
/** Most entries kept of one conversation, here and in the store; the oldest give way. */
export const MAX_ENTRIES = 500
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
  contacts: new Map(),
  dead: 0,
  letters: undefined,
  allLetters: 0,
  held: new Map(),
  failing: false,
  notice: undefined,
  selected: `topic:${LOBBY}`,
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
  const counts = !entry.mine && !(seen && state.selected === channel)
  return withConversation(state, channel, {
    entries: [...before.entries, counts ? ({ ...entry, unseen: true } as const) : entry].slice(-MAX_ENTRIES),
    unread: counts ? before.unread + 1 : before.unread,
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

/** Whether a message of this page's is not in the other's store yet. */
export const waits = ({ mine, kind, status }: Entry): boolean =>
  mine && kind === 'message' && (status.at === 'sending' || status.at === 'queued' || status.at === 'sent')

/** The dead letter of a message that came and could not be handled; undefined once somebody has dealt with it. */
export const letterOf = ({ status }: Entry): string | undefined => (status.at === 'failed' ? status.letter : undefined)

/** Whether something is still to come of an entry: it waits, or somebody's answer does, or its dead letter. */
export const isOpen = (entry: Entry): boolean =>
  waits(entry) || entry.status.at === 'waiting' || entry.status.at === 'asked' || letterOf(entry) !== undefined

/** How a request stands that was called off: as far as it had come by then. */
export function calledOff(status: Status): Status {
  const way = status.at === 'waiting' ? status.way : undefined
  if (way === 'delivered') return { at: 'cancelled', came: true }
  return way === 'sent' ? { at: 'cancelled', doubt: true } : { at: 'cancelled' }
}

const waitingIn = new WeakMap<Conversation, number>()

/** How many messages wait for the other side of a conversation. */
export function waitingFor(state: State, channel: Channel): number {
  const conversation = conversationOf(state, channel)
  // Conversations are never changed, so each is looked through once.
  const count = waitingIn.get(conversation) ?? conversation.entries.filter(waits).length
  waitingIn.set(conversation, count)
  return count
}

/** Forgets what was said, but for what something is still to come of: without that, there is room for another one. */
export function clear(state: State, channel: Channel): State {
  const entries = conversationOf(state, channel).entries.filter(isOpen)
  if (entries.length > 0) return withConversation(state, channel, { entries, unread: 0 })
  const conversations = new Map(state.conversations)
  conversations.delete(channel)
  return { ...state, conversations }
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

/** An agent that is in the mesh, or with whom something was said. */
export function someone(state: State, id: string): Someone | undefined {
  const peer = state.peers.get(id)
  const known = peer?.card ?? state.contacts.get(id)
  if (known === undefined) return undefined
  const { name, capabilities, description } = known
  return { id, name, capabilities, description, peer }
}

/** Agents in the order of the list: those online first, then by name. */
export const roster = (state: State): Someone[] =>
  [...new Set([...state.peers.keys(), ...state.contacts.keys()])]
    .map(id => someone(state, id) as Someone)
    .sort(
      (a, b) =>
        Number(b.peer?.online ?? false) - Number(a.peer?.online ?? false) ||
        a.name.localeCompare(b.name) ||
        (a.id < b.id ? -1 : 1),
    )

/** What tells agents apart that have one name: the first characters of an id that are not the same in all of them. */
export const idMark = (id: string): string => id.slice(8, 14)

/** The mark of an agent whose name another one has too; undefined where its name is enough. */
export function markOf(state: State, id: string): string | undefined {
  const name = someone(state, id)?.name
  if (name === undefined) return undefined
  const isTwin = (other: { id: string; name: string } | undefined) => other?.name === name && other.id !== id
  if (isTwin(state.me)) return idMark(id)
  for (const { card } of state.peers.values()) if (isTwin(card)) return idMark(id)
  for (const contact of state.contacts.values()) if (isTwin(contact)) return idMark(id)
  return undefined
}

/** The name of an agent, with its mark where it needs one, or the mark alone when nothing is known of it. */
export function nameOf(state: State, id: string): string {
  if (id === state.me?.id) return state.me.name
  const mark = markOf(state, id)
  const name = someone(state, id)?.name ?? `${idMark(id)}…`
  return mark === undefined ? name : `${name} ${mark}`
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
  ...roster(state).map(({ id }) => `agent:${id}` as const),
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

  /** Gives no number up to this one any more: an earlier run did. */
  keysFrom(last: number): void {
    this.#keys = Math.max(this.#keys, last)
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
