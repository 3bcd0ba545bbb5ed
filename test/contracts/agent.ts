import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest'
import type { AgentWorld } from '../agent/worlds.ts'
import { agentMessages } from './agent-messages.ts'
import { agentReceiving } from './agent-receiving.ts'
import { agentRefusals } from './agent-refusals.ts'
import { agentRequests } from './agent-requests.ts'
import { AgentTrio } from './agent-trio.ts'
import { turn } from './waiting.ts'

/** What agents do for each other when nothing goes wrong. Every carrier has to bear it. */
export function agentContract(name: string, make: () => Promise<AgentWorld>): void {
  describe(name, () => {
    const trio = new AgentTrio()
    beforeAll(async () => trio.open(await make()))
    afterEach(async () => {
      trio.clean()
      await turn()
      expect(trio.unhandled).toEqual([])
    })
    afterAll(() => trio.close())

    agentMessages(trio)
    agentRequests(trio)
    agentReceiving(trio)
    agentRefusals(trio)
  })
}
