/** What a requester is told when its request failed: a code and a sentence, never a stack. */

import { AfpError } from '../common/errors.ts'
import type { Content } from './message.ts'

/** The content of a failure reply. */
export type Failure = {
  /** An error code of this protocol, such as `NO_HANDLER` or `HANDLER_FAILED`; another implementation may have its own. */
  readonly code: string
  /** For people; at most 1,024 characters. */
  readonly message: string
}

const MAX_MESSAGE = 1024

/** What to tell about an error: an {@link AfpError}'s own code, `HANDLER_FAILED` for any other. */
export function toFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: error instanceof AfpError ? error.code : 'HANDLER_FAILED',
    message: message.slice(0, MAX_MESSAGE).toWellFormed(),
  }
}

/** Reads the content of a failure reply; what has not its form becomes `HANDLER_FAILED` with no message. */
export function readFailure(content: Content): Failure {
  const { code, message } = (content ?? {}) as { code?: unknown; message?: unknown }
  return {
    code: typeof code === 'string' && /^[A-Z][A-Z_]{0,63}$/.test(code) ? code : 'HANDLER_FAILED',
    message: typeof message === 'string' ? message.slice(0, MAX_MESSAGE) : '',
  }
}
