/** Who an agent is and where it keeps things, in Node: an identity of its own for this run, unless it is given one. */

import type { Clock } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { createIdentity, type Identity } from '../identity/keys.ts'
import { memoryStore } from '../store/memory.ts'
import type { Store } from '../store/store.ts'

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
  /** Whether the same identity is here at the next start. */
  readonly persistent?: boolean | undefined
  /** Resolves when a new identity is on the disk, which the network need not wait for; undefined when it is. */
  readonly saved?: Promise<void> | undefined
  /** Closes what was opened here and lets others have the identity. */
  release(): Promise<void>
}

/**
 * Opens a profile. In Node what persists has a path: `fileIdentity` and `sqliteStore` of `agent-flow-protocol/node`.
 * @throws AfpError INVALID_OPTION for the identity `persistent`
 */
export async function openProfile(options: ProfileOptions): Promise<Profile> {
  const { identity, store } = options
  if (identity === 'persistent') {
    throw new AfpError(
      'INVALID_OPTION',
      "identity: 'persistent' is for tabs; in Node pass await fileIdentity(path) of agent-flow-protocol/node",
    )
  }
  const kept = store ?? memoryStore()
  return {
    identity: typeof identity === 'object' ? identity : await createIdentity(undefined, options.random),
    store: kept,
    release: async () => {
      if (store === undefined) await kept.close()
    },
  }
}

/** Life of the page the agent is on; in Node there is none. */
export const page = {
  hidden: (): boolean => false,
  /** Calls back when the page is shown or hidden, and when it is about to go. */
  watch: (_callbacks: { changed: () => void; leaving: () => void }, _signal: AbortSignal): void => {},
}
