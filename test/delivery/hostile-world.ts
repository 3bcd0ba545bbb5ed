/** Agents on a network that belongs to somebody else: it sees every frame, and may change, keep, repeat and add them. */

import { expect } from 'vitest'
import type { Agent, AgentEvents } from '../../src/agent/agent.ts'
import type { AgentOptions, Receipt, SendOptions } from '../../src/agent/options.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import type { Content, Message } from '../../src/message/message.ts'
import type { Carrier, Channel } from '../../src/network/carrier.ts'
import { encodeFrames, FrameReader, FrameType } from '../../src/network/frames.ts'
import { DIRECT_PROTOCOL } from '../../src/network/mesh.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { collect } from '../agent/waiting.ts'
import { type DrivenWorld, drivenWorld } from '../agent/worlds.ts'

/** How long something may take, ms of driven time. */
const PATIENCE = 120_000

/** A frame of an upper floor on its way to an agent. */
export interface Passing {
  readonly from: string
  readonly frame: Uint8Array
}

/** The network before one agent: everything that reaches it comes through here. */
export class Tap {
  /** What was sent to the agent, as it left its senders. */
  readonly seen: Passing[] = []
  /** Whether what comes is kept in {@link seen}. */
  recording = true
  /** What is handed on of a frame. */
  meddle: (passing: Passing) => readonly Uint8Array[] = ({ frame }) => [frame]
  /** The ways in of the newest channel with each peer. */
  readonly #ways = new Map<string, (chunk: Uint8Array) => void>()

  on(carrier: Carrier): Carrier {
    // Before the agent hears of a connection: what it opens on it is tapped.
    carrier.addEventListener('connection:open', ({ detail: connection }) => {
      const open = connection.open.bind(connection)
      connection.open = async (protocol, options) => this.#tapped(protocol, await open(protocol, options))
    })
    const handle = carrier.handle.bind(carrier)
    carrier.handle = (protocol, handler) => handle(protocol, channel => handler(this.#tapped(protocol, channel)))
    return carrier
  }

  /** Hands frames to the agent as if a peer had sent them. */
  inject(from: string, ...frames: Uint8Array[]): void {
    const way = this.#ways.get(from)
    if (way === undefined) throw new Error(`${from} has no channel`)
    way(encodeFrames(frames))
  }

  /** Hands nothing of some types on. */
  drop(...types: number[]): void {
    this.meddle = ({ frame }) => (types.includes(frame[0] as number) ? [] : [frame])
  }

  /** Hands everything on again. */
  behave(): void {
    this.meddle = ({ frame }) => [frame]
  }

  /** The frames of a type that a peer sent, oldest first. */
  of(type: number, from: string): Uint8Array[] {
    return this.seen.filter(passing => passing.from === from && passing.frame[0] === type).map(({ frame }) => frame)
  }

  #tapped(protocol: string, channel: Channel): Channel {
    if (protocol !== DIRECT_PROTOCOL) return channel
    const attach = channel.attach.bind(channel)
    const from = channel.connection.peer
    channel.attach = handler => {
      const reader = new FrameReader(
        2 ** 22,
        frame => this.#passes(from, frame.slice(), chunk => handler.data(chunk)),
        () => {},
      )
      this.#ways.set(from, chunk => handler.data(chunk))
      attach({ data: chunk => reader.push(chunk), closed: error => handler.closed(error) })
    }
    return channel
  }

  #passes(from: string, frame: Uint8Array, on: (chunk: Uint8Array) => void): void {
    const type = frame[0] as number
    // Whoever adds frames keeps their sender from counting them.
    if (type === FrameType.reading) return
    if (type < 16) return on(encodeFrames([frame]))
    const passing = { from, frame }
    if (this.recording) this.seen.push(passing)
    const frames = this.meddle(passing)
    if (frames.length > 0) on(encodeFrames(frames))
  }
}

/** An agent, its machine, the network before it, and what it told. */
export class Party {
  readonly name: string
  readonly identity: Identity
  readonly store: Store
  readonly tap = new Tap()
  readonly got: Pick<Message, 'id' | 'sender' | 'content'>[] = []
  readonly refused: AgentEvents['refused'][] = []
  readonly failed: unknown[] = []
  agent!: Agent
  /** By sender: as long as there is one, handlers of what begins with `held` do not come to their end. */
  readonly gates = new Map<string, PromiseWithResolvers<void>>()
  readonly #world: HostileWorld

  constructor(world: HostileWorld, name: string, identity: Identity) {
    this.#world = world
    this.name = name
    this.identity = identity
    // What an agent closes has to outlive it here.
    this.store = Object.assign(memoryStore(), { close: async () => {} })
  }

  get id(): string {
    return this.identity.id
  }

  /** Starts, or starts again on what an earlier run left. */
  async start(options: Partial<AgentOptions> = {}): Promise<void> {
    const { identity, store, tap } = this
    const { driven } = this.#world
    const carrier: AgentOptions['carrier'] = ({ id }) => tap.on(driven.net.carrier(id))
    // What is held stays so for as long as a test takes.
    const patient = { guarantee: 'at-least-once', handlerTimeout: 24 * 3_600_000 } as const
    this.agent = await driven.join(this.name, { identity, store, carrier, ...patient, ...options })
    this.agent.addEventListener('refused', ({ detail }) => void this.refused.push(detail))
    for (const type of ['store:error', 'handler:error'] as const) {
      this.agent.addEventListener(type, ({ detail }) => void this.failed.push(detail))
    }
    this.agent.handle(async ({ id, sender, content }) => {
      this.got.push({ id, sender, content })
      if (String(content).startsWith('held')) await this.gates.get(sender)?.promise
      return content
    })
  }

  /** Handlers of what a sender says is held wait from now on. */
  hold({ id }: { readonly id: string }): void {
    this.gates.set(id, Promise.withResolvers())
  }

  release({ id }: { readonly id: string }): void {
    this.gates.get(id)?.resolve()
    this.gates.delete(id)
  }

  /** What came from a sender, in its order. */
  from(sender: { readonly id: string }): Content[] {
    return this.got.filter(message => message.sender === sender.id).map(({ content }) => content)
  }

  /** The reasons for which something of a peer's was refused. */
  reasons(peer: { readonly id: string }): string[] {
    return this.refused.filter(refusal => refusal.peer === peer.id).map(({ reason }) => reason)
  }

  /** How often something was refused for a reason, as the metrics have it. */
  counted(reason: string): number {
    return this.agent.metrics.counter('refused', { reason }).value
  }

  /** Waits until just these things of a peer's are refused and counted. */
  async refuses(peer: { readonly id: string }, ...reasons: string[]): Promise<void> {
    await this.#world.until(() => this.reasons(peer).length >= reasons.length)
    expect(this.reasons(peer)).toEqual(reasons)
    for (const reason of reasons) expect(this.counted(reason)).toBe(reasons.filter(each => each === reason).length)
  }

  events<K extends keyof AgentEvents>(type: K): AgentEvents[K][] {
    return collect(this.agent, type)
  }

  rows(table: 'outbox' | 'inbox' | 'epochs'): Promise<readonly Row[]> {
    return this.store.range(table)
  }
}

/** Ada and carol, who are honest and write to bob, and bob. */
export class HostileWorld {
  readonly driven: DrivenWorld
  ada!: Party
  bob!: Party
  carol!: Party
  /** What honest senders sent to bob, in their order. */
  readonly #sent = new Map<Party, string[]>()
  #held: Receipt | undefined
  #count = 0

  private constructor(seed: number) {
    this.driven = drivenWorld(seed)
  }

  /** A world in which a message of ada's lies in bob's store, with its handler at work, as long as {@link hold} says. */
  static async make(seed = 1): Promise<HostileWorld> {
    const world = new HostileWorld(seed)
    for (const name of ['ada', 'bob', 'carol'] as const) world[name] = await world.party(name)
    for (const party of [world.ada, world.carol]) await world.meet(party, world.bob)
    return world
  }

  get clock() {
    return this.driven.clock
  }

  async party(name: string, options: Partial<AgentOptions> = {}): Promise<Party> {
    const party = new Party(this, name, await createIdentity(undefined))
    await party.start(options)
    return party
  }

  during<T>(promise: Promise<T>): Promise<T> {
    return this.driven.during(promise)
  }

  until(done: () => boolean): Promise<void> {
    return this.clock.advanceUntil(done, PATIENCE)
  }

  /** Runs the clock until something that has to be asked for holds. */
  async eventually(done: () => Promise<boolean>): Promise<void> {
    const end = this.clock.monotonic() + PATIENCE
    while (!(await done())) {
      if (this.clock.monotonic() > end) throw new Error(`not reached within ${PATIENCE} ms of driven time`)
      await this.clock.advance(50)
    }
  }

  meet(party: Party, other: Party): Promise<unknown> {
    return this.during(Promise.all([party.agent.waitFor(other.id), other.agent.waitFor(party.id)]))
  }

  /** Ends every connection of two agents; resolves when they have a new one. */
  async reconnect(a: Party, b: Party): Promise<void> {
    const closed = a.events('link:closed')
    const opened = b.events('link:open')
    this.driven.net.kill(a.id, b.id)
    await this.until(() => closed.some(({ peer }) => peer === b.id) && opened.some(({ peer }) => peer === a.id))
  }

  /** An honest message to bob. */
  async say(sender: Party, text: string, options: SendOptions = {}): Promise<Receipt> {
    this.#sent.set(sender, [...(this.#sent.get(sender) ?? []), text])
    return this.during(sender.agent.send(this.bob.id, text, options))
  }

  /** Puts a message of ada's into bob's store whose handler does not come to its end before {@link unharmed}. */
  async hold(): Promise<void> {
    const { ada, bob } = this
    bob.hold(ada)
    // It is waited for as long as the longest test lasts.
    this.#held = await this.say(ada, 'held', { ttl: 30 * 86_400 })
    await this.during(this.#held.delivered)
    await this.until(() => bob.from(ada).includes('held'))
  }

  /** What was held is done with: {@link unharmed} looks for it no longer. */
  letGo(): void {
    this.#held = undefined
  }

  /** Stops an agent as it is and starts it on what it left. */
  async restart(party: Party): Promise<void> {
    const closed = party.agent.close()
    // Handlers at work would be waited for: they fail, and what they had comes again.
    const failure = new Error('this agent restarts')
    for (const [id, gate] of party.gates) {
      party.gates.set(id, Promise.withResolvers())
      gate.reject(failure)
    }
    await this.during(closed)
    const others = party.failed.filter(failed => (failed as { error: unknown }).error !== failure)
    party.failed.splice(0, party.failed.length, ...others)
    await party.start()
  }

  /**
   * Shows that nothing was disturbed: what was held is still in both stores and comes to its end; honest messages, those
   * before among them, arrive once each, in order, and nothing is left of them.
   */
  async unharmed(): Promise<void> {
    const { ada, bob, carol } = this
    const receipts: Receipt[] = []
    if (this.#held !== undefined) {
      expect((await bob.rows('inbox')).filter(({ key }) => key[0] === ada.id).length).toBeGreaterThan(0)
      expect((await ada.rows('outbox')).filter(({ key }) => key[0] === bob.id).length).toBeGreaterThan(0)
      receipts.push(this.#held)
      this.#held = undefined
    }
    for (let i = 0; i < 3; i++) {
      for (const sender of [ada, carol]) receipts.push(await this.say(sender, `${sender.name} ${++this.#count}`))
    }
    bob.release(ada)
    await this.during(Promise.all(receipts.map(({ processed }) => processed)))
    for (const [sender, texts] of this.#sent) {
      expect(bob.from(sender)).toEqual(texts)
      await this.emptied(sender, 'outbox', bob)
      await this.emptied(bob, 'inbox', sender)
    }
    for (const party of [ada, bob, carol]) expect(party.failed).toEqual([])
  }

  /** Waits until an agent keeps nothing of another in a table. */
  emptied(party: Party, table: 'outbox' | 'inbox', other: { readonly id: string }): Promise<void> {
    return this.eventually(async () => (await party.rows(table)).every(({ key }) => key[0] !== other.id))
  }

  async close(): Promise<void> {
    for (const { gates } of [this.ada, this.bob, this.carol]) for (const gate of gates.values()) gate.resolve()
    await this.driven.close()
  }
}
