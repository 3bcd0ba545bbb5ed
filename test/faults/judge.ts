/** What may be on the disks after kills, given what was promised before them. */

import { PRIORITIES, waysOf } from './ways.ts'

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
  /** What the recipient noted, in its order. */
  readonly noted: readonly number[]
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
  const once = new Set(noted)
  const last = Math.max(0, ...lives.map(life => life.last))
  const found: [string, readonly unknown[]][] = [
    ['lost', lives.flatMap(({ kept }) => kept.filter(n => !once.has(n)))],
    ['done twice', once.size === noted.length ? [] : noted.filter((n, i) => noted.indexOf(n) !== i)],
    ['of nobody', noted.filter(n => !(Number.isSafeInteger(n) && n >= 1 && n <= last))],
    ...PRIORITIES.map((priority): [string, readonly number[]] => {
      const ofClass = noted.filter(n => waysOf(n).priority === priority && !waysOf(n).asked)
      return [`out of the order of class ${priority}`, ofClass.filter((n, i) => n < (ofClass[i - 1] ?? 0))]
    }),
    [
      'answered with the place of another',
      lives.flatMap(({ replied }) => replied.filter(([n, at]) => noted[at] !== n)),
    ],
    ['still waiting', Object.entries(waiting).filter(([, rows]) => rows > 0)],
  ]
  return found.flatMap(([what, which]) =>
    which.length === 0 ? [] : [`${what}, ${which.length}: ${which.slice(0, NAMED).join(' ')}`],
  )
}
