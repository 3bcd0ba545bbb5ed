/**
 * A real store without room: an agent whose store lies on 1 MiB, a process of its own, and one with all the room it wants.
 * The disk is one of its own where one can be mounted, else a file that may not grow; the names of the tests say which.
 * What was promised is kept, what is not on the disk is not promised, and once there is room work goes on by itself.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { Receipt } from '../../src/agent/options.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { body, RETRY } from './full-disk/world.ts'
import { Party } from './party-process.ts'

/** What makes a mount namespace: as root, and otherwise within a namespace of users, where that is allowed. */
const WAYS = [
  ['unshare', '-m'],
  ['unshare', '-rm'],
]

/** The first way that mounts a small disk here; none in most containers, nor on macOS and Windows. */
function findNamespace(): readonly string[] | undefined {
  const place = mkdtempSync(join(tmpdir(), 'mount-'))
  const found = WAYS.find(way => {
    const [command = '', ...args] = [...way, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place]
    return spawnSync(command, args).status === 0
  })
  rmSync(place, { recursive: true })
  return found
}
const namespace = findNamespace()
const DISK = namespace === undefined ? 'a file that may not grow beyond 1 MiB' : 'a mounted disk of 1 MiB'

let folder: string
let party: Party
let id: string
let address: string
let bob: Agent
let machine: { identity: Identity; store: Store }
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'full-'))
  party = new Party('full-disk/party.ts', [folder, namespace === undefined ? 'limited' : 'mounted'], namespace)
  const ready = await party.says(/^ready (\S+) (\S+)$/)
  id = ready[1] as string
  address = ready[2] as string
  // An agent leaves a store open that it was given: it is there for the next run.
  machine = { identity: await createIdentity(), store: memoryStore() }
})
afterEach(async () => {
  await bob?.close()
  await party.kill()
  await rm(folder, { recursive: true, force: true })
})

/** The agent with room, in this process. */
async function arrive(): Promise<void> {
  bob = await createAgent({
    name: 'bob',
    mesh: 'full',
    ...machine,
    guarantee: 'exactly-once',
    listen: [],
    peers: [address],
    ...RETRY,
  })
}

/** Bob, and both know each other. */
async function meet(): Promise<void> {
  await arrive()
  await Promise.all([bob.waitFor(id), party.call('waitFor', bob.id)])
}

/** What bob handles from now on; `reached(n)` resolves with all of it once the number `n` is among it. */
function record(): { got: number[]; reached: (n: number) => Promise<number[]> } {
  const got: number[] = []
  const waiting = new Map<number, () => void>()
  bob.handle<{ n: number }>(({ content: { n } }) => {
    got.push(n)
    waiting.get(n)?.()
  })
  const reached = async (n: number): Promise<number[]> => {
    if (!got.includes(n)) await new Promise<void>(resolve => waiting.set(n, resolve))
    return got
  }
  return { got, reached }
}

interface Filled {
  kept: { n: number; id: string }[]
  refused: string[]
  next: number
}

/** How much room is made where a disk grows. */
const LITTLE = 300_000
const MUCH = 1 << 20

const FULL = /^(AfpDataStoreError STORE_FULL|AfpRoutingError QUEUE_FULL)$/

describe(`a sender whose disk is full (${DISK})`, () => {
  /** Fills the disk with messages for bob, who is away. */
  async function fill(acquainted: boolean): Promise<Filled> {
    if (acquainted) {
      await meet()
      await bob.close()
    }
    const filled = await party.call<Filled>('fill', machine.identity.id, 1)
    expect(filled.kept.length).toBeGreaterThan(20)
    for (const why of filled.refused) expect(why).toMatch(FULL)
    return filled
  }
  const numbers = ({ kept }: Filled): number[] => kept.map(({ n }) => n)

  describe.each([
    ['knows', true],
    ['has never met', false],
  ])('and who %s the recipient', (_, acquainted) => {
    test('refuses with a typed error, and all that it took arrives once and in order when the disk has grown', async () => {
      const filled = await fill(acquainted)
      expect(await party.call('rows', 'outbox')).toBe(filled.kept.length)
      expect((await party.call<{ refused: string }>('send', machine.identity.id, 0, 8_192)).refused).toMatch(FULL)
      expect(await party.call('state', filled.kept[0]?.id)).toBe('queued')
      await party.call('grow', MUCH)
      const last = filled.next
      expect(await party.call('send', machine.identity.id, last, 8_192)).toHaveProperty('id')
      await arrive()
      expect(await record().reached(last)).toEqual([...numbers(filled), last])
    })

    test('delivers all the same or waits, in order, and goes on by itself when the disk has grown', async () => {
      const filled = await fill(acquainted)
      await arrive()
      const { got, reached } = record()
      // A key for the recipient has to be written before anything can go that was kept without one.
      if (acquainted) expect(await reached(numbers(filled).at(-1) as number)).toEqual(numbers(filled))
      await party.says(/^store:error STORE_FULL$/)
      if (!acquainted) expect(got).toEqual([])
      // What is sealed anew all at once is in the log before it is in the file.
      await party.call('grow', acquainted ? LITTLE : MUCH)
      expect(await reached(numbers(filled).at(-1) as number)).toEqual(numbers(filled))
      for (const { id } of filled.kept) await party.says(new RegExp(`^processed ${id}$`))
      expect(await party.call('rows', 'outbox')).toBe(0)
      expect(await party.call('send', bob.id, filled.next, 8_192)).toHaveProperty('id')
      expect(await reached(filled.next)).toEqual([...numbers(filled), filled.next])
    })
  })

  test('keeps it over a restart', async () => {
    const filled = await fill(true)
    // As it is: the disk is still full.
    address = await party.call<string>('restart')
    await party.call('grow', LITTLE)
    await arrive()
    const last = numbers(filled).at(-1) as number
    expect(await record().reached(last)).toEqual(numbers(filled))
  })

  test('notes what expired once there is room, and says so only then', async () => {
    const ttl = 0.5
    const sent = await party.call<{ id: string }>('send', machine.identity.id, 1, 8_192, { ttl })
    await party.call('eat')
    await party.says(/^store:error STORE_FULL$/)
    expect(await party.call('state', sent.id)).toBe('queued')
    expect(await party.call('letters')).toEqual([])
    await party.call('spare')
    await party.says(new RegExp(`^expired ${sent.id}$`))
    expect(await party.call('letters')).toEqual([{ reason: 'expired', messageId: sent.id }])
    expect(party.lines.filter(line => /^(expired|letter)/.test(line))).toHaveLength(2)
  })
})

describe(`a recipient whose disk is full (${DISK})`, () => {
  test('acknowledges what it could store and nothing else, says so and counts it; with room the rest comes once and in order', async () => {
    await meet()
    const receipts: Receipt[] = []
    const delivered = new Set<number>()
    const send = async (): Promise<void> => {
      const n = receipts.length + 1
      const receipt = await bob.send(id, { n, body: body(4_096) })
      receipts.push(receipt)
      receipt.delivered.then(
        () => delivered.add(n),
        () => {},
      )
    }
    const full = party.says(/^store:error STORE_FULL$/)
    let over = false
    void full.then(() => {
      over = true
    })
    while (!over) {
      await send()
      await Promise.race([full, (receipts.at(-1) as Receipt).delivered])
    }
    for (let i = 0; i < 10; i++) await send()
    // Another round of tries without room.
    const errors = party.lines.length
    await party.says(/^store:error STORE_FULL$/, errors)
    const stored = await party.call<number>('rows', 'inbox')
    expect(delivered.size).toBeGreaterThan(20)
    expect(delivered.size).toBeLessThan(receipts.length)
    expect(stored).toBeGreaterThanOrEqual(delivered.size)
    expect(await party.call('counted', 'store.errors')).toMatchObject([{ code: 'STORE_FULL' }])

    await party.call('grow', LITTLE)
    await Promise.all(receipts.map(receipt => receipt.delivered))
    await party.call('note', 0, true)
    await Promise.all(receipts.map(receipt => receipt.processed))
    expect(await party.call('noted')).toEqual(receipts.map((_, i) => i + 1))
    expect(party.lines.filter(line => line.startsWith('ran'))).toEqual(receipts.map((_, i) => `ran ${i + 1}`))
  })

  /** Sends numbers, and resolves when the recipient has them. */
  async function deliver(count: number, bytes = 16): Promise<Receipt[]> {
    const receipts: Receipt[] = []
    for (let n = 1; n <= count; n++) receipts.push(await bob.send(id, { n, body: body(bytes) }))
    await Promise.all(receipts.map(({ delivered }) => delivered))
    return receipts
  }
  const states = (receipts: readonly Receipt[]): (string | undefined)[] =>
    receipts.map(({ recipients }) => recipients.get(id)?.state)

  test.each([
    ['reads', true],
    ['does not read', false],
  ])('says `processed` only when what a handler that %s wrote is on the disk, and runs it once', async (_, reads) => {
    await meet()
    const receipts = await deliver(3)
    await party.call('eat')
    await party.call('note', 60_000, reads)
    const from = party.lines.length
    await party.says(/^store:error STORE_FULL$/)
    await party.says(/^store:error STORE_FULL$/, from + 3)
    expect(states(receipts)).toEqual(['delivered', 'delivered', 'delivered'])
    expect(await party.call('noted')).toEqual([])
    await party.call('spare')
    await Promise.all(receipts.map(({ processed }) => processed))
    expect(await party.call('noted')).toEqual([1, 2, 3])
    expect(party.lines.filter(line => line.startsWith('ran'))).toEqual(['ran 1', 'ran 2', 'ran 3'])
  })

  test('lets no earlier write of a handler overtake a later one of the same key', async () => {
    await meet()
    const receipts = [await bob.send(id, { n: 1, bytes: 60_000 }), await bob.send(id, { n: 2, bytes: 1 })]
    await Promise.all(receipts.map(({ delivered }) => delivered))
    await party.call('eat', 24_576)
    await party.call('overwrite')
    await party.says(/^store:error STORE_FULL$/)
    await party.call('spare')
    await Promise.all(receipts.map(({ processed }) => processed))
    expect(await party.call('newest')).toBe(2)
  })

  test('answers a request once, when there is room for what its handler wrote', async () => {
    await meet()
    await party.call('note', 60_000, true)
    await party.call('eat')
    let answered = false
    const reply = bob.request(id, { n: 1 }, { timeout: 15_000 }).finally(() => {
      answered = true
    })
    await party.says(/^store:error STORE_FULL$/)
    expect(answered).toBe(false)
    await party.call('spare')
    expect((await reply).content).toEqual({ noted: 1 })
    expect(await party.call('noted')).toEqual([1])
  })

  test('keeps the dead letter of what it could not handle once there is room, and refuses it only then', async () => {
    await meet()
    const [receipt] = await deliver(1, 60_000)
    await party.call('eat')
    await party.call('fail')
    const from = party.lines.length
    await party.says(/^store:error STORE_FULL$/, from)
    expect(states([receipt as Receipt])).toEqual(['delivered'])
    expect(await party.call('letters')).toEqual([])
    await party.call('spare')
    await expect(receipt?.processed).rejects.toMatchObject({ code: 'DELIVERY_FAILED' })
    expect(await party.call('letters')).toEqual([{ reason: 'handler-error', messageId: receipt?.id }])
    await party.call('eat')
    expect(await party.call('mark')).toBe('STORE_FULL')
    await party.call('spare')
    expect(await party.call('mark')).toBe('true')
  })
})

// Of a file that may not grow the log is no part.
describe.skipIf(namespace === undefined)(`the log of a store (${DISK})`, () => {
  test('is bounded: one key rewritten 2,000 times goes on', async () => {
    expect(await party.call('rewrite', 2_000)).toEqual([])
  })

  test.each([
    ['100 KB', 16, 100_000],
    ['300 KB', 60, LITTLE],
  ])('that has filled the disk is emptied once there is room: work goes on with %s', async (_, rows, more) => {
    await party.call('clog', rows)
    expect(await party.call('rewrite', 3)).toEqual(Array(3).fill('STORE_FULL'))
    await party.call('grow', more)
    expect(await party.call('rewrite', 500)).toEqual([])
  })
})

describe.skipIf(namespace === undefined)('a redo log (a mounted disk of 32 MiB)', () => {
  test.each([
    ['no room at all', 0],
    ['40 KB', 40_000],
  ])('that is in use when somebody fills the disk but for %s is kept, and work goes on with room', async (_, left) => {
    await party.kill()
    const large = await mkdtemp(join(tmpdir(), 'full-'))
    party = new Party('full-disk/party.ts', [large, 'mounted', `${32 << 20}`], namespace)
    await party.says(/^ready /)
    const to = machine.identity.id
    for (let n = 0; n < 40; n++) expect(await party.call('send', to, n, 8_192)).toHaveProperty('id')
    await party.call('eat', left)
    const { kept, refused, next } = await party.call<Filled>('fill', to, 40)
    for (const why of refused) expect(why).toMatch(FULL)
    expect(refused.length).toBeGreaterThan(0)
    expect(await party.call('rows', 'outbox')).toBe(40 + kept.length)
    // As it is: the disk is still full.
    await party.call('restart')
    expect(await party.call('rows', 'outbox')).toBe(40 + kept.length)
    await party.call('spare')
    expect(await party.call('send', to, next, 8_192)).toHaveProperty('id')
    expect(await party.call('rewrite', 50)).toEqual([])
    await party.call('restart')
    expect(await party.call('rows', 'outbox')).toBe(41 + kept.length)
    await rm(large, { recursive: true, force: true })
  })
})
