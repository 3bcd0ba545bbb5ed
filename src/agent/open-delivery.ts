/** Opens everything that keeps messages: prekeys, receipts, dead letters, circuit breakers, and delivery itself. */

import type { Clock } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import { CircuitBreakers } from '../delivery/breakers.ts'
import { DeadLetters } from '../delivery/dead-letters.ts'
import { Delivery, type DeliveryParts } from '../delivery/delivery.ts'
import { EndedReceipts } from '../delivery/ended-receipts.ts'
import { HeldOpen } from '../delivery/held-open.ts'
import { loadReceipt, openReceipts, purgeReceipts } from '../delivery/receipt-rows.ts'
import { isUnderWay } from '../delivery/receipts.ts'
import { exponentialRetry, untilExpiry } from '../delivery/retry.ts'
import { Tracker } from '../delivery/tracker.ts'
import type { KnownAgents } from '../identity/known-agents.ts'
import { PrekeyRing } from '../security/prekeys.ts'
import type { Store } from '../store/store.ts'
import type { AgentOptions } from './options.ts'

/** The longest pause between two tries, ms: well below the patience that order has with a message that is missing. */
export const LONGEST_PAUSE = 15_000
/** How long after their time to live receipts can be asked for, ms: a day. */
export const KEEP_RECEIPTS = 24 * 3_600_000
/**
 * More of messages that have their end are not kept for as long, once these have expired: some 160 bytes each, all of which
 * every start looks at.
 */
export const MOST_RECEIPTS = 262_144
/** As many stay in a store in memory, whether or not they have expired, beside those that are followed. */
export const MOST_RECEIPTS_IN_MEMORY = 10_000
/** How often those that are over are looked for, which reads all of them, ms. */
const PURGE = 3_600_000

/**
 * The prekeys of this agent, one of them current. Where no new one can be written an older one goes on for as long as it can
 * be used: the disk may be full, and what waits makes room.
 * @throws AfpDataStoreError where there is none
 */
export async function openPrekeys(parts: { store: Store; random: Random; clock: Clock }): Promise<PrekeyRing> {
  const prekeys = new PrekeyRing(parts)
  await prekeys.load()
  const now = parts.clock.now()
  await prekeys.rotate(now).catch(error => {
    const { notAfter } = prekeys.current() ?? { notAfter: now }
    if (notAfter <= now) throw error
  })
  return prekeys
}

/** What wiring delivery needs. */
export interface OpenDeliveryParts
  extends Omit<
    DeliveryParts,
    'tracker' | 'isClosed' | 'deadLetters' | 'breakers' | 'prekeyOf' | 'strategy' | 'handlerStrategy' | 'onRollback'
  > {
  readonly options: AgentOptions
  readonly ids: () => string
  readonly known: KnownAgents
  readonly onRollback: (recipient: string, epoch: string) => void
}

/** What keeps messages. */
export interface Kept {
  readonly delivery: Delivery
  readonly tracker: Tracker
  readonly deadLetters: DeadLetters
  readonly breakers: CircuitBreakers
  /** Hands out what came, and retries what died, once the application has had a turn to say who handles it. */
  readonly start: () => void
  /** The agent is about to close: nothing that comes is handed out any more, and no letter retried by itself. */
  readonly pause: () => void
  /** Deletes what is over. */
  readonly tidy: () => Promise<void>
  readonly close: () => Promise<void>
}

/** @throws AfpDataStoreError STORE_FAILED when a row is damaged; AfpError INVALID_OPTION */
export async function openDelivery(parts: OpenDeliveryParts): Promise<Kept> {
  const { options, store, clock, prekeys, known, identity } = parts
  // However old a receipt is: its message may have been sent again.
  const wanted = (id: string): boolean => {
    const receipt = tracker.latest(id)
    return deadLetters.asksFor(id) || (receipt !== undefined && isUnderWay(receipt))
  }
  const ended = new EndedReceipts({ store, most: MOST_RECEIPTS_IN_MEMORY, wanted })
  const inMemory = store.durability === 'memory'
  const tracker = new Tracker({
    clock,
    load: id => loadReceipt(store, id),
    onEnded: inMemory ? id => ended.add(id) : undefined,
  })
  const closed = new Set<string>()
  for await (const receipt of openReceipts(store, undefined, id => closed.add(id))) tracker.track(receipt)
  const breakers = new CircuitBreakers({ clock, ...options.breaker })
  const heldOpen = await HeldOpen.open({ ...parts, breakers })
  const deadLetters: DeadLetters = await DeadLetters.open({
    ...parts,
    ...options.deadLetters,
    policies: options.deadLetterRetry,
    retry: (...letter) => delivery.retryLetter(...letter),
  })
  const delivery: Delivery = await Delivery.open({
    ...parts,
    tracker,
    isClosed: id => closed.has(id),
    deadLetters,
    breakers,
    prekeyOf: agent => {
      const prekey = agent === identity.id ? prekeys.current() : known.get(agent)?.prekey
      return prekey !== undefined && prekey.notAfter > clock.now() ? prekey : undefined
    },
    maxOutbox: options.outbox,
    inbox: options.inbox,
    holePatience: options.holePatience,
    strategy: options.retry ?? untilExpiry({ cap: LONGEST_PAUSE }),
    handlerStrategy: options.handlerRetry ?? exponentialRetry(),
  })
  if (inMemory) for (const id of closed) ended.add(id)
  closed.clear()
  // By the clock that nobody sets: after one that was ahead for a while, what is old goes on being forgotten.
  let purgeAt = Number.NEGATIVE_INFINITY
  return {
    delivery,
    tracker,
    deadLetters,
    breakers,
    start: () => {
      delivery.start()
      deadLetters.start()
    },
    pause: () => {
      delivery.pause()
      deadLetters.pause()
    },
    tidy: async () => {
      delivery.offerAgain()
      await prekeys.rotate(clock.now())
      const now = clock.monotonic()
      if (now < purgeAt) return
      purgeAt = now + PURGE
      await delivery.tidy()
      const wall = clock.now()
      await purgeReceipts(store, wall - KEEP_RECEIPTS, wanted, { most: MOST_RECEIPTS, now: wall })
    },
    close: async () => {
      // Each of them first: a retry that ends with delivery is not to be noted as one that failed.
      await Promise.all([deadLetters.close(), delivery.close(), heldOpen.close()])
      tracker.close()
    },
  }
}
