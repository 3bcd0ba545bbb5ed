/** One run of a handler: no longer than it may take, and told when to stop. */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpTimeoutError } from '../common/errors.ts'
import type { Message } from '../message/message.ts'
import { isThenable } from '../message/validate.ts'
import type { Handler, HandlerContext } from './options.ts'

/** What a run needs. */
export interface HandlerRunParts {
  readonly clock: Clock
  /** How long it may take, ms. */
  readonly handlerTimeout: number
  /** Fires when the agent closes; the handler is waited for all the same. */
  readonly signal: AbortSignal
}

/**
 * What the handler returns.
 * @throws what it throws; AfpTimeoutError when it takes too long: it may still be at work then, and nobody listens to it
 */
export async function runHandler(
  { clock, handlerTimeout, signal: closing }: HandlerRunParts,
  handler: Handler,
  message: Message,
  context: Omit<HandlerContext, 'signal'>,
): Promise<unknown> {
  let own: AbortController | undefined
  let late: AfpTimeoutError | undefined
  let timer: Timer | undefined
  const close = (): void => own?.abort(closing.reason)
  let done = false
  try {
    const told = {
      ...context,
      // Made for those who look at it: most do not.
      get signal(): AbortSignal {
        if (own === undefined) {
          own = new AbortController()
          // Who looks at it when the run is over has nothing to be told any more.
          if (!done) closing.addEventListener('abort', close, { once: true })
          if (closing.aborted) close()
          if (late !== undefined) own.abort(late)
        }
        return own.signal
      },
    }
    const result: unknown = handler(message, told)
    // It is done already: there is nothing to wait for.
    if (!isThenable(result)) return result
    const over = Promise.withResolvers<never>()
    timer = clock.after(handlerTimeout, () => {
      const seconds = handlerTimeout / 1000
      late = new AfpTimeoutError(`the handler was not done within ${seconds} s; what it kept is dropped`, {
        messageId: message.id,
        timeoutSeconds: seconds,
      })
      own?.abort(late)
      over.reject(late)
    })
    return await Promise.race([result, over.promise])
  } finally {
    done = true
    timer?.cancel()
    if (own !== undefined) closing.removeEventListener('abort', close)
  }
}
