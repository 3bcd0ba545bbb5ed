/** Agents, with their stores in memory or on the disk: one at each end. */

import { join } from 'node:path'
import type { Agent } from '../../../src/agent/agent.ts'
import { createAgent } from '../../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../../src/agent/options.ts'
import { createIdentity } from '../../../src/identity/keys.ts'
import { memoryStore } from '../../../src/store/memory.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'
import type { SendWindow } from '../flow.ts'
import { type Adapter, type Place, STRANGER } from './adapter.ts'
import { FATAL, sendMessages, takeMessages } from './agents.ts'

/** For what is queued; nothing else comes near it. */
const ROOM = { messages: 200_000, bytes: 2 ** 31 }
/** A store in memory outlives the agent that has it. */
const inMemory = new Map<string, Store>()

/** A store as a pair has it. */
export async function storeOf({ peer, folder }: Place, name: string): Promise<Store> {
  if (peer !== 'afp-memory') return sqliteStore(join(folder, `${name}.db`))
  const store = inMemory.get(name) ?? memoryStore()
  inMemory.set(name, store)
  return store
}

/** An agent of a mesh of its own, so that only the two of a pair know each other. Once `signal` fires it may fail. */
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
  agent.addEventListener('link:closed', () => console.error(`${name}: a link was lost`), { signal })
  return agent
}

async function receive(place: Place, arrived: () => void) {
  const store = await storeOf(place, 'recipient')
  const agent = await agentOf('recipient', store, { listen: ['/ip4/127.0.0.1/tcp/0'] })
  const taking = await takeMessages(agent, store, arrived)
  return { ...taking, address: { id: agent.id, addresses: [...agent.addresses] } }
}

async function send(place: Place, address: unknown, window: SendWindow) {
  const { id, addresses } = address as { id: string; addresses: string[] }
  const store = await storeOf(place, 'sender')
  const over = new AbortController()
  const agent = await agentOf('sender', store, { peers: addresses }, over.signal)
  await agent.waitFor(id)
  const { id: stranger } = await createIdentity()
  return {
    ...sendMessages(agent, store, id, window),
    left: () => over.abort(),
    queue: (content: Uint8Array, mode: string) =>
      agent.send(mode === STRANGER ? stranger : id, content, { guarantee: 'at-least-once' }),
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
