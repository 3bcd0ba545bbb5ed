/**
 * Between the agent and the page: what the agent tells becomes state, what the page wants becomes calls. What it hands
 * the agent to, `mail.ts`, `letters.ts`, `topics.ts` and the behaviours, does the same for a part; the panels know none
 * of them but by `commands.ts`.
 */

import {
  AfpError,
  type Agent,
  type Content,
  createAgent,
  type HandlerContext,
  type Message,
  systemClock,
  type Transaction,
} from 'agent-flow-protocol'
import { CannotAnswer, isAside, readSteps, type Watch } from './behaviours/behaviour.ts'
import { behaviourNamed, behaviourOf } from './behaviours/catalogue.ts'
import type { Commands } from './commands.ts'
import { show } from './content.ts'
import { Conversations } from './conversations.ts'
import { Desk } from './desk.ts'
import { follow } from './follow.ts'
import { History, type Said, write } from './history.ts'
import { newId } from './ids.ts'
import type { LetterDesk } from './letters.ts'
import { Mail } from './mail.ts'
import { reasonOf } from './reasons.ts'
import type { Mesh, Place, Who } from './settings.ts'
import {
  type Channel,
  calledOff,
  changeEntry,
  type Entry,
  LOBBY,
  MAX_CONVERSATIONS,
  type Status,
  type Store,
} from './state.ts'
import { Topics } from './topics.ts'

/** Starts the agent and keeps the store up to date until it is closed. */
export async function startSession(store: Store, mesh: Mesh, who: Who, place?: Place): Promise<Commands> {
  const behaviour = behaviourNamed(who.as)
  const loading = behaviour.load()
  const agent = await createAgent({
    name: who.name,
    mesh: mesh.mesh,
    relays: mesh.relays,
    capabilities: [behaviour.capability],
    description: behaviour.about ?? behaviour.summary,
  })
  const session = new Session(agent, store)
  const topics = await session.recall(place)
  const begin = await loading
  session.listen(mesh.relays)
  begin(agent, session.watch)
  store.update(state => ({
    ...state,
    phase: 'running',
    mesh: agent.mesh,
    me: { id: agent.id, name: agent.name, as: behaviour.name },
  }))
  for (const topic of [LOBBY, ...topics]) session.join(topic)
  return session
}

class Session implements Commands {
  readonly #agent: Agent
  readonly #store: Store
  readonly #topics: Topics
  readonly #desk = new Desk()
  readonly #history: History
  readonly #said: Conversations
  readonly #mail: Mail
  #letters: Promise<LetterDesk> | undefined
  /** Requests of others under way: message -> its channel and entry. */
  readonly #asked = new WeakMap<Message, { channel: Channel; key: number }>()
  /** What calls this page's own requests off, by their id, while they wait for their reply. */
  readonly #asking = new Map<string, AbortController>()

  constructor(agent: Agent, store: Store) {
    this.#agent = agent
    this.#store = store
    this.#history = new History(agent.storage, error => this.#mail.trouble(error))
    this.#said = new Conversations(store, this.#history, () => document.visibilityState === 'visible')
    this.#mail = new Mail(agent, store, this.#said)
    this.#topics = new Topics(agent, store, this.#history, (topic, message) => {
      this.#add(`topic:${topic}`, message, 'message', { at: 'received' })
    })
  }

  /** Brings back what was said in earlier runs, before anything new comes; resolves with the topics of then. */
  async recall(place: Place | undefined): Promise<readonly string[]> {
    const topics = await this.#said.recall(place)
    this.#mail.listen()
    await this.#mail.resume()
    return topics
  }

  // What the agent tells

  /** What this tab's behaviour shows of its work. */
  readonly watch: Watch = {
    received: (message, context) => {
      if (message.metadata.progressOf !== undefined) {
        this.#progress(message)
        return
      }
      if (this.#store.state.failing) throw new CannotAnswer('It was told to fail at what comes in')
      const { expectsReply, transaction } = context
      const channel: Channel = `agent:${message.sender}`
      const at = expectsReply ? 'waiting' : 'received'
      const key = this.#add(channel, message, expectsReply ? 'request' : 'message', { at }, transaction)
      if (expectsReply) this.#asked.set(message, { channel, key })
    },
    replied: (message, content, context, id) =>
      this.#settle(message, { at: 'answered', ms: this.#since(message) }, { content, context, id }),
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
    follow(agent, this.#store, () => this.#refresh())
    agent.addEventListener('relay', ({ detail: { address, state } }) =>
      this.#store.update(before => ({ ...before, relays: new Map(before.relays).set(address, state) })),
    )
    agent.addEventListener('identity:in-use', () => this.#stop('Another tab took over this agent’s identity.'))
    agent.addEventListener('closed', () => this.#stop('The agent has closed.'))

    this.#store.update(state => ({
      ...state,
      relays: new Map(relays.map(relay => [relay, this.#isReserved(relay) ? 'reserved' : 'connecting'])),
    }))
    // Direct messages are the behaviour's: what waited since an earlier run would be gone with whoever takes it first.
    const broadcasts = { description: 'broadcasts', where: ({ isBroadcast }: Message) => isBroadcast }
    agent.subscribe(broadcasts, message => void this.#add('everyone', message, 'message', { at: 'received' }))
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

  #pulse(peer: string, outward: boolean): void {
    this.#store.update(state => ({ ...state, pulse: { key: this.#store.nextKey(), peer, outward } }))
  }

  /** Shows a message of another's and keeps it: with the end of its handler where there is one. */
  #add(channel: Channel, message: Message, kind: Entry['kind'], status: Status, transaction?: Transaction): number {
    const { key, said } = this.#said.came(channel, message, { kind, status })
    // A request is written when it is answered: until then it is asked again after a reload.
    if (transaction === undefined) this.#said.save(said)
    else if (kind === 'message' && said !== undefined) write(transaction, said)
    this.#pulse(message.sender, false)
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
  #settle(
    message: Message,
    status: Status,
    answer?: { content: Content; context: HandlerContext; id: string | undefined },
  ): void {
    const asked = this.#asked.get(message)
    if (asked !== undefined) {
      const { channel, key } = asked
      const reply = answer === undefined ? {} : { reply: show(answer.content) }
      const said = this.#said.change(channel, key, { status, ...reply })
      // Nothing is kept of what a handler that failed wrote.
      if (answer === undefined) this.#said.save(said)
      else if (said !== undefined) write(answer.context.transaction, said)
    } else if (answer?.id !== undefined && !isAside(message)) {
      const { content, context, id } = answer
      const channel: Channel = `agent:${message.sender}`
      // A handler that runs again has answered by the same message, which may have gone on its way since.
      const before = this.#said.find(channel, entry => entry.mine && entry.id === id)
      const said = this.#addMine(channel, 'message', id, content, before?.status ?? { at: 'queued' }, before?.key)
      if (said !== undefined) write(context.transaction, said)
      void this.#mail.look(channel, id)
    }
  }

  // What the page wants

  #addMine(
    channel: Channel,
    kind: Entry['kind'],
    id: string,
    content: Content,
    status: Status,
    key = this.#store.nextKey(),
  ): Said | undefined {
    const { id: sender } = this.#agent
    const time = systemClock.now()
    return this.#said.add(channel, { key, id, sender, mine: true, kind, content: show(content), time, status })
  }

  /** Changes an entry of this page's, here and in the store. */
  #end({ channel, entry: { key } }: Said, change: Partial<Entry>): void {
    this.#said.save(this.#said.change(channel, key, change))
  }

  say(channel: Channel, text: string, ttl?: number): boolean {
    const said = this.#addMine(channel, 'message', newId(), text, { at: 'sending' })
    if (said === undefined) return this.#noRoom()
    void this.#say(said, text, ttl)
    return true
  }

  /** Says that there is no room for another conversation. */
  #noRoom(): false {
    const notice = `This page keeps ${MAX_CONVERSATIONS} conversations. Clear one to begin another.`
    this.#store.update(state => ({ ...state, notice }))
    return false
  }

  async #say(said: Said, text: string, ttl: number | undefined): Promise<void> {
    const { channel, entry } = said
    const { id, key } = entry
    // First here, then on its way: whatever happens in between, it is known to the one who wrote it.
    const keeping = this.#said.keep(said)
    try {
      if (channel.startsWith('agent:')) {
        const to = channel.slice(6)
        await keeping
        this.#pulse(to, true)
        await this.#agent.send(to, text, { id, ...(ttl === undefined ? {} : { ttl }) })
        // News of how it goes on may have come before.
        if (this.#said.find(channel, other => other.key === key)?.status.at === 'sending')
          this.#said.change(channel, key, { status: { at: 'queued' } })
      } else {
        // Nobody else keeps it for those who are away: it goes also where there is no room for it here.
        await keeping.catch(error => this.#mail.trouble(error))
        const { peers } =
          channel === 'everyone'
            ? await this.#agent.broadcast(text, { id })
            : await this.#agent.publish(channel.slice(6), text, { id })
        // Gossip counts the relay among those it was handed to; it is no agent.
        const agents = peers.filter(peer => this.#store.state.peers.has(peer))
        for (const peer of agents) this.#pulse(peer, true)
        this.#end(said, { status: { at: 'published', peers: agents.length, onward: peers.length > agents.length } })
      }
    } catch (error) {
      this.#failed(said, error)
    }
  }

  #failed(said: Said, error: unknown): void {
    const code = error instanceof AfpError ? error.code : undefined
    if (code === 'QUEUE_FULL' || code === 'STORE_FULL' || code === 'STORE_FAILED') this.#mail.trouble(error)
    this.#end(said, { status: { at: 'failed', reason: reasonOf(error) } })
  }

  ask(to: string, text: string): boolean {
    const said = this.#addMine(`agent:${to}`, 'request', newId(), text, { at: 'waiting' })
    if (said === undefined) return this.#noRoom()
    void this.#ask(said, to, text)
    return true
  }

  async #ask(said: Said, to: string, text: string): Promise<void> {
    const { id } = said.entry
    const asking = new AbortController()
    this.#asking.set(id, asking)
    const timeout = behaviourOf(this.#store.state.peers.get(to)?.card.capabilities ?? [])?.timeout ?? 10_000
    const started = systemClock.monotonic()
    try {
      await this.#said.keep(said)
      this.#pulse(to, true)
      const reply = await this.#agent.request(to, text, { id, timeout, ttl: timeout / 1000, signal: asking.signal })
      const shown = show(reply.content, reply.contentType)
      const steps = shown.kind === 'answer' ? shown.answer.steps : undefined
      const ms = systemClock.monotonic() - started
      this.#end(said, { status: { at: 'answered', ms }, reply: shown, ...(steps === undefined ? {} : { steps }) })
      this.#pulse(to, false)
    } catch (error) {
      if (!asking.signal.aborted) return this.#failed(said, error)
      const { status } = this.#said.find(said.channel, ({ key }) => key === said.entry.key) ?? said.entry
      this.#end(said, { status: calledOff(status) })
    } finally {
      this.#asking.delete(id)
    }
  }

  async cancel({ id }: Entry): Promise<void> {
    this.#asking.get(id)?.abort()
    await this.#agent.deliveries.cancel(id).catch(error => this.#mail.trouble(error))
  }

  clear(channel: Channel): void {
    this.#said.clear(channel)
  }

  hold(id: string, on: boolean): void {
    this.#mail.hold(id, on)
  }

  letters(): Promise<LetterDesk> {
    this.#letters ??= import('./letters.ts')
      .then(({ LetterDesk }) => LetterDesk.open(this.#agent, this.#store))
      .catch((error: unknown) => {
        // Whoever looks again may be luckier.
        this.#letters = undefined
        throw error
      })
    return this.#letters
  }

  retry(letter: string): Promise<string> {
    return this.letters().then(
      desk => desk.retry(letter),
      error => `It was not tried: ${reasonOf(error)}.`,
    )
  }

  answer(entry: Entry, text: string | undefined): void {
    this.#desk.answer(entry.key, text)
  }

  join(topic: string): string | undefined {
    return this.#topics.join(topic)
  }

  leave(topic: string): void {
    this.#topics.leave(topic)
    this.clear(`topic:${topic}`)
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }
}

/** Why a session could not start, in words. */
export const startProblem = reasonOf
