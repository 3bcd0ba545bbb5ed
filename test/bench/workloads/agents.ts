/** Agents that take part in a workload: reliability off, on, and on with a disk. */

import { join } from 'node:path'
import { createAgent } from '../../../src/agent/create-agent.ts'
import { memoryStore } from '../../../src/store/memory.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'
import type { Kind } from '../targets.ts'
import type { Member, Serve } from './member.ts'

/** How long an answer may take, ms. */
const PATIENCE = 60_000

/** See the head of this file. */
export async function agentMember(kind: Exclude<Kind, 'plain'>, name: string, folder: string): Promise<Member> {
  const store = kind === 'durable' ? await sqliteStore(join(folder, `${name}.db`)) : memoryStore()
  const guarantee = kind === 'off' ? 'at-most-once' : 'at-least-once'
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const agent = await createAgent({ name, mesh: 'workload', listen, store, guarantee })
  for (const type of ['message:dropped', 'handler:error', 'store:error', 'refused', 'delivery:failed'] as const) {
    agent.addEventListener(type, event => {
      console.error(`${name}: ${type}`, event.detail)
      process.exit(1)
    })
  }
  let serve: Serve = async () => {}
  const ids = new Map<string, string>()
  agent.handle(async message => {
    let answer: Uint8Array | undefined
    const reply = async (content: Uint8Array): Promise<void> => {
      answer = content
    }
    await serve(message.content as Uint8Array, { reply })
    return answer
  })
  const idOf = (to: string): string => ids.get(to) as string
  return {
    address: { id: agent.id, address: agent.addresses[0] },
    meet: async others => {
      for (const [other, place] of Object.entries(others)) {
        const { id, address } = place as { id: string; address: string }
        // Of two that dial each other at once, as where others told them of each other, one gives way.
        await agent.connect(address).catch(() => {})
        await agent.waitFor(id, { timeout: PATIENCE })
        ids.set(other, id)
      }
    },
    serve: given => {
      serve = given
    },
    tell: async (to, content) => void (await agent.send(idOf(to), content)),
    ask: (to, content) => agent.request(idOf(to), content, { timeout: PATIENCE }),
    close: async () => {
      await agent.close()
      await store.close()
    },
  }
}
