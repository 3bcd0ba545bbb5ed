/** What handling one author's messages keeps of them. */

import type { Timer } from '../common/clock.ts'
import type { MessageKind } from '../message/envelope.ts'
import type { Message } from '../message/message.ts'
import type { Check, Write } from '../store/store.ts'
import type { Arrived } from './arrived.ts'

/** What a request's handler answered, to be kept as the request was. */
export interface KeptReply {
  readonly message: Message
  readonly kind: MessageKind
}

/** What goes into the batch in which a message ends. */
export interface Ending {
  readonly writes: readonly Write[]
  readonly checks?: readonly Check[]
  readonly reply?: KeptReply | undefined
}

/** The messages of one class. */
export interface Lane {
  readonly priority: number
  readonly queue: Arrived[]
  running: boolean
  /** The first of the queue, while its handler is at work: the run may wait for something else as well. */
  atWork: Arrived | undefined
  timer: Timer | undefined
}
