/**
 * Defaults are promises: what the documentation of an option says is held against what the code does without it, or the
 * constant that it goes by.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DEFAULT_RELAY_LIMITS } from '../relay/limits.ts'
import { HANDLER_TIMEOUT } from '../src/agent/create-agent.ts'
import { KEEP_RECEIPTS, LONGEST_PAUSE, MOST_RECEIPTS, MOST_RECEIPTS_IN_MEMORY } from '../src/agent/open-delivery.ts'
import { DEFAULT_TIMEOUT } from '../src/agent/outbound.ts'
import { DrivenClock } from '../src/common/driven-clock.ts'
import { CircuitBreakers } from '../src/delivery/breakers.ts'
import { letterBounds } from '../src/delivery/dead-letter-options.ts'
import { DEFAULT_INBOX } from '../src/delivery/inbox-room.ts'
import { OutboxQuota } from '../src/delivery/outbox-quota.ts'
import { HOLE_PATIENCE } from '../src/delivery/patience.ts'
import { exponentialRetry, fixedRetry, untilExpiry } from '../src/delivery/retry.ts'
import { DEFAULT_TTL } from '../src/message/message.ts'
import { DEFAULT_LIMITS, MAX_TTL } from '../src/message/validate.ts'

const root = join(import.meta.dirname, '..')
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')
const words = (comment: string): string => comment.replace(/\s*\n\s*\*? ?/g, ' ')

/** What is said of a member of an interface, or of a function, in one line. */
function said(path: string, name: string, member?: string): string {
  const text = textOf(path)
  const start = text.search(new RegExp(`\\n(export )?(interface|function) ${name}\\b`))
  expect(start, `${name} in ${path}`).toBeGreaterThan(0)
  const from =
    member === undefined ? start : start + text.slice(start).search(new RegExp(`\\n +(readonly )?${member}(\\??:|\\()`))
  const until = text.slice(0, from).trimEnd()
  expect(until, `${name}.${member ?? ''} in ${path}`).toMatch(/\*\/$/)
  return words(until.slice(until.lastIndexOf('/**')))
}

const number = (value: number): string => value.toLocaleString('en-US')
const bytes = (value: number): string =>
  value % 2 ** 30 === 0
    ? `${value / 2 ** 30} GiB`
    : value % 2 ** 20 === 0
      ? `${value / 2 ** 20} MiB`
      : `${value / 2 ** 10} KiB`
const amount = (name: string, value: number): string => (/Bytes$/.test(name) ? bytes(value) : number(value))

/** How much of something there is room for, found out by taking until it is refused. */
function room(take: () => void): number {
  for (let taken = 0; ; taken++) {
    try {
      take()
    } catch (error) {
      expect(error).toMatchObject({ code: 'QUEUE_FULL' })
      return taken
    }
  }
}

const options = 'src/agent/options.ts'
const agent = (member: string): string => said(options, 'AgentOptions', member)

test('What may wait for recipients by default is as it is documented.', () => {
  const messages = new OutboxQuota().share()
  const mebibytes = new OutboxQuota().share()
  const most = room(() => messages.take(1))
  const size = room(() => mebibytes.take(2 ** 20)) * 2 ** 20
  expect(agent('outbox')).toContain(`Default: ${number(most)} messages and ${bytes(size)}.`)
  expect(said('src/delivery/delivery.ts', 'DeliveryParts', 'maxOutbox')).toContain(
    `Default ${number(most)} and ${bytes(size)}.`,
  )
})

test('What may wait for handlers by default is as it is documented.', () => {
  const { messages, bytes: each, totalBytes } = DEFAULT_INBOX
  const all = `${bytes(totalBytes)} of all together`
  expect(agent('inbox')).toContain(`Default: ${number(messages)} messages and ${bytes(each)} of each sender, ${all}.`)
})

test('So many dead letters are kept by default as it is documented.', () => {
  const { maxEntries, maxBytes } = letterBounds({})
  const limits = (member: string): string => said('src/delivery/dead-letter-options.ts', 'LetterLimits', member)
  expect(limits('maxEntries')).toContain(`Default ${number(maxEntries)}.`)
  expect(limits('maxBytes')).toContain(`Default ${bytes(maxBytes)}.`)
})

test('Circuit breakers are by default as they are documented, and as many.', () => {
  const breakers = new CircuitBreakers({ clock: new DrivenClock() })
  for (let i = 0; i < 2_000; i++) breakers.getOrCreate(`breaker ${i}`)
  expect(said('src/delivery/breakers.ts', 'BreakersOptions', 'limit')).toContain(`Default ${number(breakers.size)}.`)

  const breaker = breakers.getOrCreate('bob')
  while (breaker.state === 'closed') breaker.admit()?.fail(new Error('down'))
  const { failureCount, retryAfter } = breaker
  const each = (member: string): string => said('src/delivery/breaker.ts', 'BreakerOptions', member)
  expect(each('failureThreshold')).toContain(`Default ${failureCount}.`)
  expect(each('resetTimeout')).toContain(`Default ${number(retryAfter)}.`)
  expect(agent('breaker')).toContain(`opens after ${failureCount} failures in a row for ${retryAfter / 1_000} s`)
  expect(textOf('README.md')).toContain(`by default ${failureCount} in a row`)
})

test('Times are by default as they are documented.', () => {
  expect(agent('handlerTimeout')).toContain(`default ${number(HANDLER_TIMEOUT)}, half an hour`)
  expect([HANDLER_TIMEOUT, textOf('README.md')]).toEqual([
    30 * 60_000,
    expect.stringContaining('by default half an hour'),
  ])
  expect(agent('holePatience')).toContain(`default ${number(HOLE_PATIENCE)}`)
  for (const name of ['SendOptions', 'RequestOptions']) {
    expect(said(options, name, 'timeout')).toContain(`default ${number(DEFAULT_TIMEOUT)}`)
  }
  expect(textOf('README.md')).toContain(`up to its \`timeout\`, ${DEFAULT_TIMEOUT / 1_000} s by default`)
  expect(said(options, 'MessageOptions', 'ttl')).toBe(
    `/** Seconds, 0 < ttl <= ${MAX_TTL / 86_400} days; default ${DEFAULT_TTL}. */`,
  )
})

test('Retries are by default as they are documented.', () => {
  expect(untilExpiry({ cap: LONGEST_PAUSE })).toMatchObject({ cap: 15_000, retries: null })
  expect(agent('retry')).toContain(`pauses that grow to ${LONGEST_PAUSE / 1_000} s`)
  const { base, factor, cap, jitter, retries } = exponentialRetry()
  expect(factor).toBe(2)
  expect(agent('handlerRetry')).toContain(`\`exponentialRetry()\`, ${retries} times`)
  expect(said('src/delivery/retry.ts', 'exponentialRetry')).toContain(
    `${base} ms, doubled each time, at most ${cap / 1_000} s, give or take ${jitter * 100} %, ${retries} retries`,
  )
  const fixed = fixedRetry()
  expect(said('src/delivery/retry.ts', 'fixedRetry')).toContain(
    `${fixed.delay / 1_000} s before each of ${fixed.retries} retries`,
  )
})

test('Receipts are kept for as long, and as many of them, as it is documented.', () => {
  expect(KEEP_RECEIPTS).toBe(86_400_000)
  expect(said('src/agent/agent.ts', 'Deliveries', 'get')).toContain('ended more than a day ago')
  const inMemory = `as soon as ${number(MOST_RECEIPTS_IN_MEMORY)} others have ended`
  expect(said('src/agent/agent.ts', 'Deliveries', 'get')).toContain(inMemory)
  expect(textOf('docs/claims.md')).toContain(`**Receipts beyond ${number(MOST_RECEIPTS)}**`)
  expect(textOf('docs/claims.md')).toContain(inMemory)
})

test('Each bound of messages, and of a relay, is by default as it is documented.', () => {
  for (const [path, name, limits] of [
    ['src/message/validate.ts', 'Limits', DEFAULT_LIMITS],
    ['relay/limits.ts', 'RelayLimits', DEFAULT_RELAY_LIMITS],
  ] as const) {
    for (const [member, value] of Object.entries(limits)) {
      const [, told] = /Default (.+?)[.,](?= )/.exec(`${said(path, name, member)} `) ?? []
      expect(told, member).toBe(amount(member, value))
    }
  }
  expect(said(options, 'SubscribeOptions', 'queue')).toContain(`Default ${number(DEFAULT_LIMITS.queue)}.`)
  expect(textOf('README.md')).toContain(`${number(DEFAULT_LIMITS.queue)} messages that nobody reads`)
})
