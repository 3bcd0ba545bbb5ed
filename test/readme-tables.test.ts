/** The tables of the README that list what the code has: none is left out, and none is there that is not. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentEvents } from 'agent-flow-protocol'
import { expect, test } from 'vitest'
import { STATUS_OF } from '../src/delivery/receipts.ts'

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')

/** What is quoted in a cell. */
const quoted = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)

/** The rows of the table with these first cells of its head, as cells. */
function table(...head: string[]): string[][] {
  const [, rest = ''] = readme.split(`\n| ${head.join(' | ')} |`)
  const rows = rest.split('\n\n')[0]?.split('\n').slice(2) ?? []
  return rows.map(row => row.slice(2, -2).split(' | '))
}

/** Kept whole by the compiler. */
const EVENTS: Record<keyof AgentEvents, true> = {
  'breaker:changed': true,
  closed: true,
  'dead-letter:added': true,
  'dead-letter:low': true,
  'dead-letter:processed': true,
  'dead-letter:refused': true,
  'dead-letter:removed': true,
  'dead-letter:retried': true,
  'dead-letter:retry-failed': true,
  'delivery:changed': true,
  'delivery:delivered': true,
  'delivery:expired': true,
  'delivery:failed': true,
  'delivery:retry': true,
  'feed:hole': true,
  'feed:lost': true,
  'feed:rollback': true,
  'handler:error': true,
  'identity:in-use': true,
  'link:changed': true,
  'link:closed': true,
  'link:open': true,
  'message:dropped': true,
  'name:conflict': true,
  'peer:changed': true,
  'peer:offline': true,
  'peer:online': true,
  refused: true,
  relay: true,
  'storage:low': true,
  'store:error': true,
}

test('The README names every event of an agent, and no other.', () => {
  const named = table('events', 'tell').flatMap(([cell]) => quoted(cell))
  expect(named.toSorted()).toEqual(Object.keys(EVENTS).toSorted())
})

/** Kept whole by the compiler: every property of each `detail`. */
const DETAILS = {
  'peer:online': { card: true, online: true, hidden: true, link: true },
  'link:changed': { peer: true, kind: true, transport: true, rtt: true },
  'delivery:changed': { id: true, recipient: true, receipt: true, status: true },
  'delivery:retry': { id: true, recipient: true, receipt: true, status: true, nextAt: true },
  'dead-letter:added': { letter: true },
  'message:dropped': { id: true, peer: true, reason: true, error: true },
  refused: { peer: true, reason: true, detail: true },
  'handler:error': { id: true, error: true },
  'breaker:changed': { name: true, from: true, to: true, failures: true, forced: true },
  'store:error': { error: true },
} satisfies { [K in keyof AgentEvents]?: Record<keyof AgentEvents[K], true> }

test('The README says of the details of events what they have.', () => {
  const rows = table('event', 'detail').map(([event, detail]) => {
    const [shape = ''] = quoted(detail)
    return [quoted(event)[0], shape.slice(2, -2).split(', ')]
  })
  expect(rows).toEqual(Object.entries(DETAILS).map(([event, detail]) => [event, Object.keys(detail)]))
})

test('The README has every state of a message, beside the status that the code gives it.', () => {
  const rows = table('status', 'state', 'what is known').flatMap(([status, states]) =>
    quoted(states).map(state => [state, quoted(status)[0]]),
  )
  expect(Object.fromEntries(rows)).toEqual(STATUS_OF)
  expect(rows).toHaveLength(Object.keys(STATUS_OF).length)
})
