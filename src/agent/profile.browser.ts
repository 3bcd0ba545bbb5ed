/**
 * Who an agent is and where it keeps things, in a tab: an identity in IndexedDB that one tab at a time holds under a Web
 * Lock. A second tab of the same name, or a duplicated one, gets the next identity. One that is given has a database of
 * its own, by its id.
 */

import { AfpSecurityError } from '../common/errors.ts'
import { createIdentity, type Identity } from '../identity/keys.ts'
import { indexedDbStore, mapError } from '../store/indexeddb.ts'
import type { Store } from '../store/store.ts'
import type { Profile, ProfileOptions } from './profile.ts'
import { ownStore, readOwner, takeStore } from './store-owner.ts'

export type { Profile, ProfileOptions } from './profile.ts'

/** Identities that tabs of one name can hold at a time. */
const MAX_SLOTS = 64

/** How long a reloaded tab waits for its own earlier self to let go, ms. */
const RELOAD_PATIENCE = 1_000

/** Who may have a database: it is closed, and what holds it let go of, by `release`. */
interface Claim {
  /** Of the database. */
  readonly name: string
  /** How long to wait for another tab that has the identity in it, ms. */
  readonly patience: number
  /** Lets go of what the caller holds. */
  readonly release?: (() => void) | undefined
}

/**
 * Opens a profile.
 * @throws AfpSecurityError IDENTITY_IN_USE, INSECURE_CONTEXT; AfpDataStoreError STORE_MISMATCH, STORE_IN_USE, STORE_FAILED
 * where the browser blocks storage
 */
export async function openProfile(options: ProfileOptions): Promise<Profile> {
  const { identity, store, random } = options
  // Pages over plain http have no Web Locks: nothing would keep two tabs from using one identity.
  if (identity === 'persistent' && navigator.locks === undefined) {
    throw new AfpSecurityError('INSECURE_CONTEXT', 'a persistent identity needs https or localhost')
  }
  if (store !== undefined) return inStore(store, options)
  const given = typeof identity === 'object' ? identity : undefined
  if (identity === 'ephemeral' || navigator.locks === undefined) {
    return inMemory(given ?? (await createIdentity(undefined, random)))
  }
  return given === undefined ? claim(options) : ofGiven(given, options)
}

/** In a store of the application's own, which has the identity too unless it is given. */
async function inStore(given: Store, options: ProfileOptions): Promise<Profile> {
  const store = takeStore(given)
  try {
    const own = typeof options.identity === 'object' ? options.identity : undefined
    const identity = await ownStore(store, { ...options, identity: own })
    if (navigator.locks === undefined) return { identity, store, release: () => store.close() }
    const release = await hold(lockOf(identity), own === undefined ? RELOAD_PATIENCE : 0).catch(unlocked)
    if (release === undefined) throw taken(identity)
    return {
      identity,
      store,
      release: async () => {
        release()
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Takes the first free identity of this name, the one this tab had before if it can. */
async function claim(options: ProfileOptions): Promise<Profile> {
  const base = `${databaseOf(options.mesh)}:${encodeURIComponent(options.name)}`
  const before = rememberedSlot(base)
  const slots = new Set([before ?? 0, ...Array(MAX_SLOTS).keys()])
  for (const [attempt, slot] of slots.entries()) {
    const lock = `${base}:${slot}`
    const patience = attempt === 0 && before !== undefined ? RELOAD_PATIENCE : 0
    const release = await hold(lock, patience)
    const profile =
      release && (await inDatabase({ name: lock, patience, release }, { ...options, identity: undefined }))
    if (profile !== undefined) {
      rememberSlot(base, slot)
      return profile
    }
    // A duplicated tab remembers its original's identity: that one is taken, but it may have one of its own.
    if (options.onIdentityInUse === 'error') break
  }
  throw inUse(options.name)
}

/** An identity that the application has goes on with what this browser kept for it, under whichever name. */
async function ofGiven(identity: Identity, options: ProfileOptions): Promise<Profile> {
  const name = `${databaseOf(options.mesh)}:${identity.id}`
  const profile = await inDatabase({ name, patience: RELOAD_PATIENCE }, { ...options, identity })
  if (profile === undefined) throw taken(identity)
  return profile
}

/** Opens a database and holds whoever it belongs to; undefined when another tab has that identity. */
async function inDatabase(
  { name, patience, release }: Claim,
  options: ProfileOptions & { readonly identity?: Identity | undefined },
): Promise<Profile | undefined> {
  let store: Store | undefined
  const close = async (): Promise<void> => {
    await store?.close().finally(release)
  }
  try {
    store = await indexedDbStore(name, { clock: options.clock, onLost: options.onLost })
    const { identity, saved } = await readOwner(store, options)
    const letGo = await hold(lockOf(identity), patience)
    if (letGo === undefined) {
      await close()
      return undefined
    }
    return {
      identity,
      saved,
      store,
      // Its locks go even where the store does not close well: another tab could not be this agent otherwise.
      release: () => close().finally(letGo),
    }
  } catch (error) {
    // Why it could not start is what counts.
    await store?.close().catch(() => {})
    release?.()
    throw error
  }
}

async function inMemory(identity: Identity): Promise<Profile> {
  // Tabs have a disk: few pages need the other kind.
  const store = (await import('../store/memory.ts')).memoryStore()
  return { identity, store, release: () => store.close() }
}

/** What the names of all databases for a mesh begin with; a slot's has two parts more, a given identity's one. */
const databaseOf = (mesh: string): string => `afp:${encodeURIComponent(mesh)}`

/** The Web Lock of an identity, whichever database it is in. */
const lockOf = (identity: Identity): string => `afp-id:${identity.id}`

/**
 * Holds a Web Lock until the returned function is called; undefined when another tab has it after `patience` ms.
 * @throws AfpDataStoreError STORE_FAILED when the browser gives no locks
 */
async function hold(lock: string, patience: number): Promise<(() => void) | undefined> {
  const granted = Promise.withResolvers<boolean>()
  const held = Promise.withResolvers<void>()
  const options: LockOptions = patience > 0 ? { signal: AbortSignal.timeout(patience) } : { ifAvailable: true }
  navigator.locks
    .request(lock, options, taken => {
      granted.resolve(taken !== null)
      return taken === null ? undefined : held.promise
    })
    .catch(error => (options.signal?.aborted ? granted.resolve(false) : granted.reject(mapError(error, lock))))
  return (await granted.promise) ? held.resolve : undefined
}

/** Where storage is blocked, locks are too: as over plain http, a store that is given there does without. */
function unlocked(error: Error): () => void {
  if ((error.cause as Error).name !== 'SecurityError') throw error
  return () => {}
}

function rememberedSlot(base: string): number | undefined {
  try {
    const slot = Number(sessionStorage.getItem(base) ?? Number.NaN)
    return Number.isInteger(slot) && slot >= 0 && slot < MAX_SLOTS ? slot : undefined
  } catch {
    // Storage is blocked, as in a sandboxed frame: whoever asks for a lock is told.
    return undefined
  }
}

function rememberSlot(base: string, slot: number): void {
  try {
    sessionStorage.setItem(base, String(slot))
  } catch {
    // As above.
  }
}

const taken = ({ id }: Identity): AfpSecurityError =>
  new AfpSecurityError('IDENTITY_IN_USE', `another tab holds the identity ${id}; close it`)

const inUse = (who: string): AfpSecurityError =>
  new AfpSecurityError(
    'IDENTITY_IN_USE',
    `another tab holds the identity of ${who}; close it, or pass onIdentityInUse: 'new'`,
  )

/** Life of the page the agent is on. */
export const page = {
  hidden: (): boolean => globalThis.document?.visibilityState === 'hidden',
  /** Calls back when the page is shown or hidden, and when it is about to go. */
  watch: (callbacks: { changed: () => void; leaving: () => void }, signal: AbortSignal): void => {
    globalThis.document?.addEventListener('visibilitychange', callbacks.changed, { signal })
    globalThis.addEventListener?.('pagehide', callbacks.leaving, { signal })
  },
}
