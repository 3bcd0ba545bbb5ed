/** What becomes of agents in a frame without an origin: it tells the page that it is in. */

import { createAgent } from '../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import { memoryStore } from '../../src/store/memory.ts'

/** What an attempt came to: why it failed, and how many timers it left. */
export type Outcome =
  | 'done'
  | { readonly name: string; readonly code: string; readonly message: string; readonly timers: number }

const attempts = {
  nothing: start({}),
  persistent: start({ identity: 'persistent' }),
  given: start({ identity: await createIdentity() }),
  ephemeral: start({ identity: 'ephemeral' }),
  store: start({ store: memoryStore() }),
  'store and identity': start({ store: memoryStore(), identity: await createIdentity() }),
  'store, in one tab only': start({ store: memoryStore(), onIdentityInUse: 'error' }),
  database: attempt(clock => indexedDbStore('ada', { clock })),
}

function start(options: Partial<AgentOptions>): Promise<Outcome> {
  return attempt(async clock => {
    const agent = await createAgent({ name: 'ada', mesh: 'frame', clock, ...options })
    await agent.close()
  })
}

async function attempt(what: (clock: DrivenClock) => Promise<unknown>): Promise<Outcome> {
  const clock = new DrivenClock()
  try {
    await what(clock)
    return 'done'
  } catch (reason) {
    const { name, code, message } = reason as Error & { code: string }
    return { name, code, message, timers: clock.pending }
  }
}

const said: Record<string, Outcome> = {}
for (const [what, outcome] of Object.entries(attempts)) said[what] = await outcome
parent.postMessage(said, '*')
