/**
 * Who an agent is and where it keeps things, in a tab: an identity in IndexedDB that one tab at a time holds under a Web
 * Lock. A second tab of the same name, or a duplicated one, gets the next identity.
 */

import { AfpSecurityError } from '../common/errors.ts'
import { createIdentity, type Identity } from '../identity/keys.ts'
import { indexedDbStore } from '../store/indexeddb.ts'
import type { Store } from '../store/store.ts'
import type { Profile, ProfileOptions } from './profile.ts'
import { ownStore, readOwner, takeStore } from './store-owner.ts'

export type { Profile, ProfileOptions } from './profile.ts'

/** Identities that tabs of one name can hold at a time. */
const MAX_SLOTS = 64

/** How long a reloaded tab waits for its own earlier self to let go, ms. */
const RELOAD_PATIENCE = 1_000

/**
 * Opens a profile.
 * @throws AfpSecurityError IDENTITY_IN_USE, INSECURE_CONTEXT; AfpDataStoreError STORE_MISMATCH, STORE_IN_USE
 */
export async function openProfile(options: ProfileOptions): Promise<Profile> {
  const { identity, store, random } = options
  // Pages over plain http have no Web Locks: nothing would keep two tabs from using one identity.
  if (identity === 'persistent' && navigator.locks === undefined) {
    throw new AfpSecurityError('INSECURE_CONTEXT', 'a persistent identity needs https or localhost')
  }
  if (store !== undefined) return inStore(store, options)
  if (typeof identity === 'object') return inMemory(await holdOrThrow(identity.id), identity)
  if (identity === 'ephemeral' || navigator.locks === undefined) {
    return inMemory(undefined, await createIdentity(undefined, random))
  }
  return claim(options)
}

/** In a store of the application's own, which has the identity too unless it is given. */
async function inStore(store: Store, options: ProfileOptions): Promise<Profile> {
  const letGo = takeStore(store)
  try {
    const given = typeof options.identity === 'object' ? options.identity : undefined
    const identity = await ownStore(store, { ...options, identity: given })
    const release = await holdOrThrow(identity.id, given === undefined ? RELOAD_PATIENCE : 0)
    return {
      identity,
      store,
      persistent: given === undefined && release !== undefined,
      release: async () => {
        release?.()
        letGo()
      },
    }
  } catch (error) {
    letGo()
    throw error
  }
}

/** Takes the first free identity of this name, the one this tab had before if it can. */
async function claim(options: ProfileOptions): Promise<Profile> {
  const base = `afp:${encodeURIComponent(options.mesh)}:${encodeURIComponent(options.name)}`
  const before = rememberedSlot(base)
  const slots = new Set([before ?? 0, ...Array(MAX_SLOTS).keys()])
  for (const [attempt, slot] of slots.entries()) {
    const lock = `${base}:${slot}`
    const own = attempt === 0 && before !== undefined
    const release = await hold(lock, own ? RELOAD_PATIENCE : 0)
    if (release === undefined) {
      // A duplicated tab remembers its original's identity: that one is taken, but it may have one of its own.
      if (options.onIdentityInUse === 'error') throw inUse(options.name)
      continue
    }
    let kept: Store | undefined
    try {
      kept = await indexedDbStore(lock, { clock: options.clock, onLost: options.onLost })
      const { identity, saved } = await readOwner(kept, { ...options, identity: undefined })
      rememberSlot(base, slot)
      const store = kept
      return {
        identity,
        saved,
        persistent: true,
        store,
        release: async () => {
          await store.close()
          release()
        },
      }
    } catch (error) {
      // Why it could not start is what counts.
      await kept?.close().catch(() => {})
      release()
      throw error
    }
  }
  throw inUse(options.name)
}

async function inMemory(release: (() => void) | undefined, identity: Identity): Promise<Profile> {
  // Tabs have a disk: few pages need the other kind.
  const kept = (await import('../store/memory.ts')).memoryStore()
  return {
    identity,
    store: kept,
    release: async () => {
      await kept.close()
      release?.()
    },
  }
}

async function holdOrThrow(id: string, patience = 0): Promise<(() => void) | undefined> {
  if (navigator.locks === undefined) return undefined
  const release = await hold(`afp-id:${id}`, patience)
  if (release === undefined)
    throw new AfpSecurityError('IDENTITY_IN_USE', `another tab holds the identity ${id}; close it`)
  return release
}

/** Holds a Web Lock until the returned function is called; undefined when another tab has it after `patience` ms. */
async function hold(lock: string, patience: number): Promise<(() => void) | undefined> {
  const granted = Promise.withResolvers<boolean>()
  const held = Promise.withResolvers<void>()
  const options: LockOptions = patience > 0 ? { signal: AbortSignal.timeout(patience) } : { ifAvailable: true }
  navigator.locks
    .request(lock, options, taken => {
      granted.resolve(taken !== null)
      return taken === null ? undefined : held.promise
    })
    .catch(() => granted.resolve(false))
  return (await granted.promise) ? held.resolve : undefined
}

function rememberedSlot(base: string): number | undefined {
  try {
    const slot = Number(sessionStorage.getItem(base) ?? Number.NaN)
    return Number.isInteger(slot) && slot >= 0 && slot < MAX_SLOTS ? slot : undefined
  } catch {
    // Storage is blocked, as in a sandboxed frame; the locks alone decide then.
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
