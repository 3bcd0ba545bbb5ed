/** One end of what is compared between tabs: agents, a libp2p stream, an RTCDataChannel. */

import { type Agent, createAgent } from 'agent-flow-protocol'
import { indexedDbStore } from '../../../src/store/indexeddb.ts'
import {
  Arrivals,
  contentOf,
  type Extent,
  type Flow,
  pump,
  type Queued,
  queue,
  roundTrips,
  SendWindow,
  type Spell,
} from '../flow.ts'
import { FATAL, sendMessages, takeMessages } from '../peers/agents.ts'
import { until } from '../until.ts'
import { ChannelEnd } from './channel.ts'
import { StreamEnd } from './stream.ts'

/** What a run of messages is like. */
export interface Run {
  readonly way: 'afp' | 'stream' | 'channel'
  readonly mode: string
  readonly bytes: number
  readonly window: number
  readonly extent: Extent
}

/** What either end of a way has. */
interface End {
  begin?(window: number): void
  settled?(): Promise<void>
  flow?(mode: string): Flow
  queue?(content: Uint8Array, mode: string): Promise<unknown>
}

/** For what is queued; nothing else comes near it. */
const ROOM = { messages: 20_000, bytes: 2 ** 30 }
const arrivals = new Arrivals()
const window = new SendWindow()
const arrived = (): void => arrivals.arrived()
const ends: Partial<Record<Run['way'], End>> = {}
const channel = new ChannelEnd(window, arrived)
const stream = new StreamEnd(window, arrived)

async function agentOf(name: string, mesh: string, relay: string): Promise<{ agent: Agent; store: Store }> {
  const store = await indexedDbStore(`${mesh}-${name}`)
  const agent = await createAgent({ name, mesh, relays: [relay], store, outbox: ROOM })
  return { agent, store }
}

type Store = Awaited<ReturnType<typeof indexedDbStore>>

const fatal = (agent: Agent): void => {
  for (const type of FATAL) {
    agent.addEventListener(type, event => {
      throw new Error(`${type}: ${JSON.stringify(event.detail)}`)
    })
  }
}

/** What the benchmark calls. */
const bench = {
  /** Makes the agent that takes messages; resolves with its id. */
  takeByAgent: async (mesh: string, relay: string): Promise<string> => {
    const { agent, store } = await agentOf('recipient', mesh, relay)
    fatal(agent)
    ends.afp = await takeMessages(agent, store, arrived)
    return agent.id
  },
  /** Makes the one that sends them, and waits for the direct link. */
  sendByAgent: async (mesh: string, relay: string, id: string): Promise<void> => {
    const { agent, store } = await agentOf('sender', mesh, relay)
    await agent.waitFor(id)
    await until(() =>
      agent.peers().some(({ link, card }) => card.id === id && link?.kind === 'direct' && link.transport === 'webrtc'),
    )
    fatal(agent)
    ends.afp = {
      ...sendMessages(agent, store, id, window),
      queue: (content: Uint8Array) => agent.send(id, content, { guarantee: 'at-least-once' }),
    }
  },
  takeByStream: async (relay: string): Promise<string> => {
    const address = await stream.take(relay)
    ends.stream = { begin: size => stream.begin(size) }
    return address
  },
  sendByStream: async (relay: string, address: string): Promise<void> => {
    const sending = await stream.send(relay, address)
    ends.stream = sending
  },
  offer: (): Promise<string> => channel.offer(),
  answer: (offer: string): Promise<string> => {
    ends.channel = { begin: size => channel.begin(size) }
    return channel.answer(offer)
  },
  accept: async (answer: string): Promise<void> => {
    await channel.accept(answer)
    ends.channel = { flow: () => channel.flow() }
  },

  begin: ({ way, window: size }: Run): void => {
    arrivals.reset()
    ends[way]?.begin?.(size)
  },
  /** Resolves once so many came and are done with. */
  end: ({ way }: Run, wanted: number): Promise<void> => arrivals.end(wanted, ends[way]?.settled),
  messages: ({ way, mode, bytes, window: size, extent }: Run): Promise<number> => {
    window.reset(size)
    return pump(ends[way]?.flow?.(mode) as Flow, window, contentOf(bytes), extent)
  },
  /** Keeps so many that nobody takes. */
  queue: (queued: Queued): Promise<void> => queue(async content => ends.afp?.queue?.(content, 'at-least-once'), queued),
  roundTrips: ({ way, mode, bytes }: Run, spell: Spell): Promise<number[]> => {
    window.reset(1)
    return roundTrips(ends[way]?.flow?.(mode) as Flow, contentOf(bytes), spell)
  },
}

declare global {
  interface Window {
    bench: typeof bench
  }
}

globalThis.window.bench = bench
