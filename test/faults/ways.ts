/** How the sender that is killed sends each of its numbers: every guarantee that is kept, two classes, and requests. */

import type { SendOptions } from '../../src/agent/options.ts'

/** The two classes; order holds within each of them. */
export const PRIORITIES = [0, 5] as const

/** The guarantees under which messages are kept. */
export const GUARANTEES = ['at-least-once', 'exactly-once'] as const

/** See the head of this file. The numbers are decided by their remainders, so that every combination comes up. */
export const waysOf = (n: number): Required<Pick<SendOptions, 'guarantee' | 'priority'>> & { asked: boolean } => ({
  asked: n % 23 === 0,
  guarantee: GUARANTEES[n % 3 === 0 ? 0 : 1],
  priority: PRIORITIES[n % 5 === 0 ? 1 : 0],
})

/** Where the recipient notes a number: in a list of its class, or in that of all requests, whose handlers get in each other's way. */
export const listOf = (n: number): string => {
  const { asked, priority } = waysOf(n)
  return asked ? 'requests' : `class ${priority}`
}
