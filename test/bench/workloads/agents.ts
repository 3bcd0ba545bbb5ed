/** Agents that take part in a workload: reliability off, on, and on with a disk. */

import { join } from 'node:path'
import { createAgent } from '../../../src/agent/create-agent.ts'
import { memoryStore } from '../../../src/store/memory.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'
import type { Kind } from '../targets.ts'
import { until } from '../until.ts'
import type { Member, Serve } from './member.ts'

/** How long an answer may take, ms. */
const PATIENCE = 60_000

/** What becomes of a dial that failed: there is another one, until it is too late. */
const goOn =
  (late: AbortSignal) =>
  (error: unknown): boolean => {
    if (late.aborted) throw error
    return false
  }

/** See the head of this file. */
export async function agentMember(kind: Exclude<Kind, 'plain'>, name: string, folder: string): Promise<Member> {
  const store = kind === 'durable' ? await sqliteStore(join(folder, `${name}.db`)) : memoryStore()
  const guarantee = kind === 'off' ? 'at-most-once' : 'at-least-once'
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const agent = await createAgent({ name, mesh: 'workload', listen, store, guarantee })
  for (const type of ['message:dropped', 'handler:error', 'store:error', 'delivery:failed'] as const) {
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
      const late = AbortSignal.timeout(PATIENCE)
      // At once, before they hear of each other, and are busy with that.
      await Promise.all(
        Object.entries(others).map(async ([other, place]) => {
          const { id, address } = place as { id: string; address: string }
          const linked = (): boolean => agent.peers().some(({ card, link }) => card.id === id && link !== undefined)
          // On a busy machine a dial may run out of its time, and of two that dial each other at once one gives way.
          const dial = () => agent.connect(address, { signal: late }).then(linked, goOn(late))
          await until(async () => linked() || (await dial()), 200)
          ids.set(other, id)
        }),
      )
    },
    serve: given => {
      serve = given
    },
    tell: async (to, content) => void (await agent.send(idOf(to), content)),
    ask: (to, content) => agent.request(idOf(to), content, { timeout: PATIENCE }),
    links: () => agent.peers().filter(({ link }) => link !== undefined).length,
    close: async () => {
      await agent.close()
      await store.close()
    },
  }
}
