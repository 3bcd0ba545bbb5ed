/** What may be on the disks after kills, given what was promised before them. */

import { listOf } from './ways.ts'

/** What one life of a sender was promised. */
export interface Sent {
  /** What `send` resolved for. */
  readonly kept: readonly number[]
  /** The requests that were answered, with the place of the note that the reply tells of. */
  readonly replied: readonly (readonly [n: number, place: number])[]
  /** The last number that was tried. */
  readonly last: number
}

/** What is on the disks once everybody has said that all is done. */
export interface Left {
  /** What the recipient noted and where, each list in its order. */
  readonly noted: readonly (readonly [list: string, n: number])[]
  /** How many rows still wait, by the name of what they wait in. */
  readonly waiting: Readonly<Record<string, number>>
}

/** How many numbers a fault names. */
const NAMED = 20

/**
 * What should not be: everything that was kept is noted, once, in the order of its class, whatever its guarantee; nothing
 * is noted that nobody sent; each reply tells of the one note of its request; nothing waits any more. Requests hold nothing
 * up, so that their order is none, and those of a sender that was killed are called off.
 */
export function faultsOf(lives: readonly Sent[], { noted, waiting }: Left): string[] {
  const all = noted.map(([, n]) => n)
  const once = new Set(all)
  const last = Math.max(0, ...lives.map(life => life.last))
  const lists = Map.groupBy(noted, ([list]) => list)
  const requests = (lists.get('requests') ?? []).map(([, n]) => n)
  lists.delete('requests')
  const found: [string, readonly unknown[]][] = [
    ['lost', lives.flatMap(({ kept }) => kept.filter(n => !once.has(n)))],
    ['done twice', once.size === all.length ? [] : all.filter((n, i) => all.indexOf(n) !== i)],
    ['of nobody', noted.filter(([list, n]) => !(n >= 1 && n <= last && list === listOf(n))).map(([, n]) => n)],
    ...[...lists].map(([list, notes]): [string, readonly number[]] => [
      `out of the order of ${list}`,
      notes.map(([, n]) => n).filter((n, i) => n < (notes[i - 1]?.[1] ?? 0)),
    ]),
    [
      'answered with the place of another',
      lives.flatMap(({ replied }) => replied.filter(([n, place]) => requests[place] !== n)),
    ],
    ['still waiting', Object.entries(waiting).filter(([, rows]) => rows > 0)],
  ]
  return found.flatMap(([what, which]) =>
    which.length === 0 ? [] : [`${what}, ${which.length}: ${which.slice(0, NAMED).join(' ')}`],
  )
}
