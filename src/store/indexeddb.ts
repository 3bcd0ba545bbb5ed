/** A store in the browser's IndexedDB. */

import { deleteDB, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb'
import { type AbortOptions, abortable } from '../common/abort.ts'
import { type Clock, systemClock } from '../common/clock.ts'
import { AfpDataStoreError } from '../common/errors.ts'
import { nextTurn } from '../common/slices.ts'
import {
  type CheckedKey,
  checkedKey,
  closedError,
  conflictError,
  copy,
  holds,
  knownLimit,
  knownTable,
} from './batch.ts'
import { GroupCommit, type Pending } from './group-commit.ts'
import { SCHEMA_VERSION, TABLES, TABLES_BY_VERSION } from './schema.ts'
import type { Batch, Key, KeyRange, RangeOptions, Row, StorageState, Store } from './store.ts'

/** Options of {@link indexedDbStore}. */
export interface IndexedDbStoreOptions extends AbortOptions {
  /** Times {@link openTimeout}. Default: the platform's clock. */
  readonly clock?: Clock | undefined
  /** How long to wait for the database, as while tabs hold an older version of it open, in ms. Default: 10,000. */
  readonly openTimeout?: number | undefined
  /**
   * Told when the store closes although nobody asked: a newer version of the page upgrades or deletes the database, or
   * the browser took it away (site data cleared, disk lost). From then on every method rejects with CLOSED.
   */
  readonly onLost?: ((reason: AfpDataStoreError) => void) | undefined
}

/**
 * Opens the database `name` of this origin, creating or migrating it if need be. Commits ask for `strict` durability:
 * browsers' default resolves before the disk has the data. Two tabs may open the same store; who must be alone holds a
 * Web Lock.
 *
 * @throws AfpDataStoreError STORE_TOO_NEW when a newer version of this package wrote the database; STORE_IN_USE when it
 * does not open in time: another tab keeps an older version open, where the message says so; STORE_FAILED when the browser
 * does not give one (as in sandboxed frames, where cookies are blocked, and in some private windows)
 */
export async function indexedDbStore(name: string, options: IndexedDbStoreOptions = {}): Promise<Store> {
  try {
    return await open(name, options)
  } catch (error) {
    // A browser that clears the data of an origin ends what opens meanwhile; what opens next finds an empty database.
    if ((error as { cause?: Error } | undefined)?.cause?.name !== 'AbortError') throw error
    return await open(name, options)
  }
}

async function open(name: string, options: IndexedDbStoreOptions): Promise<Store> {
  const { clock = systemClock, signal, openTimeout = 10_000, onLost } = options
  signal?.throwIfAborted()
  const overdue = Promise.withResolvers<never>()
  let blocked = false
  // Not only from the `blocked` event on: it does not come when the wait is for another request, as for a deletion.
  const timer = clock.after(openTimeout, () => {
    const why = blocked
      ? `another tab has an older version of ${name} open`
      : `${name} did not open in ${openTimeout} ms`
    overdue.reject(new AfpDataStoreError('STORE_IN_USE', why, { reference: name }))
  })
  let store: IndexedDbStore | undefined
  let opening: Promise<IDBPDatabase> | undefined
  try {
    // Where storage is blocked this throws at once.
    opening = openDB(name, SCHEMA_VERSION, {
      upgrade: (db, oldVersion) => {
        // Nobody is in the way any more; a migration takes the time it takes.
        timer.cancel()
        for (const table of TABLES_BY_VERSION.slice(oldVersion).flat()) db.createObjectStore(table)
      },
      blocked: () => {
        blocked = true
      },
      blocking: () => store?.lose('a newer version of the page needs the database'),
      terminated: () => store?.lose('the browser closed the database'),
    })
    const db = await abortable(Promise.race([opening, overdue.promise]), signal)
    if (!TABLES.every(table => db.objectStoreNames.contains(table))) {
      throw new AfpDataStoreError('STORE_FAILED', `${name} is a database, but not a store`, { reference: name })
    }
    store = new IndexedDbStore(db, name, onLost)
    void endLog(name)
    return store
  } catch (error) {
    // An open request cannot be called off; what it still brings is closed at once, so that it blocks nobody.
    opening?.then(
      db => db.close(),
      () => {},
    )
    if (signal?.aborted) throw signal.reason
    throw mapError(error, name)
  } finally {
    timer.cancel()
  }
}

/**
 * Has Chromium begin a new log for what it writes from now on. It keeps IndexedDB in LevelDB, which goes on in the log that
 * it finds, also behind a record that a killed browser has left unfinished
 * ([google/leveldb#1287](https://github.com/google/leveldb/issues/1287)): the start after that takes the log for damaged,
 * and Chromium then deletes all that the origin has. Deleting a database, though an empty one, writes the log into the
 * tables and begins another. Costs about 10 ms, for which nobody waits; a kill within them is as before.
 */
async function endLog(name: string): Promise<void> {
  if (!/Chrom(e|ium)\//.test(navigator.userAgent)) return
  const empty = `log of ${name}`
  try {
    const db = await openDB(empty)
    db.close()
    await deleteDB(empty)
  } catch {
    // Full, or cleared meanwhile: it is done at the next start.
  }
}

class IndexedDbStore implements Store {
  readonly durability = 'strict'
  readonly #db: IDBPDatabase
  readonly #name: string
  readonly #onLost: ((reason: AfpDataStoreError) => void) | undefined
  readonly #commits = new GroupCommit(
    { key: checkedKey, range: keyRange, value: copy },
    group => this.#write(group),
    nextTurn,
  )
  #closing: Promise<void> | undefined
  #lost: AfpDataStoreError | undefined

  constructor(db: IDBPDatabase, name: string, onLost: ((reason: AfpDataStoreError) => void) | undefined) {
    this.#db = db
    this.#name = name
    this.#onLost = onLost
  }

  get(table: string, key: Key): Promise<Uint8Array | undefined> {
    return this.#read(table, () => this.#db.get(table, checkedKey(key)))
  }

  range(table: string, options: RangeOptions = {}): Promise<Row[]> {
    return this.#read(table, async () => {
      const interval = keyRange(options)
      const limit = knownLimit(options)
      if (interval === undefined || limit === 0) return []
      const rows = this.#db.transaction(table).store
      if (options.reverse && limit !== undefined) {
        const found: Row[] = []
        for (let at = await rows.openCursor(interval, 'prev'); at !== null; at = await at.continue()) {
          found.push({ key: readKey(at.key), value: at.value })
          if (found.length >= limit) break
        }
        return found
      }
      const most = limit === undefined ? undefined : Math.min(limit, MAX_COUNT)
      const [keys, values] = await Promise.all([rows.getAllKeys(interval, most), rows.getAll(interval, most)])
      const found = keys.map((key, i) => ({ key: readKey(key), value: values[i] }))
      return options.reverse ? found.reverse() : found
    })
  }

  count(table: string, range?: KeyRange): Promise<number> {
    return this.#read(table, async () => {
      const interval = keyRange(range)
      return interval === undefined ? 0 : this.#db.count(table, interval)
    })
  }

  async commit(batch: Batch, options: AbortOptions = {}): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost
    return this.#commits.add(batch, options.signal)
  }

  async state(): Promise<StorageState> {
    // Pages over plain http have no storage manager.
    const { usage, quota } = (await navigator.storage?.estimate()) ?? {}
    return { persistent: (await navigator.storage?.persisted()) ?? false, usage, quota }
  }

  async persist(): Promise<boolean> {
    return (await navigator.storage?.persist()) ?? false
  }

  close(): Promise<void> {
    this.#closing ??= this.#commits.close().then(() => this.#db.close())
    return this.#closing
  }

  /** Closes because somebody else asked for it: what was committed is still finished where the browser lets it. */
  lose(reason: string): void {
    if (this.#closing !== undefined) return
    this.#lost = new AfpDataStoreError('CLOSED', `the store was closed: ${reason}`, { reference: this.#name })
    void this.close()
    this.#onLost?.(this.#lost)
  }

  async #read<T>(table: string, query: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw this.#lost ?? closedError()
    knownTable(table)
    try {
      return await query()
    } catch (error) {
      throw this.#error(error)
    }
  }

  async #write(group: readonly Pending<CheckedKey, IDBKeyRange | undefined>[]): Promise<void> {
    let fates: readonly (AfpDataStoreError | undefined)[]
    try {
      fates = await this.#transact(group)
    } catch (cause) {
      const error = this.#error(cause)
      // Nothing of the group was written. One batch may be to blame, so each gets a transaction of its own.
      if (group.length > 1 && error.code !== 'CLOSED') for (const pending of group) await this.#write([pending])
      else for (const pending of group) pending.reject(error)
      return
    }
    for (const [i, pending] of group.entries()) {
      const fate = fates[i]
      if (fate === undefined) pending.resolve()
      else pending.reject(fate)
    }
  }

  /**
   * Writes a group in one transaction. Resolves with each batch's conflict, if any; rejects when nothing was written.
   * Only requests of the transaction itself are awaited in here: over anything else it would end too soon.
   */
  async #transact(
    group: readonly Pending<CheckedKey, IDBKeyRange | undefined>[],
  ): Promise<(AfpDataStoreError | undefined)[]> {
    const tables = new Set(group.flatMap(({ batch }) => [...batch.checks, ...batch.writes].map(({ table }) => table)))
    if (tables.size === 0) return group.map(() => undefined)
    const tx = this.#db.transaction([...tables], 'readwrite', { durability: 'strict' })
    const ended = endOf(tx)
    // Awaited below; until then a failure must not count as unhandled. The same for requests: the end tells why.
    ended.catch(() => {})
    const unhandled = (request: Promise<unknown>): Promise<unknown> => request.catch(() => {})
    const fates: (AfpDataStoreError | undefined)[] = []
    try {
      for (const { batch } of group) {
        const held = await Promise.all(batch.checks.map(({ table, key }) => tx.objectStore(table).get(key)))
        const failed = batch.checks.find(({ value }, i) => !holds(held[i], value))
        fates.push(failed && conflictError(failed.table))
        if (failed !== undefined) continue
        for (const write of batch.writes) {
          const rows = tx.objectStore(write.table)
          if (write.op === 'put') unhandled(rows.put(write.value, write.key))
          else if (write.op === 'delete') unhandled(rows.delete(write.key))
          else if (write.range !== undefined) unhandled(rows.delete(write.range))
        }
      }
      // It commits by itself once all requests are done. Asked to before, Firefox (153) commits the others of a batch
      // although one failed.
      await ended
    } catch (error) {
      // A request that could not even be made (a value beyond the engine's limit) leaves the transaction standing.
      abort(tx)
      await ended.catch(() => {})
      if (tx.error?.name === 'QuotaExceededError') this.#takeCleanup()
      throw tx.error ?? error
    }
    return fates
  }

  /** After one that found no room, the next one may only delete, in Firefox: an empty one, so that no batch meets it. */
  #takeCleanup(): void {
    try {
      endOf(this.#db.transaction(TABLES.slice(0, 1), 'readwrite')).catch(() => {})
    } catch {
      // The database is closed.
    }
  }

  #error(cause: unknown): AfpDataStoreError {
    return this.#lost ?? mapError(cause, this.#name)
  }
}

/** The most that `getAll` takes as its count: an unsigned 32-bit number. */
const MAX_COUNT = 2 ** 32 - 1

/** Above every key: IndexedDB orders arrays after everything that our keys hold. */
const TOP: IDBValidKey = []

/** An end of an interval. */
type Bound = readonly [key: IDBValidKey[], open: boolean]

/** The interval for IndexedDB, which orders arrays as keys have to be and refuses empty intervals. */
function keyRange({ prefix = [], gt, gte, lt, lte }: KeyRange = {}): IDBKeyRange | undefined {
  const first = checkedKey(prefix)
  /** The innermost of ends; `side` is 1 for lower ones. */
  const innermost = (side: number, outer: Bound, ...inner: (readonly [Key | undefined, boolean])[]): Bound => {
    for (const [key, open] of inner) {
      if (key === undefined) continue
      const bound = checkedKey(key)
      const order = side * indexedDB.cmp(bound, outer[0])
      if (order > 0 || (order === 0 && open)) outer = [bound, open]
    }
    return outer
  }
  const [lower, above] = innermost(1, [first, false], [gte, false], [gt, true])
  const [upper, below] = innermost(-1, [[...first, TOP], true], [lte, false], [lt, true])
  const order = indexedDB.cmp(lower, upper)
  return order > 0 || (order === 0 && (above || below)) ? undefined : IDBKeyRange.bound(lower, upper, above, below)
}

/** A key as IndexedDB gives it back: bytes come as buffers. */
const readKey = (key: IDBValidKey): Key =>
  (key as (number | string | ArrayBuffer)[]).map(part => (part instanceof ArrayBuffer ? new Uint8Array(part) : part))

/**
 * Resolves when a transaction is committed, rejects when it is taken back. `done` of idb rejects earlier: at the first
 * request that fails, when the transaction still stands, and in Firefox does not yet say why.
 */
function endOf(tx: IDBPTransaction<unknown, string[], IDBTransactionMode>): Promise<void> {
  tx.done.catch(() => {})
  return new Promise((resolve, reject) => {
    tx.addEventListener('complete', () => resolve())
    tx.addEventListener('abort', () => reject(tx.error ?? new DOMException('aborted', 'AbortError')))
  })
}

function abort(tx: { abort(): void }): void {
  try {
    tx.abort()
  } catch {
    // It has ended on its own.
  }
}

/** Without storage, as in a sandboxed frame or where cookies are blocked. */
const ADVICE = "give createAgent() store: memoryStore(), or identity: 'ephemeral'"

/** What the browser refused, as an error that says what is the matter with `name`. */
export function mapError(cause: unknown, name: string): AfpDataStoreError {
  if (cause instanceof AfpDataStoreError) return cause
  const options = { reference: name, cause }
  switch ((cause as Error).name) {
    case 'QuotaExceededError':
      return new AfpDataStoreError('STORE_FULL', `the browser gives ${name} no more room`, options)
    case 'VersionError':
      return new AfpDataStoreError('STORE_TOO_NEW', `${name} is of a newer version of this package`, options)
    case 'SecurityError':
      return new AfpDataStoreError('STORE_FAILED', `the browser gives this page no storage: ${ADVICE}`, options)
    default:
      return new AfpDataStoreError('STORE_FAILED', `${name} failed: ${(cause as Error).message}`, options)
  }
}
