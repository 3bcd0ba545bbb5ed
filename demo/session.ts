/**
 * Between the agent and the page: what the agent tells becomes state, what the page wants becomes calls. Nothing else
 * in the page knows the agent.
 */

import {
  AfpError,
  type Agent,
  type AgentEvents,
  type Content,
  createAgent,
  type Message,
  systemClock,
} from 'agent-flow-protocol'
import { isAside, readSteps, type Watch } from './behaviours/behaviour.ts'
import { behaviourNamed, behaviourOf } from './behaviours/catalogue.ts'
import { show } from './content.ts'
import { Desk } from './desk.ts'
import { inWords, reasonOf } from './events.ts'
import type { Mesh, Who } from './settings.ts'
import { addEntry, addLog, type Channel, changeEntry, type Entry, nameOf, type Status, type Store } from './state.ts'

/** The topic every page joins. */
export const LOBBY = 'lobby'

/** Most topics a page joins. */
const MAX_TOPICS = 24

/** What the panels can ask for. */
export interface Commands {
  say(channel: Channel, text: string): Promise<void>
  ask(id: string, text: string): Promise<void>
  /** Answers a request that waits for the person in front of the page; without a text it is declined. */
  answer(entry: Entry, text: string | undefined): void
  join(topic: string): void
  leave(topic: string): void
  close(): Promise<void>
}

/** Starts the agent and keeps the store up to date until it is closed. */
export async function startSession(store: Store, mesh: Mesh, who: Who): Promise<Commands> {
  const behaviour = behaviourNamed(who.as)
  const loading = behaviour.load()
  const agent = await createAgent({
    name: who.name,
    mesh: mesh.mesh,
    relays: mesh.relays,
    capabilities: [behaviour.capability],
    description: behaviour.summary,
  })
  const session = new Session(agent, store)
  session.listen(mesh.relays)
  ;(await loading)(agent, session.watch)
  store.update(state => ({
    ...state,
    phase: 'running',
    mesh: agent.mesh,
    me: { id: agent.id, name: agent.name, as: behaviour.name },
  }))
  session.join(LOBBY)
  return session
}

class Session implements Commands {
  readonly #agent: Agent
  readonly #store: Store
  readonly #topics = new Map<string, Disposable>()
  readonly #desk = new Desk()
  /** Requests of others under way: message -> its channel and entry. */
  readonly #asked = new WeakMap<Message, { channel: Channel; key: number }>()

  constructor(agent: Agent, store: Store) {
    this.#agent = agent
    this.#store = store
  }

  // What the agent tells

  /** What this tab's behaviour shows of its work. */
  readonly watch: Watch = {
    received: (message, expectsReply) => {
      if (message.metadata.progressOf !== undefined) {
        this.#progress(message)
        return
      }
      const channel: Channel = `agent:${message.sender}`
      const key = this.#add(channel, message, expectsReply ? 'request' : 'message', {
        at: expectsReply ? 'waiting' : 'received',
      })
      if (expectsReply) this.#asked.set(message, { channel, key })
    },
    replied: (message, content) => this.#settle(message, { at: 'answered', ms: this.#since(message) }, content),
    failed: (message, error) => this.#settle(message, { at: 'failed', reason: reasonOf(error) }),
    progress: (message, steps) => this.#changeAsked(message, { steps }),
    ask: (message, signal) => {
      const asked = this.#asked.get(message)
      if (asked === undefined) return Promise.reject(new Error('The question is gone'))
      this.#changeAsked(message, { status: { at: 'asked', until: message.expiresAt } })
      return this.#desk.ask(asked.key, message.expiresAt, signal)
    },
  }

  /** Follows the agent's events; what happened before is read from the agent itself. */
  listen(relays: readonly string[]): void {
    const agent = this.#agent
    const follow = <K extends keyof AgentEvents & string>(type: K): void =>
      agent.addEventListener(type, event => {
        const line = inWords(type, event.detail, id => nameOf(this.#store.state, id))
        if (line !== undefined) this.#log(line)
        this.#refresh()
      })
    for (const type of [
      'peer:online',
      'peer:offline',
      'peer:changed',
      'link:open',
      'link:changed',
      'link:closed',
    ] as const)
      follow(type)
    for (const type of [
      'refused',
      'name:conflict',
      'message:dropped',
      'handler:error',
      'identity:in-use',
      'closed',
    ] as const)
      follow(type)
    follow('relay')
    // Links change with every round trip; only a change of kind is news.
    const kinds = new Map<string, string>()
    for (const type of ['link:open', 'link:changed'] as const) {
      agent.addEventListener(type, ({ detail: { peer, kind, transport } }) => {
        const before = kinds.get(peer)
        kinds.set(peer, kind)
        if (type === 'link:open' || before === undefined || before === kind) return
        const title = `Link to ${nameOf(this.#store.state, peer)} is ${kind} now`
        this.#log({ level: kind === 'direct' ? 'good' : 'info', title, detail: transport })
      })
    }
    agent.addEventListener('relay', event => {
      const { address, state } = event.detail
      this.#store.update(before => ({ ...before, relays: new Map(before.relays).set(address, state) }))
    })
    agent.addEventListener('identity:in-use', () => this.#stop('Another tab took over this agent’s identity.'))
    agent.addEventListener('closed', () => this.#stop('The agent has closed.'))

    this.#store.update(state => ({
      ...state,
      relays: new Map(relays.map(relay => [relay, this.#isReserved(relay) ? 'reserved' : 'connecting'])),
    }))
    agent.subscribe({ description: 'broadcasts' }, message => {
      if (message.isBroadcast) this.#add('everyone', message, 'message', { at: 'received' })
    })
    this.#refresh()
  }

  #isReserved(relay: string): boolean {
    const id = relay.slice(relay.lastIndexOf('/p2p/'))
    return this.#agent.addresses.some(address => address.includes(`${id}/p2p-circuit`))
  }

  #refresh(): void {
    const peers = new Map(this.#agent.peers().map(peer => [peer.card.id, peer]))
    this.#store.update(state => ({ ...state, peers }))
  }

  #stop(problem: string): void {
    this.#store.update(state => (state.phase === 'stopped' ? state : { ...state, phase: 'stopped', problem }))
  }

  #log(line: { level: 'info' | 'good' | 'warn' | 'bad'; title: string; detail: string }): void {
    this.#store.update(state => addLog(state, { ...line, key: this.#store.nextKey(), time: systemClock.now() }))
  }

  #pulse(peer: string, outward: boolean): void {
    this.#store.update(state => ({ ...state, pulse: { key: this.#store.nextKey(), peer, outward } }))
  }

  #add(channel: Channel, message: Message, kind: Entry['kind'], status: Status): number {
    const key = this.#store.nextKey()
    const { id, sender, parentId } = message
    const content = show(message.content, message.contentType)
    const at = { key, id, sender, mine: false, kind, content, time: systemClock.now(), status } as const
    const entry: Entry = parentId === undefined ? at : { ...at, parentId }
    this.#store.update(state => addEntry(state, channel, entry, document.visibilityState === 'visible'))
    this.#pulse(sender, false)
    return key
  }

  /** Word of progress from whoever works on a request of this page; from anybody else it means nothing. */
  #progress(message: Message): void {
    const channel: Channel = `agent:${message.sender}`
    const entries = this.#store.state.conversations.get(channel)?.entries
    const entry = entries?.findLast(({ mine, id }) => mine && id === message.metadata.progressOf)
    if (entry?.status.at !== 'waiting' || typeof message.content !== 'object' || message.content === null) return
    const { steps } = message.content as { steps?: unknown }
    this.#store.update(state => changeEntry(state, channel, entry.key, { steps: readSteps(steps) }))
  }

  #since(message: Message): number {
    return Math.max(0, systemClock.now() - message.timestamp)
  }

  #changeAsked(message: Message, change: Partial<Entry>): void {
    const asked = this.#asked.get(message)
    if (asked !== undefined) this.#store.update(state => changeEntry(state, asked.channel, asked.key, change))
  }

  /** What became of a message of another's: the reply stands with the request, or follows a plain message. */
  #settle(message: Message, status: Status, content?: Content): void {
    if (this.#asked.has(message)) {
      this.#changeAsked(message, { status, ...(content === undefined ? {} : { reply: show(content) }) })
    } else if (content !== undefined && !isAside(message)) {
      this.#addMine(`agent:${message.sender}`, 'message', crypto.randomUUID(), content, { at: 'sent' })
    }
  }

  // What the page wants

  #addMine(
    channel: Channel,
    kind: Entry['kind'],
    id: string,
    content: Content,
    status: Status,
  ): (change: Partial<Entry>) => void {
    const key = this.#store.nextKey()
    const entry: Entry = {
      key,
      id,
      sender: this.#agent.id,
      mine: true,
      kind,
      content: show(content),
      time: systemClock.now(),
      status,
    }
    this.#store.update(state => addEntry(state, channel, entry, true))
    return change => this.#store.update(state => changeEntry(state, channel, key, change))
  }

  async say(channel: Channel, text: string): Promise<void> {
    const id = crypto.randomUUID()
    const change = this.#addMine(channel, 'message', id, text, { at: 'sending' })
    try {
      if (channel.startsWith('agent:')) {
        const to = channel.slice(6)
        this.#pulse(to, true)
        const { delivered, processed } = await this.#agent.send(to, text, { id })
        change({ status: { at: 'queued' } })
        await delivered
        change({ status: { at: 'delivered' } })
        await processed
        change({ status: { at: 'processed' } })
      } else {
        const { peers } =
          channel === 'everyone'
            ? await this.#agent.broadcast(text, { id })
            : await this.#agent.publish(channel.slice(6), text, { id })
        // Gossip counts the relay among those it was handed to; it is no agent.
        const agents = peers.filter(peer => this.#store.state.peers.has(peer))
        for (const peer of agents) this.#pulse(peer, true)
        change({ status: { at: 'published', peers: agents.length, onward: peers.length > agents.length } })
      }
    } catch (error) {
      change({ status: { at: 'failed', reason: reasonOf(error) } })
    }
  }

  async ask(to: string, text: string): Promise<void> {
    const id = crypto.randomUUID()
    const change = this.#addMine(`agent:${to}`, 'request', id, text, { at: 'waiting' })
    const timeout = behaviourOf(this.#store.state.peers.get(to)?.card.capabilities ?? [])?.timeout ?? 10_000
    const started = systemClock.monotonic()
    this.#pulse(to, true)
    try {
      const reply = await this.#agent.request(to, text, { id, timeout, ttl: timeout / 1000 })
      const shown = show(reply.content, reply.contentType)
      const steps = shown.kind === 'answer' ? shown.answer.steps : undefined
      const ms = systemClock.monotonic() - started
      change({ status: { at: 'answered', ms }, reply: shown, ...(steps === undefined ? {} : { steps }) })
      this.#pulse(to, false)
    } catch (error) {
      change({ status: { at: 'failed', reason: reasonOf(error) } })
    }
  }

  answer(entry: Entry, text: string | undefined): void {
    this.#desk.answer(entry.key, text)
  }

  join(topic: string): void {
    if (this.#topics.has(topic) || this.#topics.size >= MAX_TOPICS) return
    const subscription = this.#agent.subscribe({ topic, description: `topic ${topic}` }, message => {
      this.#add(`topic:${topic}`, message, 'message', { at: 'received' })
    })
    this.#topics.set(topic, { [Symbol.dispose]: () => this.#agent.unsubscribe(subscription.id) })
    this.#store.update(state => ({ ...state, topics: [...this.#topics.keys()] }))
  }

  leave(topic: string): void {
    this.#topics.get(topic)?.[Symbol.dispose]()
    this.#topics.delete(topic)
    this.#store.update(state => ({
      ...state,
      topics: [...this.#topics.keys()],
      selected: state.selected === `topic:${topic}` ? 'everyone' : state.selected,
    }))
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }
}

/** Why a session could not start, in words. */
export const startProblem = (error: unknown): string =>
  error instanceof AfpError && error.code === 'INSECURE_CONTEXT'
    ? 'Browsers give agents their keys on https and on localhost only. Open this page there.'
    : reasonOf(error)
