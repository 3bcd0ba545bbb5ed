/** How much may wait for handlers, and how much does. */

/** The bounds. */
export interface InboxLimits {
  /** Messages of one author. */
  readonly messages: number
  /** Bytes of one author's messages. */
  readonly bytes: number
  /** Bytes of all authors' messages; each has at most as many as are still free. Beyond it there may be one of each. */
  readonly totalBytes: number
}

/** The bounds of inboxes, unless their agent has others: 10,000 messages and 64 MiB of each author, 256 MiB of all. */
export const DEFAULT_INBOX: InboxLimits = { messages: 10_000, bytes: 2 ** 26, totalBytes: 2 ** 28 }

/** What all authors' messages take together. */
export interface InboxRoom {
  readonly limits: InboxLimits
  /** Bytes in use. */
  used: number
}
