/**
 * A disk whose rows are in the product's SQLite store, redo log and all, in files that a power cut tears. Beside it is what
 * they should say: the same rows in memory, of which everybody else is told. Each time that the files are opened again they
 * have to say that, or that and the whole of what was being written.
 */

import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Random, seededRandom } from '../../../src/common/random.ts'
import { memoryStore } from '../../../src/store/memory.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'
import type { Batch, Store } from '../../../src/store/store.ts'
import type { Tearable } from '../mortal-store.ts'
import { imageOf, removeFiles, torn, watched, writeImage } from './power-cut.ts'
import { putAll, type Snapshot, snapshotOf } from './snapshot.ts'

/** Where systems have a folder in memory. */
const IN_MEMORY = '/dev/shm'
/** What has to be free there, bytes: some have little. */
const ENOUGH = 256 * 1024 * 1024

function parentFolder(): string {
  if (!existsSync(IN_MEMORY)) return tmpdir()
  const { bavail, bsize } = statfsSync(IN_MEMORY)
  return bavail * bsize < ENOUGH ? tmpdir() : IN_MEMORY
}

/** The files of a run. In memory, if there is such a folder: the syncs of thousands of commits take seconds. */
export class Files {
  readonly #folder = mkdtempSync(join(parentFolder(), 'afp-mesh-'))
  #count = 0

  newPath(): string {
    return join(this.#folder, `${this.#count++}.db`)
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** What is told of a disk in files. */
export interface FileNews {
  /** They were opened again after a power cut, with or without what was being written then. */
  cut(landed: boolean): void
  /** They say something else than they should. */
  wrong(what: string): void
}

/** See the head of this file. */
export class FileDisk implements Tearable {
  readonly durability = 'strict'
  /** What the files should say. */
  readonly model: Store
  readonly #files: Files
  readonly #news: FileNews
  readonly #underway = new Set<Promise<unknown>>()
  #path: string
  #opened: Promise<Store> | undefined
  /** What that has become. */
  #store: Store | undefined

  constructor(model: Store, files: Files, news: FileNews) {
    this.model = model
    this.#files = files
    this.#news = news
    this.#path = files.newPath()
    this.#become(this.#create())
  }

  async #create(): Promise<Store> {
    const store = await sqliteStore(this.#path)
    await putAll(store, await snapshotOf(this.model))
    return store
  }

  async get(...args: Parameters<Store['get']>): ReturnType<Store['get']> {
    return (await this.#open()).get(...args)
  }

  async range(...args: Parameters<Store['range']>): ReturnType<Store['range']> {
    return (await this.#open()).range(...args)
  }

  async count(...args: Parameters<Store['count']>): ReturnType<Store['count']> {
    return (await this.#open()).count(...args)
  }

  commit(batch: Batch): Promise<void> {
    // At once where it is open, as the store itself would: time goes on when what is due has had its turn.
    const store = this.#store
    const written = store === undefined ? this.#open().then(later => later.commit(batch)) : store.commit(batch)
    const work = written.then(() => this.model.commit(batch))
    const over = (): unknown => this.#underway.delete(work)
    this.#underway.add(work)
    work.then(over, over)
    return work
  }

  /** The power goes while it writes these in one go; resolves with how many of them are there all the same. */
  cut(batches: readonly Batch[], random: Random): Promise<number> {
    // How much is drawn for them is nothing to the rest of the run.
    const own = seededRandom(Math.floor(random.float() * 2 ** 31))
    const cutting = this.#cut(batches, own)
    this.#become(cutting.then(({ store }) => store))
    return cutting.then(({ landed }) => landed)
  }

  async #cut(batches: readonly Batch[], random: Random): Promise<{ store: Store; landed: number }> {
    const before = await this.#idle()
    const path = this.#path
    const images = await watched(path, () => Promise.allSettled(batches.map(batch => before.commit(batch))))
    const left = torn(images, random)
    await this.#moveTo(left, before)
    const store = await sqliteStore(this.#path)
    const landed = await this.#align(store, batches)
    if (batches.length > 0) this.#news.cut(landed > 0)
    return { store, landed }
  }

  /** Its agent has closed, and whoever gave it the store closes that. */
  close(): Promise<void> {
    const closing = this.#idle().then(store => store.close())
    this.#become(closing.then(() => this.#reopened()))
    return closing
  }

  /** Its process has ended, and nothing was closed. */
  kill(): void {
    const killed = this.#idle().then(store => this.#moveTo(imageOf(this.#path), store))
    this.#become(killed.then(() => this.#reopened()))
  }

  /** Nobody needs it any more: the files have to say what they should. */
  async end(): Promise<void> {
    await this.close()
    const store = await this.#open()
    this.#opened = undefined
    this.#store = undefined
    await store.close()
    removeFiles(this.#path)
  }

  async #reopened(): Promise<Store> {
    const store = await sqliteStore(this.#path)
    await this.#align(store, [])
    return store
  }

  /** Leaves what was in the files to another path; whoever has them open may do what it likes. */
  async #moveTo(image: ReturnType<typeof imageOf>, old: Store): Promise<void> {
    const before = this.#path
    this.#path = this.#files.newPath()
    writeImage(this.#path, image)
    await old.close()
    removeFiles(before)
  }

  async #idle(): Promise<Store> {
    const store = await this.#open()
    await Promise.allSettled(this.#underway)
    return store
  }

  /** Where it cannot be opened, whoever uses it is told. */
  #become(opened: Promise<Store>): void {
    this.#opened = opened
    this.#store = undefined
    opened.then(
      store => {
        if (this.#opened === opened) this.#store = store
      },
      () => {},
    )
  }

  #open(): Promise<Store> {
    return this.#opened ?? Promise.reject(new Error('nobody needs this disk any more'))
  }

  /** Holds what the files say against what they should, with or without what was being written; how much of that is there. */
  async #align(store: Store, batches: readonly Batch[]): Promise<number> {
    const rows = await snapshotOf(store)
    const without = await snapshotOf(this.model)
    if (batches.length > 0) {
      const trial = memoryStore()
      await putAll(trial, without)
      const fates = await Promise.allSettled(batches.map(batch => trial.commit(batch)))
      const written = fates.filter(({ status }) => status === 'fulfilled').length
      if (differs(rows, await snapshotOf(trial)) === undefined) {
        await Promise.allSettled(batches.map(batch => this.model.commit(batch)))
        return written
      }
    }
    const table = differs(rows, without)
    if (table !== undefined) this.#news.wrong(`its file has in ${table} neither what was there nor all that came`)
    return 0
  }
}

/** A table in which two disks are not the same. */
function differs(one: Snapshot, other: Snapshot): string | undefined {
  return one.find(({ rows }, at) => {
    const theirs = other[at]?.rows ?? []
    return (
      rows.length !== theirs.length ||
      rows.some(({ key, value }, i) => {
        const row = theirs[i]
        return (
          row === undefined || JSON.stringify(key) !== JSON.stringify(row.key) || Buffer.compare(value, row.value) !== 0
        )
      })
    )
  })?.table
}
