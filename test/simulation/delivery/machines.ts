/** The machines of the simulation: how they start, what their handlers do, and how they go down. */

import { exponentialRetry, fixedRetry, type RetryStrategy } from '../../../src/delivery/retry.ts'
import { respondTo } from '../../../src/message/build.ts'
import { createIds } from '../../../src/message/ids.ts'
import type { Message } from '../../../src/message/message.ts'
import { DEFAULT_LIMITS } from '../../../src/message/validate.ts'
import type { Store } from '../../../src/store/store.ts'
import type { Handler, Node } from '../../delivery/world.ts'
import { owedBy } from '../disk.ts'
import { MortalStore } from '../mortal-store.ts'
import { follow, letterOptions, newDisk } from './letters.ts'
import {
  countKey,
  crash,
  effectsOn,
  hasSmallInbox,
  isCounted,
  isDoubtful,
  isOver,
  type Life,
  logKey,
  lossesOf,
  pick,
  type Run,
  receiptOf,
  TOTAL,
} from './state.ts'

/** Long enough for what is under way to arrive and be written, ms. */
const QUIET = 3_000

/** Positions that were handed to a handler, by the disk that they are on. */
const handed = new WeakMap<Store, Set<string>>()

/** When handlers of a run of a machine fail for good, and which part of them fails. */
interface Mood {
  readonly handlerStrategy: RetryStrategy
  readonly failing: number
}

/** Starts a machine, which may lose its power meanwhile. */
export async function boot(run: Run, life: Life): Promise<void> {
  const { world, random, counters } = run
  if (!run.calm) await lose(run, life)
  // Who starts anew may not know the cards of others any more.
  for (const other of [...life.cards.keys()]) if (random.float() < 0.5) life.cards.delete(other)
  const store = new MortalStore(life.disk, world.clock, random)
  const doomed = !run.calm && random.float() < 0.15
  if (doomed) store.dieAfter(Math.floor(random.float() * 12))
  const small = !run.calm && random.float() < 0.3
  const tries = pick(random, [undefined, 0, 0, 1])
  const mood: Mood = {
    handlerStrategy: tries === undefined ? exponentialRetry() : fixedRetry({ delay: 200, retries: tries }),
    failing: pick(random, [0.1, 0.1, 0.3]),
  }
  const letters = letterOptions(run)
  life.letterRoom = letters.maxEntries
  life.small = small
  let node: Node | undefined
  let failed: { error: unknown } | undefined
  const parts = {
    prekeyOf: (agent: string) =>
      agent === life.id ? world.rings.get(agent)?.current() : life.cards.get(agent)?.prekey,
    inbox: hasSmallInbox(run) ? { messages: 2 + (run.seed % 7) } : {},
    maxOutbox: small ? { messages: 3 + Math.floor(random.float() * 8) } : {},
    handlerStrategy: mood.handlerStrategy,
    judge: ({ content, parentId }: Message): void => {
      if (parentId === undefined && isDoubtful(String(content)) && random.float() < 0.7) throw new Error('not now')
    },
    // Others have their turn by the clock that is driven: a run of a seed is the same each time.
    nextTask: (): Promise<void> => new Promise(resolve => world.clock.after(0, resolve)),
  }
  world.start({ identity: life.identity, store }, handlerOf(run, life, store, mood), parts, letters).then(
    started => {
      node = started
    },
    error => {
      failed = { error }
    },
  )
  await world.clock.advanceUntil(() => node !== undefined || failed !== undefined || store.dead)
  // What hangs on the store goes on no more; what does not comes to the end of its start.
  if (store.dead) await world.clock.advance(QUIET)
  if (failed !== undefined) throw (failed as { error: unknown }).error
  if (store.dead) {
    counters.crashesOpening++
    ;(node as Node | undefined)?.crash()
    return
  }
  store.dieAfter(Number.POSITIVE_INFINITY)
  if (!run.calm) store.refuse(run.refusals)
  const up = node as unknown as Node
  life.now = { node: up, store }
  for (const table of ['outbox', 'inbox']) {
    const rows = await life.disk.range(table)
    counters.owedAtStart += rows.filter(row => owedBy(table, row) !== undefined).length
  }
  follow(run, life)
  up.tracker.addEventListener('delivery:changed', ({ detail: { id, recipient, receipt } }) => {
    const way = run.byId.get(id)?.ways.get(recipient)
    if (way === undefined || store.dead) return
    if (isOver(receipt)) way.over = true
    else if (receipt.state === 'queued') way.over = false
  })
}

/** A machine sees the card of another, as it does with each link. */
export function see({ world, lives }: Run, id: string, peer: string, delivery: Node['delivery']): void {
  const [life, other] = [id, peer].map(agent => lives.find(one => one.id === agent)) as [Life, Life]
  life.cards.set(peer, { prekey: world.rings.get(peer)?.current(), losses: lossesOf(other) })
  delivery.cardChanged(peer)
}

/** Its power goes, unless that run is over. */
export function crashAt(run: Run, life: Life, store: MortalStore): void {
  if (life.now?.store !== store) return
  run.counters.crashesWriting++
  crash(run, life)
}

/** It closes as it should, or loses its power meanwhile. */
export async function close(run: Run, life: Life): Promise<void> {
  const { world, random, counters } = run
  if (life.now === undefined) return
  const { node, store } = life.now
  life.now = undefined
  if (random.float() < 0.6) world.clock.after(random.float() * 20, () => store.die())
  let closed = false
  void node.stop().then(() => {
    closed = true
  })
  await world.clock.advanceUntil(() => closed || store.dead)
  // As at a start.
  if (!closed) await world.clock.advance(QUIET)
  if (closed) {
    counters.closed++
    // The process is gone, and with it what its handlers had still to write.
    store.die()
    world.nodes.delete(life.id)
  } else {
    counters.crashesClosing++
    node.crash()
  }
}

/** A machine that is down may come back without its disk, or without its keys. */
async function lose(run: Run, life: Life): Promise<void> {
  const { world, random, counters, sent } = run
  const fate = random.float()
  if (fate >= 0.15) return
  const toIt = sent.filter(({ ways }) => ways.has(life.id))
  await world.clock.advance(QUIET)
  if (fate < 0.08) {
    counters.lostKeys++
    life.lostKeys++
    await life.disk.commit({ writes: [{ op: 'deleteRange', table: 'prekeys', range: {} }] })
    const effect = await effectsOn(life.disk)
    // What was sealed to a key that is gone goes again, behind what was sealed to the new one.
    for (const { kind, from, text, ways } of toIt) {
      const way = ways.get(life.id)
      if (way !== undefined && effect(kind, from.id, text) === 0) way.loose = true
    }
    return
  }
  counters.lostDisks++
  for (const entry of toIt) {
    const way = entry.ways.get(life.id)
    if (way === undefined) continue
    const receipt = (await receiptOf(entry))?.recipients.get(life.id)
    way.loose = true
    way.ended = false
    // Its sender was told that it is in the recipient's store, and keeps it no longer; that may not be in its receipt yet
    // where its disk refuses to note it, or takes its time.
    const late = run.refusals !== undefined || entry.from.stalledUntil + QUIET > world.clock.monotonic()
    if (receipt?.arrived || receipt?.final || late) way.lost = true
  }
  Object.assign(life, newDisk(run, life))
  life.cards.clear()
  life.lostDisks++
}

/**
 * What a machine does with what it gets. Each time anew it is a matter of chance whether it fails, before it has written
 * anything or after that.
 */
function handlerOf(run: Run, life: Life, store: MortalStore, { handlerStrategy, failing }: Mood): Handler {
  const { world, random, byId, counters, faults, replies } = run
  const { clock } = world
  const context = { sender: life.id, clock, ids: createIds({ clock, random }), limits: DEFAULT_LIMITS }
  const before = handed.get(life.disk) ?? new Set<string>()
  handed.set(life.disk, before)
  return async ({ message, author, kind, row, epoch, number, askedFor, redelivered }, transaction) => {
    if (store.dead) return new Promise<never>(() => {})
    const text = String(message.content)
    const again = epoch === ''
    const position = `${author} ${epoch} ${number}`
    if (before.has(position) && !redelivered) faults.push(`${text}: its handler is not told that it ran before`)
    before.add(position)
    const way = byId.get(message.id)?.ways.get(life.id)
    if (!askedFor && message.isExpired(clock.now())) faults.push(`${text}: its handler starts after its end`)
    if (!again && way?.failedIn === store) faults.push(`${text}: its handler starts again, having failed for good`)
    if (!again && way?.ended) faults.push(`${text}: its handler starts after its end is on the disk`)
    if (kind === 'reply') replies.set(message.id, text)
    const fails = random.float() < failing
    const late = random.float() < 0.5
    if (fails && !late) {
      const { retries } = handlerStrategy
      if (!again && retries !== null && row.retry.attempts >= retries) {
        counters.failedForGood++
        if (way !== undefined) way.failedIn = store
        // Around the commits that say so, of which there are one or two: the next run may know nothing of it.
        if (!run.calm && random.float() < 0.15)
          store.dieAfter(Math.floor(random.float() * 4), () => crashAt(run, life, store))
      }
      throw new Error('a bad day')
    }
    if (random.float() < 0.3) await new Promise<void>(resolve => clock.after(random.float() * 200, resolve))
    if (kind === 'message') {
      const log = logKey(author, row.priority)
      const texts = ((await transaction.get(log)) as string[] | undefined) ?? []
      transaction.put(log, [...texts, text])
    } else {
      const count = countKey(kind, author, text)
      transaction.put(count, (((await transaction.get(count)) as number | undefined) ?? 0) + 1)
    }
    if (isCounted(text)) transaction.put(TOTAL, (((await transaction.get(TOTAL)) as number | undefined) ?? 0) + 1)
    // What it has written does not count.
    if (fails) throw new Error('a bad end of the day')
    return kind === 'request' ? { message: respondTo(message, text, {}, context), kind: 'reply' } : undefined
  }
}
