/**
 * What a handler reads and writes, collected until it is done and committed together with the message's position: both
 * are on the disk, or neither. Nothing is held while the handler waits for a timer or a fetch; what it read is checked
 * at the end instead, and if another handler changed it in between, the handler runs again on what there is now.
 */

import { equal } from '../common/bytes.ts'
import {
  BOOLEAN,
  checkOption,
  checkOptions,
  FUNCTION,
  type OptionCheck,
  type OptionChecks,
  WHOLE,
} from '../common/check-options.ts'
import { AfpDataStoreError, isConflict } from '../common/errors.ts'
import { Underway } from '../common/underway.ts'
import { decode, encode } from '../message/codec.ts'
import { contentFromWire, contentToWire, toContent } from '../message/content.ts'
import type { Content } from '../message/message.ts'
import { checkedKey } from '../store/batch.ts'
import { encodeKey } from '../store/key.ts'
import type { Check, Key, RangeOptions, Store, Write } from '../store/store.ts'

const TABLE = 'app'

/** What a handler may keep in one message, bytes of keys and values. */
const MAX_BYTES = 4 * 1_048_576

/**
 * A handler's reads and writes; see the head of this file. Writes are seen by the handler itself at once, by everybody
 * else when the message is processed. After the handler has returned or thrown, every method throws CLOSED.
 *
 * @example
 * ```ts
 * import { createAgent } from 'agent-flow-protocol'
 *
 * const bank = await createAgent({ name: 'bank', mesh: 'demo', listen: ['/ip4/127.0.0.1/tcp/0'] })
 * bank.handle<{ account: string; amount: number }>(async ({ content }, { transaction }) => {
 *   const balance = (await transaction.get<number>(['balance', content.account])) ?? 0
 *   transaction.put(['balance', content.account], balance + content.amount)
 * })
 *
 * const ada = await createAgent({ name: 'ada', mesh: 'demo', peers: bank.addresses })
 * const receipt = await ada.send(bank.id, { account: 'ada', amount: 5 }, { guarantee: 'exactly-once' })
 * await receipt.processed
 * console.log((await bank.storage.list())[0]) // { key: [ 'balance', 'ada' ], value: 5 }
 *
 * await ada.close()
 * await bank.close()
 * ```
 */
export interface Transaction {
  /**
   * A value, as it was before this handler or as this handler wrote it; undefined when there is none.
   * @typeParam C - what the application wrote there; nothing checks it
   * @throws AfpDataStoreError CLOSED, STORE_FAILED, INVALID_OPTION for a key that cannot be one
   */
  get<C extends Content = Content>(key: Key): Promise<C | undefined>
  /** @throws AfpDataStoreError CLOSED, INVALID_OPTION, STORE_FULL above 4 MiB; AfpMessageError INVALID_CONTENT */
  put(key: Key, value: Content): void
  /** @throws AfpDataStoreError CLOSED, INVALID_OPTION */
  delete(key: Key): void
}

/** What an agent keeps for its application: what handlers write through their transactions, seen from outside of them. */
export interface KeptValues {
  /**
   * Keys and values in the order of the keys, all of one moment.
   * @typeParam C - what the application wrote there; nothing checks it
   * @throws AfpError INVALID_OPTION for an option that is none
   * @throws AfpDataStoreError as `Store.range`
   */
  list<C extends Content = Content>(range?: RangeOptions): Promise<{ readonly key: Key; readonly value: C }[]>
  /**
   * Reads and writes in one step, as a handler does: what `work` wrote is on the disk when this resolves, and nothing of
   * it when this rejects. It runs again where somebody else changed what it had read, so it should do nothing else.
   * A handler writes when its message is processed, which may wait until there is room: a change that comes before that
   * is overwritten, unless the handler has read the key and so runs again. An agent that closes waits up to 5 s for it.
   * @throws AfpError INVALID_OPTION where `work` is no function; CLOSED where the agent has closed before `work` was done
   * @throws AfpDataStoreError STORE_FULL, STORE_FAILED; STORE_CONFLICT when that happens again and again
   */
  change<T>(work: (transaction: Transaction) => T | Promise<T>): Promise<T>
}

/** How often {@link KeptValues.change} begins anew. */
const MAX_CONFLICTS = 16

const KEY: OptionCheck = ['an array of strings, numbers and Uint8Arrays', Array.isArray]
const RANGE: OptionChecks<RangeOptions> = {
  prefix: KEY,
  gt: KEY,
  gte: KEY,
  lt: KEY,
  lte: KEY,
  reverse: BOOLEAN,
  limit: WHOLE,
}

/**
 * @param store gives the store, or throws CLOSED once the agent is to close; what was begun before goes on until it is closed
 * @param changes waits for these
 */
export const keptValues = (store: () => Store, changes = new Underway()): KeptValues => ({
  list: async <C extends Content>(range: RangeOptions = {}) => {
    checkOptions('storage.list()', range, RANGE)
    return (await store().range(TABLE, range)).map(({ key, value }) => ({ key, value: read(value) as C }))
  },
  change: async work => {
    checkOption("storage.change()'s work", work, FUNCTION)
    const open = store()
    return changes.add(
      (async () => {
        for (let conflicts = 0; ; conflicts++) {
          const transaction = new BufferedTransaction(open)
          try {
            const result = await work(transaction)
            await open.commit(transaction.end())
            return result
          } catch (error) {
            transaction.end()
            if (!isConflict(error) || conflicts >= MAX_CONFLICTS) throw error
          }
        }
      })(),
    )
  },
})

/** The transaction of one run of a handler. */
export class BufferedTransaction implements Transaction {
  readonly #store: Store
  readonly #readable: (key: string) => Promise<void> | undefined
  /** By encoded key, as text: what was read, and what is to be written. */
  readonly #reads = new Map<string, { key: Key; value: Uint8Array | undefined }>()
  readonly #writes = new Map<string, { key: Key; value: Uint8Array | undefined }>()
  #bytes = 0
  #ended = false
  #conflict: AfpDataStoreError | undefined

  /** @param readable resolves when a key, as text, may be read; undefined: at once */
  constructor(store: Store, readable: (key: string) => Promise<void> | undefined = () => undefined) {
    this.#store = store
    this.#readable = readable
  }

  /** Somebody else wrote what was being read: whatever the handler made of that. */
  get conflict(): AfpDataStoreError | undefined {
    return this.#conflict
  }

  async get<C extends Content>(key: Key): Promise<C | undefined> {
    const name = this.#name(key)
    const written = this.#writes.get(name)
    if (written !== undefined) return read(written.value) as C | undefined
    const known = this.#reads.get(name)
    if (known !== undefined) return read(known.value) as C | undefined
    const own = checkedKey(key)
    const readable = this.#readable(name)
    if (readable !== undefined) await readable
    const value = await this.#store.get(TABLE, own)
    this.#open()
    // Two reads of one key may have been under way: the first one counts.
    const first = this.#reads.get(name)
    if (first === undefined) this.#reads.set(name, { key: own, value })
    else if (!same(first.value, value)) {
      this.#conflict ??= new AfpDataStoreError('STORE_CONFLICT', 'a value changed while it was read')
      throw this.#conflict
    }
    return read(value) as C | undefined
  }

  put(key: Key, value: Content): void {
    this.#write(key, encode(contentToWire(toContent(value, MAX_BYTES))))
  }

  delete(key: Key): void {
    this.#write(key, undefined)
  }

  /** Ends it without anything of what was read and written: whatever of the handler is still at work writes no more. */
  abandon(): void {
    this.#ended = true
    this.#reads.clear()
    this.#writes.clear()
  }

  /** Ends it: what has to hold, what is to be written, and the keys as text of what was read and what is written. */
  end(): { checks: Check[]; writes: Write[]; reads: string[]; keys: string[] } {
    this.#ended = true
    return {
      reads: [...this.#reads.keys()],
      keys: [...this.#writes.keys()],
      checks: [...this.#reads.values()].map(({ key, value }) => ({ table: TABLE, key, value })),
      writes: [...this.#writes.values()].map(({ key, value }) =>
        value === undefined ? { op: 'delete', table: TABLE, key } : { op: 'put', table: TABLE, key, value },
      ),
    }
  }

  #write(key: Key, value: Uint8Array | undefined): void {
    const name = this.#name(key)
    const before = this.#writes.get(name)
    const bytes =
      this.#bytes + (value?.length ?? 0) + (before === undefined ? name.length : -(before.value?.length ?? 0))
    if (bytes > MAX_BYTES) {
      throw new AfpDataStoreError('STORE_FULL', `one message may write ${MAX_BYTES} bytes; nothing of it is kept`)
    }
    this.#bytes = bytes
    this.#writes.set(name, { key: checkedKey(key), value })
  }

  #name(key: Key): string {
    this.#open()
    return String.fromCharCode(...encodeKey(key))
  }

  #open(): void {
    if (this.#ended) throw new AfpDataStoreError('CLOSED', 'the handler of this transaction is done')
  }
}

const read = (bytes: Uint8Array | undefined): Content | undefined =>
  bytes === undefined ? undefined : contentFromWire(decode(bytes, { bytes: MAX_BYTES + 16 }), MAX_BYTES)

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : equal(a, b)
