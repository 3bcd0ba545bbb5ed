import { deleteDB, openDB } from 'idb'
import { afterAll } from 'vitest'
import { fromHex } from '../../src/common/bytes.ts'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import type { Store } from '../../src/store/store.ts'
import schema1 from '../vectors/stores/schema-1.json' with { type: 'json' }
import schema2Ada from '../vectors/stores/schema-2-ada.json' with { type: 'json' }
import schema2Bob from '../vectors/stores/schema-2-bob.json' with { type: 'json' }
import schema4Ada from '../vectors/stores/schema-4-ada.json' with { type: 'json' }
import schema4Bob from '../vectors/stores/schema-4-bob.json' with { type: 'json' }
import { type GoldenStore, goldenStores } from './golden-stores-contract.ts'

/** A part of a key. JSON has no bytes. */
type Part = string | number | { readonly bytes: string }

/** The rows of a store. */
interface Dump {
  readonly version: number
  /** Table, parts of the key, and value in hexadecimal digits. */
  readonly tables: Readonly<Record<string, readonly (readonly [readonly Part[], string])[]>>
}

const dumps = {
  'schema-1': schema1,
  'schema-2-ada': schema2Ada,
  'schema-2-bob': schema2Bob,
  'schema-4-ada': schema4Ada,
  'schema-4-bob': schema4Bob,
} as unknown as Readonly<Record<GoldenStore, Dump>>
const names: string[] = []
afterAll(async () => {
  for (const name of names) await deleteDB(name)
})

const keyPart = (part: Part): string | number | Uint8Array<ArrayBuffer> =>
  typeof part === 'object' ? fromHex(part.bytes) : part

async function open(golden: GoldenStore): Promise<Store> {
  const { version, tables } = dumps[golden]
  const name = `${golden}-${crypto.randomUUID()}`
  names.push(name)
  const db = await openDB(name, version, {
    upgrade: made => {
      for (const [table, rows] of Object.entries(tables)) {
        const filled = made.createObjectStore(table)
        for (const [key, value] of rows) void filled.put(fromHex(value), key.map(keyPart))
      }
    },
  })
  db.close()
  return indexedDbStore(name)
}

goldenStores('IndexedDB', open)
