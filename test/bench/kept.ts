/**
 * How long an agent's event loop stands still while it takes up what an earlier run kept, and how long all of it takes:
 * `npm run bench -- kept [messages]` prints a table, for a store in memory and one in SQLite.
 *
 * `BENCH_CASES`, a regular expression, picks cases.
 *
 * - outbox: sealed messages to one recipient that is away
 * - unsealed: messages that wait for the recipient's card, which comes once they are taken up
 * - inbox: messages of one author, handled by a handler that does nothing, or kept for one that comes later
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/common/clock.ts'
import { systemRandom } from '../../src/common/random.ts'
import { CircuitBreakers } from '../../src/delivery/breakers.ts'
import { DeadLetters } from '../../src/delivery/dead-letters.ts'
import { Delivery, type DeliveryParts } from '../../src/delivery/delivery.ts'
import { draftOf } from '../../src/delivery/drafts.ts'
import { openEpoch } from '../../src/delivery/out-epoch.ts'
import { headOf } from '../../src/delivery/outgoing-parts.ts'
import { loadReceipt, openReceipts, writeReceipt } from '../../src/delivery/receipt-rows.ts'
import { newReceipt } from '../../src/delivery/receipts.ts'
import { exponentialRetry, NEVER_TRIED, untilExpiry } from '../../src/delivery/retry.ts'
import { inboxKey, outboxKey, putEpoch, putInbox, putOpening, putOutbox } from '../../src/delivery/rows.ts'
import { sealFrame } from '../../src/delivery/sealing.ts'
import { Tracker } from '../../src/delivery/tracker.ts'
import { Epochs } from '../../src/feed/index.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { buildMessage } from '../../src/message/build.ts'
import { createIds } from '../../src/message/ids.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { type Prekey, PrekeyRing } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Store, Write } from '../../src/store/store.ts'

const MESH = 'bench'
const COUNT = Number(process.argv[2] ?? 10_000)
const content = new Uint8Array(1_024).map((_, i) => i * 31)
const clock = systemClock
const random = systemRandom
const ids = createIds({ clock, random })
const limits = DEFAULT_LIMITS

/** Rows are put in some at a time, so that filling needs no more memory than it must. */
async function fill(store: Store, writes: Iterable<Write> | AsyncIterable<Write>): Promise<void> {
  let batch: Write[] = []
  for await (const write of writes) {
    batch.push(write)
    if (batch.length < 1_000) continue
    await store.commit({ writes: batch })
    batch = []
  }
  await store.commit({ writes: batch })
}

const draft = (from: Identity, to: string) => {
  const context = { clock, ids, sender: from.id, limits }
  const message = buildMessage({ recipients: [to] }, content, { guarantee: 'at-least-once' }, context as never)
  return draftOf(message, 'message', undefined, { limits } as never)
}

const receiptOf = ({ messageId: id, guarantee, expiresAt }: ReturnType<typeof draft>, to: string): Write =>
  writeReceipt(newReceipt({ id, guarantee, createdAt: clock.now(), expiresAt }, [to]))

async function* outbox(self: Identity, other: Identity, prekey: Prekey): AsyncGenerator<Write> {
  const epoch = await openEpoch({
    author: self,
    mesh: MESH,
    recipient: other.id,
    prekey,
    earlier: [],
    random,
    now: clock.now(),
  })
  yield putOpening(other.id, epoch.id, epoch)
  for (let number = 1; number <= COUNT; number++) {
    const each = draft(self, other.id)
    const { prev } = epoch.feed.next(each.priority)
    const frame = await sealFrame(
      epoch,
      each,
      { number, prev, numbered: true },
      { mesh: MESH, destination: other.publicKey },
    )
    yield putOutbox(outboxKey(other.id, epoch.id, number), { ...headOf(each, clock.now()), frame })
    yield receiptOf(each, other.id)
  }
}

function* unsealed(self: Identity, other: Identity): Generator<Write> {
  for (let number = 1; number <= COUNT; number++) {
    const each = draft(self, other.id)
    yield putOutbox(outboxKey(other.id, '', number), { ...headOf(each, clock.now()), frame: each.payload })
    yield receiptOf(each, other.id)
  }
}

function* inbox(self: Identity, other: Identity): Generator<Write> {
  const epochs = new Epochs()
  const id = 'ab'.repeat(16)
  epochs.open(id, [])
  for (let number = 1; number <= COUNT; number++) {
    const { priority, payload } = draft(other, self.id)
    const position = { number, prev: number - 1, priority }
    epochs.begin(id, position)
    epochs.accept(id, position)
    const row = { kind: 'message', prev: number - 1, priority, receivedAt: clock.now(), retry: NEVER_TRIED } as const
    yield putInbox(inboxKey(other.id, id, number), { ...row, message: payload })
  }
  const snapshot = epochs.snapshot(id)?.value
  yield putEpoch(other.id, id, { key: random.bytes(32), notAfter: clock.now() + 1e9, earlier: [], snapshot })
}

/** What a case took: of the clock, and of the processor, which others on the machine do not make longer. Ms. */
interface Figures {
  total: number
  cpu: number
  /** The longest turn of the event loop. */
  stall: number
  stallCpu: number
}

/** Looks at each turn of the event loop how long the one before it took. */
class Watch {
  readonly #figures: Figures = { total: 0, cpu: 0, stall: 0, stallCpu: 0 }
  #last = performance.now()
  #lastCpu = cpuNow()
  #on = true

  constructor() {
    const look = (): void => {
      const figures = this.#figures
      const [time, cpu] = [performance.now() - this.#last, cpuNow() - this.#lastCpu]
      this.#last += time
      this.#lastCpu += cpu
      figures.total += time
      figures.cpu += cpu
      figures.stall = Math.max(figures.stall, time)
      figures.stallCpu = Math.max(figures.stallCpu, cpu)
      if (this.#on) setImmediate(look)
    }
    setImmediate(look)
  }

  async end(): Promise<Figures> {
    await new Promise<void>(resolve => clock.after(0, resolve))
    this.#on = false
    return this.#figures
  }
}

/** Processor time of this thread, ms. */
function cpuNow(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

/** Looks seldom: counting is work as well. */
async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise<void>(resolve => clock.after(100, resolve))
}

const CASES = ['outbox', 'unsealed', 'inbox', 'inbox, no handler'] as const

async function measure(name: (typeof CASES)[number], store: Store): Promise<Figures> {
  const [self, other] = [await createIdentity(), await createIdentity()]
  const theirs = new PrekeyRing({ store: memoryStore(), random })
  await theirs.rotate(clock.now())
  const theirPrekey = theirs.current() as Prekey
  if (name === 'outbox') await fill(store, outbox(self, other, theirPrekey))
  else await fill(store, name === 'unsealed' ? unsealed(self, other) : inbox(self, other))
  const prekeys = new PrekeyRing({ store, random })
  await prekeys.rotate(clock.now())
  let known = name === 'outbox'
  const handled = Promise.withResolvers<void>()
  let taken = 0
  // Nobody is there: what goes over connections is no part of this.
  const network = { send: async () => {}, link: () => undefined, peer: () => undefined, open: async () => {} }
  globalThis.gc?.()
  const watch = new Watch()
  const tracker = new Tracker({ clock, load: id => loadReceipt(store, id) })
  for await (const receipt of openReceipts(store)) tracker.track(receipt)
  const delivery = await Delivery.open({
    identity: self,
    mesh: MESH,
    store,
    network: network as unknown as DeliveryParts['network'],
    clock,
    random,
    limits,
    prekeys,
    tracker,
    deadLetters: await DeadLetters.open({ store, clock, random, ids }),
    breakers: new CircuitBreakers({ clock }),
    prekeyOf: () => (known ? theirPrekey : undefined),
    strategy: untilExpiry(),
    handlerStrategy: exponentialRetry(),
    judge: () => {},
    take: () => {
      if (++taken === COUNT) handled.resolve()
      return name === 'inbox' ? Promise.resolve(undefined) : 'waiting'
    },
    onOnce: () => {},
    onRefused: () => {},
    onRejected: () => {},
    onHole: () => {},
    onLost: () => {},
    onFailed: () => {},
    onRollback: () => {},
    onError: error => console.error(error),
  })
  delivery.start()
  if (name === 'unsealed') {
    known = true
    delivery.cardChanged(other.id)
    await until(async () => (await store.count('outbox', { prefix: [other.id, ''] })) === 0)
  } else if (name !== 'outbox') {
    await handled.promise
    if (name === 'inbox') await until(async () => (await store.count('inbox')) === 0)
  }
  const figures = await watch.end()
  await delivery.close()
  tracker.close()
  await store.close()
  return figures
}

const folder = await mkdtemp(join(tmpdir(), 'afp-kept-'))
let file = 0
for (const name of CASES) {
  for (const kind of ['memory', 'sqlite']) {
    if (!new RegExp(process.env.BENCH_CASES ?? '').test(`${name}, ${kind}`)) continue
    const store = kind === 'memory' ? memoryStore() : await sqliteStore(join(folder, `${++file}.db`))
    const { total, cpu, stall, stallCpu } = await measure(name, store)
    const ms = (value: number): string => `${value.toFixed(0)} ms`
    console.log(`${name}, ${kind}: ${ms(total)} (processor ${ms(cpu)}), longest turn ${ms(stall)} (${ms(stallCpu)})`)
  }
}
await rm(folder, { recursive: true })
