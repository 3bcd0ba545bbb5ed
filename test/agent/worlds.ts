/** Places in which agents meet. */

import { afterEach, beforeEach } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { MemoryNet } from '../../src/network/memory.ts'
import { turn } from '../contracts/waiting.ts'

/** See the head of this file. */
export interface AgentWorld {
  /** A new agent, linked with every one that is here. */
  join(name: string, options?: Partial<AgentOptions>): Promise<Agent>
  /** Lets everything that is under way go on for a while. */
  pass(): Promise<void>
  close(): Promise<void>
}

/** Every agent sees and has a link to every other, in both directions, and gossip between all of them flows. */
export async function acquainted(agents: readonly Agent[]): Promise<void> {
  for (const agent of agents) {
    for (const other of agents) if (other !== agent) await linked(agent, other)
  }
  // Who is in which topics is told in its own time, the newest topic last: a message that reached everybody says that
  // it was.
  const subscriptions = agents.map(agent => agent.subscribe({ topic: 'acquaintance' }, () => {}))
  for (const agent of agents) {
    const reached = async (): Promise<boolean> => {
      const { peers } = await agent.publish('acquaintance', null)
      return agents.every(other => other === agent || peers.includes(other.id))
    }
    while (!(await reached())) await turn()
  }
  for (const subscription of subscriptions) subscription.unsubscribe()
}

function linked(agent: Agent, other: Agent): Promise<void> {
  return new Promise(resolve => {
    const listening = new AbortController()
    const look = (): void => {
      if (agent.peers().find(({ card }) => card.id === other.id)?.link === undefined) return
      listening.abort()
      resolve()
    }
    for (const type of ['peer:online', 'peer:changed', 'link:open'] as const) {
      agent.addEventListener(type, look, { signal: listening.signal })
    }
    look()
  })
}

/** Agents in Node on loopback. */
export async function loopbackWorld(): Promise<AgentWorld> {
  const agents: Agent[] = []
  return {
    join: async (name, options = {}) => {
      const peers = agents.flatMap(agent => agent.addresses.slice(0, 1))
      const guarantee = 'at-most-once'
      const listen = ['/ip4/127.0.0.1/tcp/0']
      const agent = await createAgent({ name, mesh: 'demo', listen, peers, guarantee, ...options })
      agents.push(agent)
      return agent
    },
    pass: async () => {
      for (let i = 0; i < 50; i++) await turn()
    },
    close: async () => {
      await Promise.all(agents.map(agent => agent.close()))
    },
  }
}

/** Agents in memory on a clock that stands still until {@link DrivenWorld.clock} is moved. */
export interface DrivenWorld extends AgentWorld {
  readonly clock: DrivenClock
  readonly net: MemoryNet
  /** Runs the clock, a little each turn of the event loop, until a promise has settled. */
  during<T>(promise: Promise<T>): Promise<T>
}

export function drivenWorld(seed = 1, start?: number): DrivenWorld {
  const clock = new DrivenClock(start)
  const random = seededRandom(seed)
  const net = new MemoryNet({ clock, random })
  const agents: Agent[] = []
  const driven: DrivenWorld = {
    clock,
    net,
    join: async (name, options = {}) => {
      const peers = agents.flatMap(agent => agent.addresses.slice(0, 1))
      const agent = await createAgent({
        name,
        mesh: 'demo',
        peers,
        guarantee: 'at-most-once',
        carrier: ({ id }) => net.carrier(id),
        clock,
        random,
        ...options,
      })
      agents.push(agent)
      return agent
    },
    pass: () => clock.advance(200),
    during: async promise => {
      let over = false
      const done = (): void => {
        over = true
      }
      promise.then(done, done)
      while (!over) await clock.advance(5)
      return promise
    },
    close: async () => {
      await driven.during(Promise.all(agents.map(agent => agent.close())))
    },
  }
  return driven
}

/** A driven world, and two agents in it who know each other; made anew for each test by {@link adaAndBob}. */
export let world: DrivenWorld
export let ada: Agent
export let bob: Agent

export function adaAndBob(): void {
  beforeEach(async () => {
    world = drivenWorld()
    ada = await world.join('ada')
    bob = await world.join('bob')
    await world.during(acquainted([ada, bob]))
  })
  afterEach(() => world.close())
}

/** Agents in memory on a clock that goes on by itself. */
export async function memoryWorld(): Promise<AgentWorld> {
  const driven = drivenWorld()
  let over = false
  const driving = (async () => {
    while (!over) await driven.clock.advance(5)
  })()
  return {
    join: driven.join,
    pass: async () => {
      for (let i = 0; i < 50; i++) await turn()
    },
    close: async () => {
      over = true
      await driving
      await driven.close()
    },
  }
}
