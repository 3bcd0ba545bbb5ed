/** What the author's side towards a recipient is given. */

import type { Clock } from '../common/clock.ts'
import { AfpRoutingError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import type { NextTask } from '../common/slices.ts'
import type { Identity } from '../identity/keys.ts'
import type { Guarantee } from '../message/message.ts'
import type { Prekey } from '../security/prekeys.ts'
import type { SharedContent } from '../security/shared-content.ts'
import type { Batch, Key, Store } from '../store/store.ts'
import type { CircuitBreaker } from './breaker.ts'
import type { Ledger, Quota } from './ledger.ts'
import type { Lines } from './lines.ts'
import { NEVER_TRIED, type RetryStrategy } from './retry.ts'
import type { OutboxHead } from './rows.ts'
import type { Tries } from './tries.ts'

/** What is written together with a message: as of the moment of the call, in which it is committed. */
export type Also = () => Pick<Batch, 'checks' | 'writes'>

/** A message that is ready to be sealed. */
export interface Draft {
  readonly messageId: string
  readonly guarantee: Guarantee
  readonly priority: number
  /** When it ends, ms since 1970. */
  readonly expiresAt: number
  readonly strategy: RetryStrategy | undefined
  /** Somebody waits for its reply in this run, and nobody in the next: it is a request. */
  readonly asks?: boolean | undefined
  /** What is sealed. */
  readonly payload: Uint8Array
  /** Its recipient waits for it: it is the reply to a request, or tells of a failure. */
  readonly awaited?: boolean | undefined
  /** How often policies for dead letters count it as tried before: it is sent out of a letter, and not by hand. */
  readonly lettered?: number | undefined
  /** With several recipients: the payload sealed for all of them, once. */
  readonly shared?:
    | { readonly recipients: readonly string[]; readonly content: () => Promise<SharedContent> }
    | undefined
  /** What is to be written in the same batch; asked for as that is made, since it may have changed by then. */
  readonly also?: Also | undefined
}

/** What a message brings into an epoch. */
export interface From {
  /** See `Sendable.order`. */
  readonly order: number
  /** What it counts for in the quota. */
  readonly bytes: number
  /** The row that its envelope takes the place of, if there is one. */
  readonly replaces?: Key | undefined
  /** That of the one before it: it has to be gone then. */
  readonly before?: { readonly row: Key; readonly gone: Promise<void> } | undefined
}

/** What the author's side needs. */
export interface OutgoingParts {
  readonly identity: Identity
  readonly mesh: string
  readonly store: Store
  readonly lines: Lines
  readonly clock: Clock
  readonly random: Random
  readonly ledger: Ledger
  readonly tries: Tries
  readonly quota: Quota
  /** How many may be under way. */
  readonly window: number
  /** The recipient's newest prekey; undefined as long as its card is not known. */
  readonly prekey: (recipient: string) => Prekey | undefined
  readonly breaker: (recipient: string) => CircuitBreaker
  /** How long work lets others have their turn. Default: the platform's. */
  readonly nextTask?: NextTask | undefined
  /** The recipient forgot what it had acknowledged: its store was lost or set back. */
  readonly onRollback: (recipient: string, epoch: string) => void
  /** Something could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
}

/** The row of a message that was never tried, but for its bytes. */
export const headOf = (draft: Draft, now: number): OutboxHead => ({
  messageId: draft.messageId,
  guarantee: draft.guarantee,
  priority: draft.priority,
  expiresAt: draft.expiresAt,
  createdAt: now,
  retry: NEVER_TRIED,
  strategy: draft.strategy,
  fence: undefined,
  asks: draft.asks,
  awaited: draft.awaited,
  lettered: draft.lettered,
})

/** There is no way to seal anything to the recipient. */
export const noKey = (recipient: string): AfpRoutingError =>
  new AfpRoutingError('NO_ROUTE', `the card of ${recipient} is not known, or has no key; the message was dropped`, {
    recipients: [recipient],
  })
