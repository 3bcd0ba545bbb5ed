/** What comes between a write that failed and the next try. */

import { abortable } from '../common/abort.ts'
import type { Clock } from '../common/clock.ts'
import type { Check, Store } from '../store/store.ts'
import { LettersFull } from './letter-room.ts'

/** How long a write that failed waits before it is tried again, ms. */
const WRITE_PAUSE = 1_000

/** What waiting for it needs. */
export interface NextTryParts {
  readonly clock: Clock
  /** Something could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
}

/**
 * Tells what failed, and resolves when it may be tried again: after a pause, or, where only a dead letter had no room,
 * when it may have. That is told once: it may last until a person comes.
 * @param signal ends the wait
 */
export async function nextTry({ clock, onError }: NextTryParts, error: unknown, signal: AbortSignal): Promise<void> {
  const isFull = error instanceof LettersFull
  if (!isFull || !error.again) onError(error)
  await (isFull ? untilClosed(error.room(), signal) : writePause(clock, signal))
}

/** Resolves when what could not be written may be tried again, or `signal` fires: no timer is left then. */
export async function writePause(clock: Clock, signal: AbortSignal): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const pause = signal.aborted ? undefined : clock.after(WRITE_PAUSE, resolve)
  await (pause && untilClosed(over, signal))
  pause?.cancel()
}

const untilClosed = (work: Promise<void>, signal: AbortSignal): Promise<void> => abortable(work, signal).catch(() => {})

/** Whether a row is gone: what was said to have failed was written after all. Not, where it cannot be read. */
export const isGone = async (store: Store, { table, key }: Pick<Check, 'table' | 'key'>): Promise<boolean> =>
  (await store.get(table, key).catch(() => key)) === undefined
