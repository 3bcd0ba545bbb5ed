/**
 * Long work in slices, so that whatever else is due, as frames, pings and input, has its turn in between. A slice ends by
 * what was done in it and not by the time it took: so it ends at the same place in every run.
 */

/** Items of a slice, and bytes of them. */
export const SLICE_ITEMS = 64
export const SLICE_BYTES = 2 ** 18

/** Resolves in a later task of the event loop. */
export type NextTask = () => Promise<void>

/** What is to be called back in tasks to come, in their order, and the port that makes a task of each. */
const turns: (() => void)[] = []
let port: MessagePort | undefined

/** Calls back in a task of its own. Not by a timer: hidden tabs have theirs slowed down to one a second, or a minute. */
export function nextTurn(run: () => void): void {
  if (typeof setImmediate === 'function') {
    setImmediate(run)
    return
  }
  turns.push(run)
  port ??= openPort()
  port.postMessage(null)
}

/** One for all: a channel for each would cost more than what is done in most turns. */
function openPort(): MessagePort {
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = () => turns.shift()?.()
  return port2
}

/** The platform's. */
export const nextTask: NextTask = () => new Promise(nextTurn)

/** See the head of this file. */
export class Slices {
  readonly #next: NextTask
  readonly #most: { readonly items: number; readonly bytes: number }
  #items = 0
  #bytes = 0

  constructor(next: NextTask = nextTask, most = { items: SLICE_ITEMS, bytes: SLICE_BYTES }) {
    this.#next = next
    this.#most = most
  }

  /** Whether {@link pause} is to be awaited before anything more. */
  get full(): boolean {
    return this.#items >= this.#most.items || this.#bytes >= this.#most.bytes
  }

  /** Something is done, with so many bytes; whether that makes the slice full. */
  did(bytes = 0, items = 1): boolean {
    this.#items += items
    this.#bytes += bytes
    return this.full
  }

  /** Ends the slice. */
  pause(): Promise<void> {
    this.#items = 0
    this.#bytes = 0
    return this.#next()
  }
}

/** Items one by one, a slice at a time. */
export async function* inSlices<T>(items: Iterable<T>, next?: NextTask): AsyncGenerator<T> {
  const slices = new Slices(next)
  for (const item of items) {
    if (slices.full) await slices.pause()
    yield item
    slices.did()
  }
}
