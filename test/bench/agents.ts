/** The agents of the delivery benchmark, the same on both sides: one with its store in memory, one with it on the disk. */

import { join } from 'node:path'
import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'

export const STORES = ['memory', 'sqlite'] as const
export type StoreName = (typeof STORES)[number]

/** What a commit survives. Both sides have the same. */
export const DURABILITY: Readonly<Record<StoreName, string>> = {
  memory: 'none',
  sqlite: 'WAL, synchronous=FULL, one transaction and one sync for what is committed in a turn of the event loop',
}

/** A benchmark that goes on over an error measures something else. */
const FATAL = ['message:dropped', 'handler:error', 'store:error', 'link:closed'] as const

/** An agent of a mesh of its own, so that only the two of a pair know each other. Once `signal` fires it may lose its link. */
export async function agentOf(
  name: string,
  store: StoreName,
  folder: string,
  network: { listen?: string[]; peers?: readonly string[] },
  signal: AbortSignal = new AbortController().signal,
): Promise<Agent> {
  const agent = await createAgent({
    name,
    mesh: `bench-${store}`,
    listen: [],
    store: store === 'memory' ? memoryStore() : await sqliteStore(join(folder, `${name}.db`)),
    ...network,
  })
  const fail = (type: string) => (event: CustomEvent<unknown>) => {
    console.error(`${name}, store ${store}: ${type}`, event.detail)
    process.exit(1)
  }
  for (const type of FATAL) agent.addEventListener(type, fail(type), { signal })
  return agent
}
