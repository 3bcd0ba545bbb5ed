/**
 * Who an agent is and where it keeps things, in Node: the identity that it is given, or that its store has; without either
 * one of its own for this run.
 */

import type { Clock } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { createIdentity, type Identity } from '../identity/keys.ts'
import { memoryStore } from '../store/memory.ts'
import type { Store } from '../store/store.ts'
import { ownStore, takeStore } from './store-owner.ts'

/** What opening a profile needs. */
export interface ProfileOptions {
  readonly name: string
  readonly mesh: string
  readonly identity?: Identity | 'persistent' | 'ephemeral' | undefined
  readonly onIdentityInUse?: 'new' | 'error' | undefined
  readonly store?: Store | undefined
  /** Told when the browser takes the store away. */
  readonly onLost?: ((reason: Error) => void) | undefined
  readonly clock: Clock
  readonly random: Random
}

/** An identity with the store that belongs to it. */
export interface Profile {
  readonly identity: Identity
  readonly store: Store
  /** Resolves when a new identity is on the disk, which the network need not wait for; undefined when it is. */
  readonly saved?: Promise<void> | undefined
  /** Closes what was opened here and lets others have the identity. */
  release(): Promise<void>
}

/**
 * Opens a profile. In Node what persists has a path: `fileIdentity` and `sqliteStore` of `agent-flow-protocol/node`.
 * @throws AfpError INVALID_OPTION for the identity `persistent` without a store; AfpDataStoreError STORE_MISMATCH,
 * STORE_IN_USE
 */
export async function openProfile(options: ProfileOptions): Promise<Profile> {
  const { identity, store, random } = options
  if (store !== undefined) return inStore(store, options)
  if (identity === 'persistent') {
    throw new AfpError(
      'INVALID_OPTION',
      "identity: 'persistent' is for tabs and for agents with a store; in Node give it one, such as sqliteStore(path), or " +
        'await fileIdentity(path) of agent-flow-protocol/node',
    )
  }
  const kept = memoryStore()
  return {
    identity: typeof identity === 'object' ? identity : await createIdentity(undefined, random),
    store: kept,
    release: () => kept.close(),
  }
}

async function inStore(given: Store, options: ProfileOptions): Promise<Profile> {
  const store = takeStore(given)
  try {
    const own = typeof options.identity === 'object' ? options.identity : undefined
    const identity = await ownStore(store, { ...options, identity: own })
    return { identity, store, release: () => store.close() }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Life of the page the agent is on; in Node there is none. */
export const page = {
  hidden: (): boolean => false,
  /** Calls back when the page is shown or hidden, and when it is about to go. */
  watch: (_callbacks: { changed: () => void; leaving: () => void }, _signal: AbortSignal): void => {},
}
