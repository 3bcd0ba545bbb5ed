/** Three agents that know each other, for contracts. */

import type { Agent } from '../../src/agent/agent.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import type { Content, Message } from '../../src/message/message.ts'
import { type AgentWorld, acquainted } from '../agent/worlds.ts'
import { turn } from './waiting.ts'

/** See the head of this file. Bob offers `sum` and `echo`, eve `echo`. The agents are there once it is open. */
export class AgentTrio {
  declare world: AgentWorld
  declare ada: Agent
  declare bob: Agent
  declare eve: Agent
  /** An id that nobody has. */
  declare stranger: string
  /** Rejections that nobody handled. */
  readonly unhandled: unknown[] = []
  readonly #onUnhandled = (error: unknown): void => void this.unhandled.push(error)

  async open(world: AgentWorld): Promise<void> {
    process.on('unhandledRejection', this.#onUnhandled)
    this.world = world
    this.ada = await world.join('ada', { description: 'asks' })
    this.bob = await world.join('bob', { capabilities: ['sum', 'echo'] })
    this.eve = await world.join('eve', { capabilities: ['echo'] })
    await acquainted([this.ada, this.bob, this.eve])
    this.stranger = (await createIdentity()).id
  }

  /** Forgets what a test left behind. */
  clean(): void {
    for (const agent of [this.ada, this.bob, this.eve]) {
      for (const subscription of agent.subscriptions.list()) subscription.unsubscribe()
      agent.receiveAll()
    }
  }

  async close(): Promise<void> {
    await this.world.close()
    process.off('unhandledRejection', this.#onUnhandled)
  }

  /** What waits at `to` when everything that `from` sent it before has arrived. */
  readonly arrived = async (from: Agent, to: Agent): Promise<Message[]> => {
    const seen: Message[] = []
    const { id } = await from.send(to.id, 'all?')
    for (;;) {
      const message = await to.receive()
      if (message.id === id) return seen
      seen.push(message)
    }
  }

  /** Publishes until `count` peers have got it, and says which message they got. */
  readonly published = async (agent: Agent, topic: string, content: Content, count: number): Promise<string> => {
    for (;;) {
      const { id, peers } = await agent.publish(topic, content)
      if (peers.length >= count) return id
      await turn()
    }
  }
}
