/** A handler of a message that is not kept: it may run again as others do, but what it wrote is committed once, or not at all. */

import { contend } from '../delivery/contention.ts'
import type { Reservations } from '../delivery/reservations.ts'
import { BufferedTransaction } from '../delivery/transaction.ts'
import type { Message } from '../message/message.ts'
import type { Store } from '../store/store.ts'
import { type HandlerRunParts, runHandler } from './handler-run.ts'
import type { Handler, HandlerContext } from './options.ts'

/** What handling it needs. */
export interface HandleUnkeptParts extends HandlerRunParts {
  readonly store: Store
  readonly reservations: Reservations
}

/** A handler threw its cause: a conflict too is its own, then. */
class Failed extends Error {}

/**
 * What the handler returns, once what it wrote is committed; it runs again where others wrote what it had read.
 * @throws what it throws; AfpDataStoreError STORE_CONFLICT where that happens again and again, or as `store.commit`
 */
export async function handleUnkept(
  parts: HandleUnkeptParts,
  handler: Handler,
  message: Message,
  told: Pick<HandlerContext, 'expectsReply' | 'idempotencyKey'>,
): Promise<unknown> {
  const { store, reservations } = parts
  const read = new Set<string>()
  let redelivered = false
  const run = async (release?: () => void): Promise<unknown> => {
    const transaction = new BufferedTransaction(store)
    const context = { ...told, transaction, redelivered, late: false }
    redelivered = true
    const result = await runHandler(parts, handler, message, context).catch(error => {
      for (const key of transaction.end().reads) read.add(key)
      transaction.abandon()
      throw transaction.conflict ?? new Failed('', { cause: error })
    })
    const { checks, writes, reads, keys } = transaction.end()
    for (const key of reads) read.add(key)
    if (writes.length === 0) return result
    if (release === undefined) await reservations.free(keys)
    await store.commit({ checks, writes })
    return result
  }
  return contend(reservations, run, read).catch(error => {
    throw error instanceof Failed ? error.cause : error
  })
}
