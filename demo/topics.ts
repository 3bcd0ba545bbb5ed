/** The topics that the page is in: joined, left, and kept for the next run. */

import type { Agent, Message } from 'agent-flow-protocol'
import type { History } from './history.ts'
import { reasonOf } from './reasons.ts'
import { LOBBY, type Store, select } from './state.ts'

/** Most topics a page joins. */
export const MAX_TOPICS = 24

/** See the head of this file. */
export class Topics {
  readonly #agent: Agent
  readonly #store: Store
  readonly #history: History
  readonly #onMessage: (topic: string, message: Message) => void
  /** What leaves each of them. */
  readonly #joined = new Map<string, () => void>()

  constructor(agent: Agent, store: Store, history: History, onMessage: (topic: string, message: Message) => void) {
    this.#agent = agent
    this.#store = store
    this.#history = history
    this.#onMessage = onMessage
  }

  /** Why a topic could not be joined, in words; undefined when the page is in it. */
  join(topic: string): string | undefined {
    if (this.#joined.has(topic)) return undefined
    if (this.#joined.size >= MAX_TOPICS) return `A page joins ${MAX_TOPICS} topics. Leave one first.`
    try {
      const { id } = this.#agent.subscribe({ topic, description: `topic ${topic}` }, message =>
        this.#onMessage(topic, message),
      )
      this.#joined.set(topic, () => this.#agent.unsubscribe(id))
    } catch (error) {
      return `It was not joined: ${reasonOf(error)}.`
    }
    this.#show()
    if (topic !== LOBBY) this.#keep()
    return undefined
  }

  leave(topic: string): void {
    this.#joined.get(topic)?.()
    this.#joined.delete(topic)
    this.#keep()
    this.#show()
    this.#store.update(state => (state.selected === `topic:${topic}` ? select(state, 'everyone') : state))
  }

  #show(): void {
    this.#store.update(state => ({ ...state, topics: [...this.#joined.keys()] }))
  }

  #keep(): void {
    this.#history.topics([...this.#joined.keys()])
  }
}
