/** What an outbox row, a receipt and a dead letter are told of a message at its position. */

import type { Key, Write } from '../store/store.ts'
import type { Envelopes, Stored } from './envelopes.ts'
import type { Fate } from './ledger.ts'
import type { Entry, OutEpoch } from './out-epoch.ts'
import type { Draft } from './outgoing-parts.ts'
import { type FenceReason, NO_BYTES, outboxKey } from './rows.ts'

/** Where its row is. */
export const rowKeyOf = (recipient: string, { epoch, number }: Pick<Stored, 'epoch' | 'number'>): Key =>
  outboxKey(recipient, epoch.id, number)

/** Takes its row away. */
export const deleteRow = (recipient: string, entry: Pick<Entry, 'epoch' | 'number'>): Write => ({
  op: 'delete',
  table: 'outbox',
  key: rowKeyOf(recipient, entry),
})

/** What became of it. */
export const fateOf = (
  recipient: string,
  epoch: OutEpoch,
  number: number,
  messageId: string,
  status: Fate['status'],
): Fate => ({ messageId, recipient, epoch: epoch.id, number, status })

/** What a dead letter keeps of it; undefined where it is not there any more. */
export async function endedOf(entry: Entry, envelopes: Envelopes): Promise<Fate['ended']> {
  const payload = await envelopes.payload(entry)
  return payload && { row: entry.row, payload }
}

/**
 * What becomes of it where it is given up. Nobody waits for a reply any more then, and of what was called off nothing is
 * kept: there is nothing that a letter could do, and no bytes have to be opened for one.
 */
export async function fateOfEnd(
  recipient: string,
  entry: Entry,
  reason: FenceReason,
  envelopes: Envelopes,
): Promise<Fate> {
  const { epoch, number, row, left, tries, awaited } = entry
  const died = reason === 'attempts-exhausted' || reason === 'too-large'
  const status = died ? 'dead' : reason === 'cancelled' ? 'cancelled' : 'expired'
  const ended = awaited || status === 'cancelled' ? undefined : await endedOf(entry, envelopes)
  return { ...fateOf(recipient, epoch, number, row.messageId, status), reason, inDoubt: left, attempts: tries, ended }
}

/** The message as it was before it was sealed, to be sealed anew, but for its bytes: they are in its row. */
export function draftAgain({ row }: Entry): Draft {
  const { messageId, guarantee, priority, expiresAt, strategy, asks, awaited, lettered } = row
  return { messageId, guarantee, priority, expiresAt, strategy, asks, awaited, lettered, payload: NO_BYTES }
}
