/** Storage of a tab's agent: the browser is asked that it may stay. */

import { afterEach, beforeEach, expect, it, type MockInstance, vi } from 'vitest'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { systemClock } from '../../src/common/clock.ts'
import { systemRandom } from '../../src/common/random.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { MemoryNet } from '../../src/network/memory.ts'

let asked: MockInstance<StorageManager['persist']>
beforeEach(() => {
  // Firefox would ask the person in front of it, who is nobody here.
  asked = vi.spyOn(navigator.storage, 'persist').mockResolvedValue(true)
})
afterEach(() => vi.restoreAllMocks())

/** How often the browser was asked by the time that an agent is there. */
async function asks(options: Partial<AgentOptions>): Promise<number> {
  const net = new MemoryNet({ clock: systemClock, random: systemRandom })
  const name = `tab-${crypto.randomUUID()}`
  const agent = await createAgent({ name, mesh: 'persist', carrier: ({ id }) => net.carrier(id), ...options })
  await agent.close()
  return asked.mock.calls.length
}

it('is asked for at the start of an agent that is given nothing, or who it is, once', async () => {
  expect(await asks({})).toBe(1)
  expect(await asks({ identity: await createIdentity() })).toBe(2)
})

it('is asked for by nobody who leaves that to the application, or is another agent at the next start', async () => {
  expect(await asks({ persistStorage: false })).toBe(0)
  expect(await asks({ identity: 'ephemeral' })).toBe(0)
})
