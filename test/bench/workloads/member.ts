/** Who takes part in a workload: the same for agents and for what they are compared with. */

/** How a worker answers what it was asked. */
export interface Asked {
  reply(content: Uint8Array): Promise<void>
}

/** What to do with a message. */
export type Serve = (content: Uint8Array, asked: Asked) => Promise<void>

/** See the head of this file. */
export interface Member {
  /** What others need to reach it. */
  readonly address: unknown
  /** Gets to know others by their names; resolves when it can reach them. */
  meet(others: Readonly<Record<string, unknown>>): Promise<void>
  serve(serve: Serve): void
  /** Sends on; resolves when it is sent, or kept where it is kept. */
  tell(to: string, content: Uint8Array): Promise<void>
  /** Sends, and waits for the answer. */
  ask(to: string, content: Uint8Array): Promise<unknown>
  /** Connections that it has now. */
  links(): number
  close(): Promise<void>
}

/** What a worker does with each message. */
export interface Duty {
  /** Ms of work, in which the processor is busy. */
  readonly work: number
  /** An API that it calls first. */
  readonly api?: string
  /** Who gets it then; undefined: whoever asked. */
  readonly next?: string
}

/** Keeps the processor busy. */
export function work(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end) {
    // What an agent thinks about.
  }
}
