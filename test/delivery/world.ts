/** Agents that only deliver, on a network in memory and a driven clock. */

import { DrivenClock } from '../../src/common/driven-clock.ts'
import { type Random, seededRandom } from '../../src/common/random.ts'
import type { Arrived } from '../../src/delivery/arrived.ts'
import { CircuitBreakers } from '../../src/delivery/breakers.ts'
import { DeadLetters, type DeadLettersOptions } from '../../src/delivery/dead-letters.ts'
import { Delivery, type DeliveryParts } from '../../src/delivery/delivery.ts'
import type { Untaken } from '../../src/delivery/processing.ts'
import type { KeptReply } from '../../src/delivery/processing-state.ts'
import { loadReceipt, openReceipts } from '../../src/delivery/receipt-rows.ts'
import { exponentialRetry, untilExpiry } from '../../src/delivery/retry.ts'
import { Tracker, type Tracking } from '../../src/delivery/tracker.ts'
import type { Transaction } from '../../src/delivery/transaction.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { buildMessage } from '../../src/message/build.ts'
import { createIds } from '../../src/message/ids.ts'
import type { Content, Message } from '../../src/message/message.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { MemoryNet, type MemoryNetOptions } from '../../src/network/memory.ts'
import type { MeshNetwork } from '../../src/network/mesh.ts'
import { PrekeyRing } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { bareNetwork, cardFields, MESH } from '../contracts/network-world.ts'

/** What a node does with what it gets, and answers. */
// biome-ignore lint/suspicious/noConfusingVoidType: most handlers answer nothing, and should not have to say so
export type Handler = (arrived: Arrived, transaction: Transaction) => Promise<KeptReply | undefined | void> | Untaken

/** The machine that a node runs on: what is left of it after a crash. */
export interface Machine {
  readonly identity: Identity
  readonly store: Store
}

export class DeliveryWorld {
  readonly clock = new DrivenClock()
  readonly net: MemoryNet
  readonly random: Random
  readonly nodes = new Map<string, Node>()
  /** The keys of those that run, and of those that ran last. */
  readonly rings = new Map<string, PrekeyRing>()
  /** A link is open: who has it, and with whom. With it comes a card. */
  greeted: (node: Node, peer: string) => void = () => {}
  /** A frame has come to a node over the network. Who stands in the way hands on something else. */
  arrives = ({ delivery }: Node, from: string, frame: Uint8Array): void | Promise<void> =>
    delivery.received(from, frame)

  constructor(seed = 1, faults: MemoryNetOptions['faults'] = {}) {
    this.random = seededRandom(seed)
    this.net = new MemoryNet({ clock: this.clock, random: this.random, faults: { delay: [1, 5], ...faults } })
  }

  async machine(store: Store = memoryStore()): Promise<Machine> {
    return { identity: await createIdentity(undefined, this.random), store }
  }

  async start(
    machine: Machine,
    handler?: Handler,
    parts: Partial<DeliveryParts> = {},
    letters: Partial<DeadLettersOptions> = {},
  ): Promise<Node> {
    const node = await Node.start(this, machine, handler, parts, letters)
    this.nodes.set(node.id, node)
    return node
  }

  async close(): Promise<void> {
    let closed = false
    const all = Promise.all([...this.nodes.values()].map(node => node.stop())).then(() => {
      closed = true
    })
    await this.clock.advanceUntil(() => closed)
    await all
  }
}

/** One of them. */
export class Node {
  readonly id: string
  readonly machine: Machine
  readonly network: MeshNetwork
  readonly prekeys: PrekeyRing
  readonly tracker: Tracker
  readonly breakers: CircuitBreakers
  deadLetters!: DeadLetters
  delivery!: Delivery
  readonly refused: string[] = []
  readonly errors: unknown[] = []
  readonly holes: unknown[] = []
  /** What came, once for each time a handler ran. */
  readonly got: Arrived[] = []
  readonly once: Message[] = []
  readonly #world: DeliveryWorld
  readonly #ids: () => string
  #crashed = false

  private constructor(world: DeliveryWorld, machine: Machine, network: MeshNetwork, prekeys: PrekeyRing) {
    const { clock, random } = world
    this.#world = world
    this.machine = machine
    this.id = machine.identity.id
    this.network = network
    this.prekeys = prekeys
    this.#ids = createIds({ clock, random })
    this.tracker = new Tracker({ clock, load: id => loadReceipt(machine.store, id) })
    this.breakers = new CircuitBreakers({ clock })
  }

  static async start(
    world: DeliveryWorld,
    machine: Machine,
    handler: Handler | undefined,
    parts: Partial<DeliveryParts>,
    letters: Partial<DeadLettersOptions>,
  ) {
    const { clock, random, net } = world
    const { identity, store } = machine
    const fields = cardFields(clock.now(), { name: 'node' })
    const network = await bareNetwork({ carrier: net.carrier(identity.id), identity, fields, clock, random })
    const prekeys = new PrekeyRing({ store, random })
    await prekeys.load()
    await prekeys.rotate(clock.now())
    world.rings.set(identity.id, prekeys)
    const node = new Node(world, machine, network, prekeys)
    for await (const receipt of openReceipts(store, parts.nextTask)) node.tracker.track(receipt)
    const retry: DeadLettersOptions['retry'] = (...letter) => node.delivery.retryLetter(...letter)
    node.deadLetters = await DeadLetters.open({ store, clock, random, ids: node.#ids, retry, ...letters })
    const take: DeliveryParts['take'] = (arrived, transaction) => {
      if (node.#crashed) return new Promise(() => {})
      const taken = handler?.(arrived, transaction)
      if (typeof taken === 'string') return taken
      node.got.push({ ...arrived })
      return (taken ?? Promise.resolve()).then(reply => reply ?? undefined)
    }
    node.delivery = await Delivery.open({
      identity,
      mesh: MESH,
      store,
      network,
      clock,
      random,
      limits: DEFAULT_LIMITS,
      prekeys,
      tracker: node.tracker,
      deadLetters: node.deadLetters,
      breakers: node.breakers,
      prekeyOf: agent => world.nodes.get(agent)?.prekeys.current(),
      strategy: untilExpiry({ cap: 15_000 }),
      handlerStrategy: exponentialRetry(),
      judge: () => {},
      take,
      onOnce: message => void node.once.push(message),
      onRefused: (_, reason) => node.refused.push(reason),
      onRejected: () => node.refused.push('rejected'),
      onHole: (_, __, numbers) => node.holes.push(numbers),
      onLost: () => {},
      onFailed: () => {},
      onRollback: () => node.refused.push('rollback'),
      onError: error => node.errors.push(error),
      ...parts,
    })
    network.addEventListener('link:open', ({ detail }) => {
      world.greeted(node, detail.peer)
      node.delivery.linked(detail.peer)
    })
    network.addEventListener('link:closed', ({ detail }) => node.delivery.unlinked(detail.peer))
    await network.start({ direct: (from, frame) => world.arrives(node, from, frame), topic: () => {} })
    node.delivery.start()
    return node
  }

  /** Sends text, by default at least once. */
  send(to: Node, content: Content, init: Parameters<typeof buildMessage>[2] = {}): Promise<Tracking> {
    return this.delivery.send(this.delivery.draft(this.message(to, content, init), 'message'), [to.id])
  }

  message(to: Node, content: Content, init: Parameters<typeof buildMessage>[2] = {}): Message {
    const context = { clock: this.#world.clock, ids: this.#ids, sender: this.id, limits: DEFAULT_LIMITS }
    return buildMessage({ recipients: [to.id] }, content, { guarantee: 'at-least-once', ...init }, context as never)
  }

  /** Makes a link to another. */
  async meet(other: Node): Promise<void> {
    const { clock } = this.#world
    await clock.advanceUntil(() => this.network.addresses().length > 0 && other.network.addresses().length > 0)
    this.network.connect(other.network.addresses()[0] as string).catch(() => {})
    await clock.advanceUntil(
      () => this.network.link(other.id) !== undefined && other.network.link(this.id) !== undefined,
    )
  }

  /** Texts that handlers got, in their order. */
  get texts(): unknown[] {
    return this.got.map(({ message }) => message.content)
  }

  async stop(): Promise<void> {
    await Promise.all([this.deadLetters.close(), this.delivery.close()])
    this.tracker.close()
    await this.network.stop()
  }

  /** Loses power: what was committed is all that is left. */
  crash(): void {
    this.#crashed = true
    this.#world.net.crash(this.id)
    this.#world.nodes.delete(this.id)
  }
}
