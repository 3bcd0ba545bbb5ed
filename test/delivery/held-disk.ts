import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'

/** A disk whose commits can be counted, held up and lost. */
export class Disk {
  readonly rows: Store
  /** How many more commits are made; those after them neither succeed nor fail. */
  left = Number.POSITIVE_INFINITY
  /** Commits wait for it. */
  gate: Promise<void> = Promise.resolve()
  /** How many do. */
  waiting = 0

  /** @param rows what it holds, as of a run before */
  constructor(rows: Store = memoryStore()) {
    this.rows = rows
  }

  get store(): Store {
    const { rows } = this
    return Object.assign(Object.create(rows) as Store, {
      durability: rows.durability,
      get: rows.get.bind(rows),
      range: rows.range.bind(rows),
      count: rows.count.bind(rows),
      commit: async (...batch: Parameters<Store['commit']>) => {
        this.waiting++
        await this.gate
        this.waiting--
        if (this.left-- <= 0) return new Promise<void>(() => {})
        return rows.commit(...batch)
      },
      close: async () => {},
    })
  }
}
