/** What the panels can ask for; `session.ts` does it. */

import type { LetterDesk } from './letters.ts'
import type { Channel, Entry } from './state.ts'

/** See the head of this file. */
export interface Commands {
  /**
   * `ttl`: how long it may wait for an agent that is away, seconds. False where there is no room for another conversation,
   * which the page has been told then.
   */
  say(channel: Channel, text: string, ttl?: number): boolean
  /** False as with {@link say}. */
  ask(id: string, text: string): boolean
  /** Answers a request that waits for the person in front of the page; without a text it is declined. */
  answer(entry: Entry, text: string | undefined): void
  /** Calls off a message that waits, or a request that waits for its reply. */
  cancel(entry: Entry): Promise<void>
  /** Forgets what was said, here and in the store, but for what waits. */
  clear(channel: Channel): void
  /** Holds messages to an agent back, or lets them go. */
  hold(id: string, on: boolean): void
  /** The dead letters, kept up to date from now on. */
  letters(): Promise<LetterDesk>
  /** Sends or handles the message of a dead letter again; resolves with what came of it, in words. */
  retry(letter: string): Promise<string>
  /** Why a topic could not be joined, in words; undefined when the page is in it. */
  join(topic: string): string | undefined
  leave(topic: string): void
  close(): Promise<void>
}
