/** Who was here before in this browser: a name brings back the agent that had it, and what waits for that one. */

import { behaviourNamed } from './behaviours/catalogue.ts'
import type { Who } from './settings.ts'

const KEY = 'agent-flow-demo-names'

/** Most names that are remembered of a mesh, and of all meshes. */
const MAX_NAMES = 5
const MAX_ALL = 25

interface Visit extends Who {
  readonly mesh: string
}

/** All visits, the latest first; what makes no sense is left out. */
function visits(storage: Storage): readonly Visit[] {
  try {
    const saved: unknown = JSON.parse(storage.getItem(KEY) ?? '[]')
    return (Array.isArray(saved) ? saved.slice(0, MAX_ALL) : []).flatMap((visit: Partial<Visit> | null) => {
      const { mesh, name, as } = visit ?? {}
      if (typeof mesh !== 'string' || typeof name !== 'string' || name === '' || name.length > 64) return []
      return [{ mesh, name, as: behaviourNamed(as).name }]
    })
  } catch {
    return []
  }
}

/** Remembers who came to a mesh. A storage that is full or forbidden is no reason to fail. */
export function rememberName(storage: Storage, mesh: string, { name, as }: Who): void {
  const others = visits(storage).filter(visit => visit.mesh !== mesh || visit.name !== name)
  const here = others.filter(visit => visit.mesh === mesh).slice(0, MAX_NAMES - 1)
  const kept = others.filter(visit => visit.mesh !== mesh || here.includes(visit))
  try {
    storage.setItem(KEY, JSON.stringify([{ mesh, name, as }, ...kept].slice(0, MAX_ALL)))
  } catch {
    // It is not offered the next time; that is all.
  }
}

/** The lock that tabs of a name share: it says that somebody is that one, and goes with the last of them. */
const lockOf = (mesh: string, name: string): string => `agent-flow-demo ${JSON.stringify([mesh, name])}`

/** Lets other tabs see that this one has the name, until it is closed. */
export function holdName(locks: LockManager | undefined, mesh: string, name: string): void {
  locks?.request(lockOf(mesh, name), { mode: 'shared' }, () => new Promise(() => {})).catch(() => {})
}

/**
 * Who was in a mesh before and is in no other tab now, the latest first. Nobody where the browser gives no locks: over
 * plain http nothing is kept, and whoever takes a name again is another one all the same.
 */
export async function namesToOffer(
  storage: Storage,
  locks: LockManager | undefined,
  mesh: string,
): Promise<readonly Who[]> {
  if (locks === undefined) return []
  const held = new Set(await locks.query().then(({ held = [] }) => held.map(lock => lock.name)))
  return visits(storage)
    .filter(visit => visit.mesh === mesh && !held.has(lockOf(mesh, visit.name)))
    .map(({ name, as }) => ({ name, as }))
}
