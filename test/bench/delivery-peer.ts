/** The recipient of the delivery benchmark, in a process of its own. */

import { join } from 'node:path'
import { answerCalls } from '../../e2e/fixtures/process.ts'
import type { Agent } from '../../src/agent/agent.ts'
import { agentOf, STORES } from './agents.ts'
import { cpuTime, profiled } from './figures.ts'
import { rawRecipient } from './raw-stream.ts'

const agents: Agent[] = []
let count = 0
let enough: { readonly count: number; readonly reached: () => void } | undefined
let profiling: { readonly stop: () => void; readonly written: Promise<void> } | undefined

function received(): void {
  count++
  if (enough !== undefined && count >= enough.count) enough.reached()
}

answerCalls({
  /** Addresses of the raw node and of the agents. */
  start: async (folder: string) => {
    const raw = await rawRecipient(received)
    for (const store of STORES) {
      const agent = await agentOf('recipient', store, folder, { listen: ['/ip4/127.0.0.1/tcp/0'] })
      agent.handle(({ content, guarantee, id }, { expectsReply, transaction }) => {
        if (expectsReply) return content
        // What a handler keeps of a message. Without a read, so that no message waits for the disk of the one before.
        if (guarantee === 'exactly-once') transaction.put(['seen', id], true)
        received()
      })
      agents.push(agent)
    }
    return { raw, agents: agents.map(({ id, addresses }) => ({ id, addresses: [...addresses] })) }
  },
  /** Begins to count; tells the processor time so far. */
  begin: (profile?: string) => {
    count = 0
    enough = undefined
    if (profile !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const path = join(profile, 'recipient.cpuprofile')
      profiling = { stop: resolve, written: profiled(path, () => promise) }
    }
    return cpuTime()
  },
  /** Resolves once so many came; with how many, and the processor time so far. */
  end: async (wanted: number) => {
    if (count < wanted) {
      await new Promise<void>(reached => {
        enough = { count: wanted, reached }
      })
    }
    const cpu = cpuTime()
    profiling?.stop()
    await profiling?.written
    profiling = undefined
    return { count, cpu }
  },
})
