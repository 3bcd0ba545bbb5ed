/**
 * An agent that sends numbers to another and notes those that it gets, the same in a tab and in Node. Each is noted
 * through its handler's transaction: what is in the notes was committed with the end of its message.
 */

import { type Agent, type AgentOptions, createAgent, systemClock } from 'agent-flow-protocol'

/** A number, and which start of its sender it is of: those of a sender that was killed are not known to the next. */
export type Counted = readonly [run: number, n: number]

/** How many may be unprocessed, so that a kill meets messages at every stage. */
const AHEAD = 24

/** How long a handler waits at most, ms. */
const MAX_WAIT = 5

/** See the head of this file. */
export class Counter {
  readonly #agent: Agent
  readonly #said: (what: 'kept' | 'noted', counted: Counted) => void
  #over = false
  #sending: Promise<unknown> = Promise.resolve()

  private constructor(agent: Agent, said: (what: 'kept' | 'noted', counted: Counted) => void) {
    this.#agent = agent
    this.#said = said
    agent.handle<Counted>(async ({ content }, { transaction, expectsReply }) => {
      const count = Number((await transaction.get(['count'])) ?? 0)
      if (expectsReply) {
        return Promise.all(Array.from({ length: count }, (_, i) => transaction.get(['noted', i])))
      }
      // Kills have to meet handlers that wait, too, each as long in every run.
      await new Promise<void>(resolve => systemClock.after((content[1] * 1.7) % MAX_WAIT, resolve))
      transaction.put(['noted', count], content)
      transaction.put(['count'], count + 1)
      this.#said('noted', content)
    })
  }

  /** @param said is told of a number whose send has resolved, and of one whose handler has run */
  static async start(
    options: AgentOptions,
    said: (what: 'kept' | 'noted', counted: Counted) => void = () => {},
  ): Promise<Counter> {
    return new Counter(await createAgent({ ...options, guarantee: 'exactly-once' }), said)
  }

  get id(): string {
    return this.#agent.id
  }

  get addresses(): readonly string[] {
    return this.#agent.addresses
  }

  /** Sends numbers until it is {@link enough}. */
  count(to: string, run: number): void {
    this.#sending = this.#count(to, run)
  }

  /** Resolves when all that was sent in this run is processed. */
  async enough(): Promise<void> {
    this.#over = true
    await this.#sending
  }

  /** What was noted, in its order. */
  async noted(): Promise<Counted[]> {
    // A request like any other, to itself: its handler is what reads the notes.
    const { content } = await this.#agent.request(this.id, 'noted', { timeout: 20_000 })
    return content as unknown as Counted[]
  }

  async #count(to: string, run: number): Promise<void> {
    const processed: Promise<unknown>[] = []
    for (let n = 1; !this.#over; n++) {
      const receipt = await this.#agent.send(to, [run, n])
      this.#said('kept', [run, n])
      processed.push(receipt.processed)
      if (processed.length > AHEAD) await processed.shift()
    }
    await Promise.all(processed)
  }
}
