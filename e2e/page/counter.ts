/**
 * An agent that sends numbers to another and notes those that it gets, the same in a tab and in Node. Each is noted
 * through its handler's transaction: what is in the notes was committed with the end of its message.
 */

import { type Agent, type AgentOptions, createAgent, systemClock } from 'agent-flow-protocol'

/** A number, and which start of its sender it is of: those of a sender that was killed are not known to the next. */
export type Counted = readonly [run: number, n: number]

/** What a counter says of a number: its send has resolved, its recipient is done with it, its own handler has run. */
export type Word = 'kept' | 'processed' | 'noted'

/** Options of an agent that counts. */
export interface CounterOptions extends AgentOptions {
  /** How many may be unprocessed, so that a kill meets messages at every stage. */
  readonly ahead: number
}

/** How long a handler waits at most, ms: so long that any machine keeps more messages than it handles. */
const MAX_WAIT = 20

/** See the head of this file. */
export class Counter {
  readonly #agent: Agent
  readonly #said: (what: Word, counted: Counted) => void
  readonly #ahead: number
  #over = false
  #sending: Promise<unknown> = Promise.resolve()

  private constructor(agent: Agent, ahead: number, said: (what: Word, counted: Counted) => void) {
    this.#agent = agent
    this.#ahead = ahead
    this.#said = said
    agent.handle<Counted>(async ({ content }, { transaction }) => {
      const count = Number((await transaction.get(['count'])) ?? 0)
      // Kills have to meet handlers that wait, too, each as long in every run.
      await new Promise<void>(resolve => systemClock.after((content[1] * 1.7) % MAX_WAIT, resolve))
      transaction.put(['noted', count], content)
      transaction.put(['count'], count + 1)
      this.#said('noted', content)
    })
  }

  static async start(
    { ahead, ...options }: CounterOptions,
    said: (what: Word, counted: Counted) => void,
  ): Promise<Counter> {
    return new Counter(await createAgent({ ...options, guarantee: 'exactly-once' }), ahead, said)
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
    const rows = await this.#agent.storage.list({ prefix: ['noted'] })
    return rows.map(({ value }) => value as unknown as Counted)
  }

  async #count(to: string, run: number): Promise<void> {
    const processed: Promise<unknown>[] = []
    for (let n = 1; !this.#over; n++) {
      const receipt = await this.#agent.send(to, [run, n])
      this.#said('kept', [run, n])
      processed.push(receipt.processed.then(() => this.#said('processed', [run, n])))
      if (processed.length > this.#ahead) await processed.shift()
    }
    await Promise.all(processed)
  }
}
