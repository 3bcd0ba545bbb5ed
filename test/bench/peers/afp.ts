/** Agents, with their stores in memory or on the disk: one at each end. */

import { join } from 'node:path'
import type { Agent } from '../../../src/agent/agent.ts'
import { createAgent } from '../../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../../src/agent/options.ts'
import type { Guarantee } from '../../../src/message/message.ts'
import { memoryStore } from '../../../src/store/memory.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'
import { Credits, creditFrame, creditOf, type Window } from '../flow.ts'
import { until } from '../until.ts'
import type { Adapter, Place } from './adapter.ts'

/** A benchmark that goes on over one of these measures something else. */
const FATAL = ['message:dropped', 'handler:error', 'store:error', 'link:closed', 'refused', 'delivery:failed'] as const
const TOPIC = 'bench'
/** For what is queued; nothing else comes near it. */
const ROOM = { messages: 200_000, bytes: 2 ** 31 }
/** How long an answer may take, ms. */
const PATIENCE = 30_000

/** A store in memory outlives the agent that has it. */
const inMemory = new Map<string, Store>()

/** A store as a pair has it. */
export async function storeOf({ peer, folder }: Place, name: string): Promise<Store> {
  if (peer !== 'afp-memory') return sqliteStore(join(folder, `${name}.db`))
  const store = inMemory.get(name) ?? memoryStore()
  inMemory.set(name, store)
  return store
}

/** An agent of a mesh of its own, so that only the two of a pair know each other. Once `signal` fires it may lose its link. */
export async function agentOf(
  name: string,
  store: Store,
  options: Partial<AgentOptions>,
  signal = new AbortController().signal,
): Promise<Agent> {
  const agent = await createAgent({ name, mesh: 'bench', listen: [], store, outbox: ROOM, ...options })
  for (const type of FATAL) {
    const fail = (event: CustomEvent<unknown>): void => {
      console.error(`${name}: ${type}`, event.detail)
      process.exit(1)
    }
    agent.addEventListener(type, fail, { signal })
  }
  return agent
}

const emptied = (store: Store, table: string): Promise<void> => until(async () => (await store.count(table)) === 0, 0)

async function receive(place: Place, arrived: () => void) {
  const store = await storeOf(place, 'recipient')
  const agent = await agentOf('recipient', store, { listen: ['/ip4/127.0.0.1/tcp/0'] })
  let sender = ''
  const credits = new Credits(count => void agent.send(sender, creditFrame(count), { guarantee: 'at-most-once' }))
  agent.handle(({ content, guarantee, id, sender: from }, { expectsReply, transaction }) => {
    if (expectsReply) return content
    // What a handler keeps of a message. Without a read, so that no message waits for the disk of the one before.
    if (guarantee === 'exactly-once') transaction.put(['seen', id], true)
    arrived()
    if (guarantee !== 'at-most-once') return undefined
    sender = from
    credits.arrived()
  })
  const published = agent.subscribe({ topic: TOPIC }, message => {
    sender = message.sender
    arrived()
    credits.arrived()
  })
  await published.ready
  return {
    address: { id: agent.id, addresses: [...agent.addresses] },
    begin: (window: number) => credits.reset(window),
    settled: () => emptied(store, 'inbox'),
  }
}

async function send(place: Place, address: unknown, window: Window) {
  const { id, addresses } = address as { id: string; addresses: string[] }
  const store = await storeOf(place, 'sender')
  const over = new AbortController()
  const agent = await agentOf('sender', store, { peers: addresses }, over.signal)
  agent.handle(({ content }) => window.free(creditOf(content as Uint8Array) ?? 0))
  await agent.waitFor(id)
  const fail = (error: unknown): void => window.fail(error)
  const gossip = {
    batch: 1,
    acknowledged: false,
    send: (content: Uint8Array) => void agent.publish(TOPIC, content).catch(fail),
  }
  return {
    flow: (mode: string) => {
      if (mode === 'publish') return gossip
      const guarantee = mode as Guarantee
      const acknowledged = guarantee !== 'at-most-once'
      return {
        batch: 1,
        acknowledged,
        send: (content: Uint8Array) => {
          const sent = agent.send(id, content, { guarantee })
          if (!acknowledged) sent.catch(fail)
          else sent.then(({ processed }) => processed).then(() => window.free(1), fail)
          return undefined
        },
        roundTrip: (content: Uint8Array) => agent.request(id, content, { guarantee, timeout: PATIENCE }),
      }
    },
    settled: () => emptied(store, 'outbox'),
    left: () => over.abort(),
    queue: (content: Uint8Array) => agent.send(id, content, { guarantee: 'at-least-once' }),
    close: async () => {
      await agent.close()
      if (place.peer !== 'afp-memory') await store.close()
    },
  }
}

async function open(place: Place): Promise<void> {
  await createAgent({ name: 'sender', mesh: 'bench', listen: [], store: await storeOf(place, 'sender'), outbox: ROOM })
}

/** See the head of this file. */
export const afp: Adapter = { receive, send, open }
