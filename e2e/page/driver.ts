/** Agents that a test drives from outside, the same in a tab and in Node: each records what it hears. */

import {
  type Agent,
  type AgentOptions,
  type Content,
  createAgent,
  type Filter,
  importIdentity,
  type Message,
} from 'agent-flow-protocol'

/** A message as a test sees it. */
export interface Heard {
  readonly id: string
  /** The sender's id. */
  readonly from: string
  readonly content: Content
  readonly contentType: string
  readonly topic: string | undefined
  readonly broadcast: boolean
}

/** An event of the agent, without what cannot leave the page. */
export interface Told {
  readonly type: string
  /** Milliseconds since the agent was asked for. */
  readonly at: number
  readonly id?: string
  readonly peer?: string
  readonly reason?: string
  readonly detail?: string
  readonly state?: string
  readonly address?: string
  readonly kind?: string
  readonly transport?: string
  readonly hidden?: boolean
}

/** What the agent knows of another one. */
export interface Seen {
  readonly id: string
  readonly name: string
  readonly online: boolean
  readonly hidden: boolean
  readonly link: 'none' | `${'direct' | 'relayed'} ${string}`
}

const EVENTS = [
  'peer:online',
  'peer:offline',
  'peer:changed',
  'link:open',
  'link:changed',
  'link:closed',
  'refused',
  'relay',
  'identity:in-use',
  'name:conflict',
  'message:dropped',
  'handler:error',
] as const

/** How long to wait for something before a test fails, ms. */
const PATIENCE = 60_000

/** See the head of this file. */
export class DrivenAgent {
  readonly #agent: Agent
  readonly #heard: Heard[] = []
  readonly #told: Told[]
  /** Looks at what happened whenever something did. */
  readonly #happened = new EventTarget()

  private constructor(agent: Agent, started: number) {
    this.#agent = agent
    this.#told = [{ type: 'created', at: performance.now() - started }]
    for (const type of EVENTS) {
      agent.addEventListener(type, ({ detail }) => {
        const plain = { type, at: performance.now() - started, ...pick(detail) }
        const last = this.#told.findLast(({ peer }) => peer === plain.peer)
        // Every measured round trip is a change of the link: only changes of its kind are of interest.
        if (type === 'link:changed' && last?.kind === plain.kind && last?.transport === plain.transport) return
        this.#told.push(plain)
        this.#happened.dispatchEvent(new Event('any'))
      })
    }
    agent.handle(message => {
      this.#hear(message)
      return message.content
    })
  }

  /** Makes an agent that answers each request with what it was asked. */
  static async create(options: AgentOptions): Promise<DrivenAgent> {
    const started = performance.now()
    const driven = new DrivenAgent(await createAgent(options), started)
    await driven.#agent.subscribe({}, message => {
      if (message.isBroadcast) driven.#hear(message)
    }).ready
    return driven
  }

  self(): { id: string; name: string; addresses: readonly string[] } {
    return { id: this.#agent.id, name: this.#agent.name, addresses: this.#agent.addresses }
  }

  /** Sends, and tells for whom it was sent. */
  async send(to: string | string[], content: Content): Promise<string[]> {
    const { recipients } = await this.#agent.send(to, content)
    return [...recipients].filter(([, { status }]) => status !== 'failed' && status !== 'expired').map(([id]) => id)
  }

  async request(to: string, content: Content, timeout = 15_000): Promise<Heard> {
    return heardOf(await this.#agent.request(to, content, { timeout }))
  }

  async publish(topic: string, content: Content): Promise<readonly string[]> {
    return (await this.#agent.publish(topic, content)).peers
  }

  async broadcast(content: Content): Promise<readonly string[]> {
    return (await this.#agent.broadcast(content)).peers
  }

  /** Subscribes, and waits until what is published from then on has a way here. */
  async subscribe(filter: Filter): Promise<void> {
    await this.#agent.subscribe(filter, message => this.#hear(message)).ready
  }

  heard(): readonly Heard[] {
    return this.#heard
  }

  told(): readonly Told[] {
    return this.#told
  }

  peers(): Seen[] {
    return this.#agent.peers().map(({ card, online, hidden, link }) => ({
      id: card.id,
      name: card.name,
      online,
      hidden,
      link: link === undefined ? 'none' : `${link.kind} ${link.transport}`,
    }))
  }

  async connect(address: string): Promise<string> {
    const { kind, transport } = await this.#agent.connect(address)
    return `${kind} ${transport}`
  }

  async waitFor(name: string): Promise<string> {
    return (await this.#agent.waitFor(name, { timeout: PATIENCE })).card.id
  }

  /** Waits until there is a link of this kind to each of these agents. */
  untilLinked(ids: readonly string[], link: Seen['link'], patience = PATIENCE): Promise<void> {
    return this.#until(
      () => {
        const linked = new Set(this.peers().flatMap(peer => (peer.link === link ? [peer.id] : [])))
        return ids.every(id => linked.has(id))
      },
      () => `a ${link} link to ${ids.join(', ')}; peers: ${JSON.stringify(this.peers())}`,
      patience,
    )
  }

  /** Waits until content like this was heard. */
  untilHeard(content: Content, like: Partial<Heard> = {}): Promise<void> {
    const wanted = textOf(content)
    return this.#until(
      () => this.#heard.some(heard => textOf(heard.content) === wanted && matches(heard, like)),
      () => `${wanted} like ${JSON.stringify(like)}; heard: ${JSON.stringify(this.#heard)}`,
    )
  }

  /** Waits until an event like this was told. */
  untilTold(like: Partial<Told>): Promise<void> {
    return this.#until(
      () => this.#told.some(told => matches(told, like)),
      () => `the event ${JSON.stringify(like)}; told: ${JSON.stringify(this.#told)}`,
    )
  }

  /** Waits until a relay is in this state. */
  untilRelay(address: string, state: string): Promise<void> {
    return this.#until(
      () => this.#told.findLast(told => told.address === address)?.state === state,
      () => `the relay ${address} ${state}; told: ${JSON.stringify(this.#told)}`,
    )
  }

  exportIdentity(passphrase: string): Promise<string> {
    return this.#agent.exportIdentity(passphrase)
  }

  close(): Promise<void> {
    return this.#agent.close()
  }

  #hear(message: Message): void {
    this.#heard.push(heardOf(message))
    this.#happened.dispatchEvent(new Event('any'))
  }

  async #until(condition: () => boolean, what: () => string, patience = PATIENCE): Promise<void> {
    const late = AbortSignal.timeout(patience)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = (): void => {
      if (condition()) resolve()
    }
    this.#happened.addEventListener('any', look)
    late.addEventListener('abort', () => reject(new Error(`in vain for ${patience} ms: ${what()}`)))
    look()
    try {
      await promise
    } finally {
      this.#happened.removeEventListener('any', look)
    }
  }
}

/** Equal for equal contents; bytes are not what JSON would make of them. */
const textOf = (content: Content): string =>
  content instanceof Uint8Array ? `bytes ${content}` : JSON.stringify(content)

const matches = <T extends object>(value: T, like: Partial<T>): boolean =>
  Object.entries(like).every(([key, wanted]) => value[key as keyof T] === wanted)

const heardOf = (message: Message): Heard => ({
  id: message.id,
  from: message.sender,
  content: message.content,
  contentType: message.contentType,
  topic: message.topic,
  broadcast: message.isBroadcast,
})

const TOLD = ['id', 'peer', 'reason', 'detail', 'state', 'address', 'kind', 'transport', 'hidden']

function pick(detail: object): Partial<Told> {
  const plain = Object.fromEntries(Object.entries(detail).filter(([key]) => TOLD.includes(key)))
  return 'card' in detail ? { ...plain, id: (detail.card as { id: string }).id } : plain
}

/** Names of what can be called on a driven agent from outside. */
export type Method = Exclude<keyof DrivenAgent, symbol>

/** How a call ended. Errors travel as data: what throws across a page's border keeps its message only. */
export type Outcome = { readonly value: unknown } | { readonly error: { message: string; code?: string } }

const agents = new Map<string, Promise<DrivenAgent>>()

/** An identity as it travels. */
export interface Exported {
  readonly text: string
  readonly passphrase: string
}

/** Makes an agent under a key of the test's own. */
export function create(key: string, options: AgentOptions, exported?: Exported): Promise<Outcome> {
  const making = (async () => {
    const identity = exported && (await importIdentity(exported.text, exported.passphrase))
    return DrivenAgent.create(identity === undefined ? options : { ...options, identity })
  })()
  agents.set(key, making)
  return outcome(making.then(agent => agent.self()))
}

/** Calls a method of the agent that was made under a key. */
export async function call(key: string, method: Method, args: readonly unknown[]): Promise<Outcome> {
  return outcome(
    (async () => {
      const agent = await agents.get(key)
      if (agent === undefined) throw new Error(`there is no agent ${key}`)
      return (agent[method] as (...given: unknown[]) => unknown).apply(agent, [...args])
    })(),
  )
}

async function outcome(work: Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await work }
  } catch (error) {
    const { message, code } = error as Error & { code?: string }
    return { error: { message, ...(code === undefined ? {} : { code }) } }
  }
}
