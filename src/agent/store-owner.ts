/**
 * Whose store it is: one agent's, in one mesh. What it keeps is numbered, signed and sealed under that id and for that
 * mesh: another agent would offer it in vain until it expires, and take what came for somebody else.
 */

import { AfpDataStoreError, AfpError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { createIdentity, type Identity } from '../identity/keys.ts'
import { decode, encode } from '../message/codec.ts'
import { LentStore } from '../store/lent.ts'
import type { Store, Write } from '../store/store.ts'

const IDENTITY_KEY = ['identity']
const OWNER_KEY = ['owner']

/** Stores that agents of this process have: two on one would take each other's messages. */
const taken = new WeakSet<Store>()

/** Who is to have a store. */
export interface OwnerParts {
  /** Left out: the one that the store has, made at first use. */
  readonly identity?: Identity | undefined
  readonly mesh: string
  readonly random: Random
}

/** Who has a store. */
export interface Ownership {
  readonly identity: Identity
  /** Resolves when the store says so; undefined when it did. */
  readonly saved?: Promise<void> | undefined
}

/**
 * Takes a store for an agent of this process, which has what is returned until it closes that.
 * @throws AfpDataStoreError STORE_IN_USE
 */
export function takeStore(store: Store): Store {
  if (taken.has(store)) {
    const what = 'another agent of this process has this store; close that one first, or give each agent one of its own'
    throw new AfpDataStoreError('STORE_IN_USE', what)
  }
  taken.add(store)
  return new LentStore(store, () => void taken.delete(store))
}

/**
 * The agent of a store. One that is nobody's yet, or that a version wrote which did not say, is from now on this one's.
 * @throws AfpDataStoreError STORE_MISMATCH when it is another's, and nothing is changed; STORE_FAILED when it cannot be
 * read who that is
 */
export async function readOwner(store: Store, { identity: given, mesh, random }: OwnerParts): Promise<Ownership> {
  const [seed, row] = await Promise.all([store.get('meta', IDENTITY_KEY), store.get('meta', OWNER_KEY)])
  // A damaged one is in nobody's way who does without it.
  const needed = given === undefined || row === undefined
  const kept = needed && seed !== undefined ? await identityOf(seed) : undefined
  const owner = row === undefined ? kept && { id: kept.id, mesh } : parse(row)
  if (owner !== undefined) {
    const self = given ?? kept
    if (self?.id !== owner.id || mesh !== owner.mesh) throw mismatch(owner, self?.id, mesh)
    if (row !== undefined) return { identity: self }
  }
  const identity = given ?? kept ?? (await createIdentity(undefined, random))
  const put = (key: string[], value: Uint8Array): Write => ({ op: 'put', table: 'meta', key, value })
  const writes = [put(OWNER_KEY, encode([identity.id, mesh]))]
  if (given === undefined && seed === undefined) writes.push(put(IDENTITY_KEY, identity.seed))
  const checks = [
    { table: 'meta', key: OWNER_KEY, value: undefined },
    { table: 'meta', key: IDENTITY_KEY, value: seed },
  ]
  const saved = store.commit({ checks, writes })
  // Whoever starts meanwhile looks at it once that is done.
  saved.catch(() => {})
  return { identity, saved }
}

/** The same, once the store says so; of several that start at once the first has it. */
export async function ownStore(store: Store, parts: OwnerParts): Promise<Identity> {
  const first = await readOwner(store, parts)
  try {
    await first.saved
    return first.identity
  } catch (error) {
    if (!(error instanceof AfpError && error.code === 'STORE_CONFLICT')) throw error
  }
  const second = await readOwner(store, parts)
  await second.saved
  return second.identity
}

interface Owner {
  readonly id: string
  readonly mesh: string
}

async function identityOf(seed: Uint8Array): Promise<Identity> {
  try {
    return await createIdentity(seed)
  } catch (cause) {
    const what = 'the row that has the identity of the store is damaged'
    throw new AfpDataStoreError('STORE_FAILED', what, { reference: 'meta', cause })
  }
}

function parse(row: Uint8Array): Owner {
  try {
    const [id, mesh] = decode(row) as unknown[]
    if (typeof id === 'string' && typeof mesh === 'string') return { id, mesh }
    throw new TypeError('an id and a mesh are two strings')
  } catch (cause) {
    const what = 'the row that says whose store this is is damaged'
    throw new AfpDataStoreError('STORE_FAILED', what, { reference: 'meta', cause })
  }
}

function mismatch(owner: Owner, id: string | undefined, mesh: string): AfpDataStoreError {
  return new AfpDataStoreError('STORE_MISMATCH', `${difference(owner, id, mesh)}; nothing in it was changed`, {
    reference: 'meta',
    details: { owner: { ...owner }, id, mesh },
  })
}

/** What is not as it has to be, and what to do. Ids are long: one that is the same on both sides tells nothing. */
function difference(owner: Owner, id: string | undefined, mesh: string): string {
  if (id === owner.id) {
    const other = `the store belongs to this agent in the mesh ${owner.mesh}, not in the mesh ${mesh}`
    return `${other}: open it in that one, or give the agent a store of its own for each mesh`
  }
  const whose = `the store belongs to agent ${owner.id} in the mesh ${owner.mesh}`
  if (id === undefined) {
    return `${whose}, whose identity it does not keep: give createAgent() that identity, or a store of its own`
  }
  return `${whose}, not to agent ${id}: open it with the identity of that one, or give this agent a store of its own`
}
