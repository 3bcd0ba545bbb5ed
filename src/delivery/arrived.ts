/** What arrives from an author, and what is told of it. */

import type { Clock } from '../common/clock.ts'
import type { NextTask } from '../common/slices.ts'
import type { Position, Range } from '../feed/index.ts'
import type { Identity } from '../identity/keys.ts'
import type { MessageKind } from '../message/envelope.ts'
import type { Message, MessageSecurity } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import type { OwnPrekey } from '../security/prekeys.ts'
import type { Store } from '../store/store.ts'
import type { InboxRoom } from './inbox-room.ts'
import type { InboxRow } from './rows.ts'

/** What is sealed to this agent, and who sealed it is proved. */
export const SEALED: MessageSecurity = Object.freeze({
  level: 'high',
  authenticatedBy: 'signature',
  roles: [],
})

/** A message at its position, on the disk. */
export interface Arrived {
  readonly author: string
  readonly epoch: string
  readonly number: number
  readonly message: Message
  readonly kind: MessageKind
  row: InboxRow
  /** Its handler does not run before, on the clock that nobody sets. */
  notBefore?: number | undefined
  /** It came after order had stopped waiting for it. */
  late: boolean
  /** It was handed on before, in this run or an earlier one. */
  redelivered: boolean
  /** Somebody retries it by hand. */
  readonly askedFor?: boolean
}

/** A message that has just come. */
export const arrivedAs = (
  row: InboxRow,
  { message, kind }: Pick<Arrived, 'message' | 'kind'>,
  position: Pick<Arrived, 'author' | 'epoch' | 'number'>,
): Arrived => ({ ...position, message, kind, row, late: false, redelivered: false })

/** Where it stands in its epoch. */
export const positionOf = ({ number, row: { prev, priority } }: Arrived): Position => ({ number, prev, priority })

/** What goes back to the author. */
export interface Answers {
  /** An epoch has news for its author. */
  ack(epoch: string): void
  /** It is to hear how many more are welcome: its last news once more. */
  again(): void
  /** The opening of an epoch is wanted. */
  unknown(epoch: string): void
  /** An epoch that can never be opened here. */
  lostKey(epoch: string): void
}

/** Why something of an author's was not taken; counted. */
export type EnvelopeRefusal =
  | 'malformed'
  | 'wrong-version'
  | 'wrong-mesh'
  | 'wrong-recipient'
  | 'wrong-author'
  | 'bad-signature'
  | 'undecryptable'
  | 'unknown-epoch'
  | 'too-many-epochs'
  | 'expired'
  | 'clock-skew'
  | 'full'
  | 'lost-key'
  | 'id-conflict'
  | 'duplicate'
  | 'skipped'

/** What the recipient's side needs. */
export interface IncomingParts {
  readonly identity: Identity
  readonly mesh: string
  readonly store: Store
  readonly clock: Clock
  readonly limits: Limits
  readonly prekeys: { find(id: Uint8Array): OwnPrekey | undefined }
  readonly answers: Answers
  /** Epochs of all authors that can be read here; each is one author's alone. */
  readonly readable: Set<string>
  /** For messages that wait for their handlers; what comes beyond it is not taken, and comes again. */
  readonly room: InboxRoom
  /** The application's own judgement of a message; throws to refuse it. */
  readonly judge: (message: Message, kind: MessageKind) => void | Promise<void>
  /** Messages to be handled, in this order. */
  readonly onReleased: (arrived: readonly Arrived[]) => void
  /** One whose time is over before it was released: it has its end with that. */
  readonly onExpired: (arrived: Arrived) => void
  /** One that is neither numbered nor kept; they come in the order in which they were sent. */
  readonly onOnce: (message: Message, kind: MessageKind, bytes: number) => void | Promise<void>
  readonly onRefused: (author: string, reason: EnvelopeRefusal, detail: string) => void
  /** A message that is none, or that the application's judgement refused. */
  readonly onRejected: (author: string, error: Error) => void
  /** Order goes on without these numbers. */
  readonly onHole: (author: string, epoch: string, numbers: readonly Range[]) => void
  /** What the author has settled was never seen here: this store was lost or set back. */
  readonly onLost: (author: string, epoch: string, numbers: readonly Range[]) => void
  readonly onError: (error: unknown) => void
  /** How long work lets others have their turn. Default: the platform's. */
  readonly nextTask?: NextTask | undefined
}
