/** Agents on a network in memory, with clocks that run: for suites that pages run too. */

import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { systemClock } from '../../src/common/clock.ts'
import type { Random } from '../../src/common/random.ts'
import { MemoryNet } from '../../src/network/memory.ts'

/** See the head of this file. */
export class MemoryAgents {
  readonly #mesh: string
  readonly #net: MemoryNet
  readonly #agents: Agent[] = []

  constructor(mesh: string, random: Random) {
    this.#mesh = mesh
    this.#net = new MemoryNet({ clock: systemClock, random })
  }

  /** A new one, which finds those that are there. */
  async join(name: string, options: Partial<AgentOptions> = {}): Promise<Agent> {
    const peers = this.#agents.flatMap(({ addresses }) => addresses.slice(0, 1))
    const carrier: AgentOptions['carrier'] = ({ id }) => this.#net.carrier(id)
    const agent = await createAgent({ name, mesh: this.#mesh, peers, carrier, ...options })
    this.#agents.push(agent)
    return agent
  }

  async close(): Promise<void> {
    await Promise.all(this.#agents.map(agent => agent.close()))
  }
}
