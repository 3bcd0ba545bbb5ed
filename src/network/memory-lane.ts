/** One direction between two peers of the network in memory: where delay, loss, duplication and reordering happen. */

import type { Clock } from '../common/clock.ts'
import type { Random } from '../common/random.ts'

/** What goes wrong. Probabilities are between 0 and 1 and are asked for each write and each gossip hop. */
export interface MemoryFaults {
  /** How long a write is under way, in whole ms, drawn evenly between the two. Default [0, 0]: the next microtask. */
  readonly delay: readonly [min: number, max: number]
  /** That a write never arrives; also that a dial or the opening of a channel fails. Default 0. */
  readonly loss: number
  /** That a write arrives twice. Default 0. */
  readonly duplication: number
  /** That a write is held back while later ones overtake it. Default 0. */
  readonly reordering: number
  /** How long a write is held back at most, ms beyond its delay. Default 50. */
  readonly reorderWindow: number
}

/** A network that carries everything at once and in order. */
export const NO_FAULTS: MemoryFaults = { delay: [0, 0], loss: 0, duplication: 0, reordering: 0, reorderWindow: 50 }

/** Something that happened in the network, for comparing runs. */
export interface MemoryEvent {
  /** Milliseconds of the clock's monotonic time. */
  readonly at: number
  readonly type:
    | 'start'
    | 'stop'
    | 'crash'
    | 'connect'
    | 'disconnect'
    | 'dial-failed'
    | 'open'
    | 'open-failed'
    | 'sent'
    | 'delivered'
    | 'lost'
    | 'duplicated'
    | 'reordered'
    | 'rejected'
    | 'cut'
    | 'healed'
    | 'killed'
  /** The place where it began. */
  readonly from: string
  /** The place where it ended or was to end; the same as `from` where only one is concerned. */
  readonly to: string
  /** The connection, channel or topic. */
  readonly on: string
  readonly bytes: number
}

/** What the parts of the network in memory share. */
export interface Medium {
  readonly clock: Clock
  readonly random: Random
  readonly faults: MemoryFaults
  /** Whether bytes pass now along these places, in this direction. */
  passes(path: readonly string[]): boolean
  record(type: MemoryEvent['type'], from: string, to: string, on: string, bytes?: number): void
}

/** Whether something of this probability happens; draws no number where the answer is certain. */
export function chance(medium: Medium, probability: number): boolean {
  return probability > 0 && medium.random.float() < probability
}

/** How long the next write is under way, ms. */
export function drawDelay(medium: Medium): number {
  const [min, max] = medium.faults.delay
  return max > min ? Math.round(min + (max - min) * medium.random.float()) : min
}

/** Calls back after `ms`, or in the next microtask where there is nothing to wait for. */
export function later(medium: Medium, ms: number, callback: () => void): void {
  if (ms > 0) medium.clock.after(ms, callback)
  else queueMicrotask(callback)
}

interface Item {
  readonly bytes: number
  readonly reliable: boolean
  readonly deliver: () => void
  /** What has to arrive first although it is held back. */
  after?: readonly Item[]
}

/** See the head of this file. */
export class Lane {
  readonly #medium: Medium
  readonly #path: readonly string[]
  readonly #on: string
  /** On their way, in order. A timer takes the first of them, whichever it was made for: timers may swap, order may not. */
  readonly #travelling: Item[] = []
  /** Arrived, and waiting because the receiver paused or the way is cut. */
  readonly #arrived: Item[] = []
  #lastAt = 0
  /** Held back so that others overtake. */
  readonly #late = new Set<Item>()
  #latestAt = 0
  #buffered = 0
  #held: boolean
  #flushing = false
  #dead = false
  /** Told whenever something left. */
  onSpace: (() => void) | undefined

  /** @param held - whether the receiver starts paused */
  constructor(medium: Medium, path: readonly string[], on: string, held = false) {
    this.#medium = medium
    this.#path = path
    this.#on = on
    this.#held = held
  }

  /** Bytes that were handed over and have not reached the receiver. */
  get buffered(): number {
    return this.#buffered
  }

  /** Hands over what a fault may hit. */
  push(bytes: number, deliver: () => void): void {
    if (this.#dead) return
    const medium = this.#medium
    this.#record('sent', bytes)
    if (chance(medium, medium.faults.loss)) return this.#record('lost', bytes)
    this.#schedule({ bytes, reliable: false, deliver })
    if (chance(medium, medium.faults.duplication)) {
      this.#record('duplicated', bytes)
      this.#schedule({ bytes: 0, reliable: false, deliver })
    }
  }

  /** Hands over what only a cut or the end of the connection stops; it arrives after everything before it. */
  pushReliable(bytes: number, deliver: () => void): void {
    if (this.#dead) return
    if (bytes > 0) this.#record('sent', bytes)
    this.#schedule({ bytes, reliable: true, deliver })
  }

  /** Stops delivery: the receiver paused. */
  hold(): void {
    this.#held = true
  }

  /** Delivers what waits, and what comes. */
  release(): void {
    this.#held = false
    this.flush()
  }

  /** Delivers what waits, where the receiver and the way allow it; to be called when a cut has healed. */
  flush(): void {
    if (this.#flushing) return
    this.#flushing = true
    try {
      while (!this.#held && !this.#dead && this.#medium.passes(this.#path)) {
        const item = this.#arrived.shift()
        if (item === undefined) break
        this.#buffered -= item.bytes
        if (item.bytes > 0) this.#record('delivered', item.bytes)
        item.deliver()
        this.onSpace?.()
      }
    } finally {
      this.#flushing = false
    }
  }

  /** Discards everything, now and from now on. */
  kill(): void {
    this.#dead = true
    this.#arrived.length = 0
    this.#travelling.length = 0
    this.#buffered = 0
  }

  #schedule(item: Item): void {
    const medium = this.#medium
    const now = medium.clock.monotonic()
    this.#buffered += item.bytes
    let at = now + drawDelay(medium)
    if (!item.reliable && chance(medium, medium.faults.reordering)) {
      this.#record('reordered', item.bytes)
      at += Math.ceil(1 + medium.faults.reorderWindow * medium.random.float())
      this.#late.add(item)
      this.#latestAt = Math.max(this.#latestAt, at)
      return later(medium, at - now, () => {
        this.#late.delete(item)
        this.#arrive(item)
      })
    }
    at = Math.max(at, this.#lastAt, item.reliable ? this.#latestAt : 0)
    this.#lastAt = at
    if (item.reliable) item.after = [...this.#late]
    this.#travelling.push(item)
    later(medium, at - now, () => this.#arriveNext())
  }

  #arriveNext(): void {
    const first = this.#travelling[0]
    if (first === undefined) return
    // A platform's timers may fire a little out of turn: what must come last waits for those that were held back.
    if (first.after?.some(item => this.#late.has(item))) return later(this.#medium, 1, () => this.#arriveNext())
    this.#travelling.shift()
    this.#arrive(first)
  }

  #arrive(item: Item): void {
    if (this.#dead) return
    this.#arrived.push(item)
    this.flush()
  }

  #record(type: MemoryEvent['type'], bytes: number): void {
    this.#medium.record(type, this.#path[0] ?? '', this.#path.at(-1) ?? '', this.#on, bytes)
  }
}
