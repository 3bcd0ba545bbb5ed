/**
 * Ten classes, each in the order of its numbers, that share one way out by weight (stride scheduling): a higher class goes more often,
 * and none starves. Class p has the weight (p + 1)^2, so 9 goes a hundred times as often as 0 while both have something.
 */

import { Heap } from '../common/heap.ts'

const CLASSES = 10
/** Divisible by every weight, so that strides are exact. */
const SCALE = 6_350_400

/** See the head of this file. */
export class PriorityQueue<T> {
  readonly #classes: readonly Heap<T>[]
  /** How far each class has come. The one that is furthest behind goes next. */
  readonly #pass = new Float64Array(CLASSES)
  /** The pass of what went last: where a class that was empty joins in, so that it has nothing saved up. */
  #now = 0

  /** @param gone whether an item no longer counts; taking it out of the middle would be linear */
  constructor(gone?: (item: T) => boolean) {
    this.#classes = Array.from({ length: CLASSES }, () => new Heap<T>(gone))
  }

  /** Whether {@link shift} has nothing to give. */
  get empty(): boolean {
    return this.#classes.every(queue => queue.peek() === undefined)
  }

  /** Adds an item; `order` is its place within its class. */
  push(priority: number, order: number, item: T): void {
    const queue = this.#classes[priority] as Heap<T>
    if (queue.peek() === undefined) this.#pass[priority] = Math.max(this.#pass[priority] as number, this.#now)
    queue.push(order, item)
  }

  /** @param oldest what has the least order goes, whatever its class, and out of turn: its class owes nothing for it */
  shift(oldest = false): T | undefined {
    let best = -1
    let least = Number.POSITIVE_INFINITY
    for (let priority = CLASSES - 1; priority >= 0; priority--) {
      const first = (this.#classes[priority] as Heap<T>).peek()
      const at = oldest ? first : this.#pass[priority]
      if (first === undefined || (at as number) >= least) continue
      best = priority
      least = at as number
    }
    if (best < 0) return undefined
    const pass = this.#pass[best] as number
    if (!oldest) {
      this.#now = pass
      this.#pass[best] = pass + SCALE / (best + 1) ** 2
    }
    return (this.#classes[best] as Heap<T>).shift(Number.POSITIVE_INFINITY)
  }
}
