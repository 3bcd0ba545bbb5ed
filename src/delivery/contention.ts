/** Handlers that read what others write meanwhile: they run again, and in the end have what they read to themselves. */

import { isConflict } from '../common/errors.ts'
import type { Reservations } from './reservations.ts'

/** How often a handler runs anew because somebody else wrote what it had read, before it has that to itself. */
const FREE_CONFLICTS = 3
/** How often in all, before that counts as its failure: by then it is slow beyond patience, or in its own way. */
const MAX_CONFLICTS = 16

/**
 * Runs a handler until nobody was in its way.
 * @param run takes what gives back the keys that are reserved for it, if they are
 * @param read the keys that it has read so far
 * @param before resolves when it may run again
 * @throws AfpDataStoreError STORE_CONFLICT when that happens again and again; whatever else `run` throws
 */
export async function contend<T>(
  reservations: Reservations,
  run: (release?: () => void) => Promise<T>,
  read: ReadonlySet<string>,
  before: (reserving: boolean) => Promise<unknown> | undefined = () => undefined,
): Promise<T> {
  for (let conflicts = 0; ; conflicts++) {
    const reserving = conflicts > FREE_CONFLICTS
    if (conflicts > 0) await before(reserving)
    const release = reserving ? await reservations.take(read) : undefined
    try {
      return await run(release)
    } catch (error) {
      if (!isConflict(error) || conflicts >= MAX_CONFLICTS) throw error
    } finally {
      release?.()
    }
  }
}
