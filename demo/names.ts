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
function visits(storage: Storage | undefined): readonly Visit[] {
  try {
    const saved: unknown = JSON.parse(storage?.getItem(KEY) ?? '[]')
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
export function rememberName(storage: Storage | undefined, mesh: string, { name, as }: Who): void {
  const others = visits(storage).filter(visit => visit.mesh !== mesh || visit.name !== name)
  const here = others.filter(visit => visit.mesh === mesh).slice(0, MAX_NAMES - 1)
  const kept = others.filter(visit => visit.mesh !== mesh || here.includes(visit))
  try {
    storage?.setItem(KEY, JSON.stringify([{ mesh, name, as }, ...kept].slice(0, MAX_ALL)))
  } catch {
    // It is not offered the next time; that is all.
  }
}

/** The lock that tabs of a name share: it says that somebody is that one, and goes with the last of them. */
const lockOf = (mesh: string, name: string): string => `agent-flow-demo ${JSON.stringify([mesh, name])}`

/** The mesh and the name that a lock stands for, if it is one of these. */
function lockedBy(lock = ''): readonly unknown[] {
  try {
    const read: unknown = lock.startsWith('agent-flow-demo ') ? JSON.parse(lock.slice(16)) : []
    return Array.isArray(read) ? read : []
  } catch {
    return []
  }
}

/** Lets other tabs see that this one has the name, until it is closed or the returned function is called. */
export function holdName(locks: LockManager | undefined, mesh: string, name: string): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  locks?.request(lockOf(mesh, name), { mode: 'shared' }, () => promise).catch(() => {})
  return resolve
}

/** The names that tabs of this browser have in a mesh; none where it gives no locks. */
export async function namesHeld(locks: LockManager | undefined, mesh: string): Promise<ReadonlySet<string>> {
  const { held = [] } = (await locks?.query()) ?? {}
  return new Set(
    held.flatMap(({ name: lock }) => {
      const [where, name] = lockedBy(lock)
      return where === mesh && typeof name === 'string' ? [name] : []
    }),
  )
}

/** Which of these nobody has; `taken` are those that somebody has. */
export const freeNames = (names: readonly string[], taken: ReadonlySet<string>): readonly string[] =>
  names.filter(name => !taken.has(name))

/** One of these that nobody has, by chance, so that two tabs seldom suggest the same; with a number where all are taken. */
export function suggestName(names: readonly string[], taken: ReadonlySet<string>, chance: number): string {
  const free = freeNames(names, taken)
  if (free.length > 0) return free[chance % free.length] ?? ''
  const name = names[chance % names.length] ?? ''
  let number = 2
  while (taken.has(`${name} ${number}`)) number++
  return `${name} ${number}`
}

/**
 * Who was in a mesh before and is in no other tab now, the latest first. Nobody where the browser gives no locks: over
 * plain http nothing is kept, and whoever takes a name again is another one all the same.
 */
export async function namesToOffer(
  storage: Storage | undefined,
  locks: LockManager | undefined,
  mesh: string,
): Promise<readonly Who[]> {
  if (locks === undefined) return []
  const held = await namesHeld(locks, mesh)
  return visits(storage)
    .filter(visit => visit.mesh === mesh && !held.has(visit.name))
    .map(({ name, as }) => ({ name, as }))
}
