/** Waiting that can be called off or times out. */

import type { Clock } from './clock.ts'

/** What everything that waits takes. */
export interface AbortOptions {
  /** Calls the operation off; it then rejects with the signal's reason. It may come from another realm. */
  signal?: AbortSignal | undefined
}

/** `promise`, or a rejection with the signal's reason as soon as it fires. The work itself goes on unless it listens. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  if (signal.aborted) {
    promise.catch(() => {})
    return Promise.reject(signal.reason)
  }
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/**
 * A controller that also aborts when `outer` does, until it is released: then it has no listener there any more. In place
 * of `AbortSignal.any`, which refuses signals of another realm; an application may give one.
 */
export function following(outer: AbortSignal | undefined): { controller: AbortController; release: () => void } {
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(outer?.reason)
  if (outer?.aborted) onAbort()
  else outer?.addEventListener('abort', onAbort, { once: true })
  return { controller, release: () => outer?.removeEventListener('abort', onAbort) }
}

/** Does `work` with a signal that fires when `outer` does or, with what `reason` then makes, after `ms`. */
export async function within<T>(
  clock: Clock,
  ms: number,
  reason: () => unknown,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer?.throwIfAborted()
  const { controller, release } = following(outer)
  // A clock need not know what infinity is.
  const timer = ms < Number.POSITIVE_INFINITY ? clock.after(ms, () => controller.abort(reason())) : undefined
  try {
    return await work(controller.signal)
  } finally {
    timer?.cancel()
    release()
  }
}
