/** What comes from outside and is not taken: why, and the first look at its form. */

import { AfpMessageError } from '../common/errors.ts'
import { type DecodeLimits, decode } from '../message/codec.ts'
import type { RefusalReason } from './network.ts'

/** Something from outside that is not taken. */
export class Refusal extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, detail: string) {
    super(detail)
    this.reason = reason
  }
}

/**
 * The items of an array that a stranger encoded; `what` it is meant to be is told in the refusal.
 * @throws Refusal `malformed`, `too-deep`
 */
export function readArray(bytes: Uint8Array, what: string, limits?: DecodeLimits): unknown[] {
  let value: unknown
  try {
    value = decode(bytes, limits)
  } catch (error) {
    const tooDeep = error instanceof AfpMessageError && error.details.reason === 'too-deep'
    throw new Refusal(tooDeep ? 'too-deep' : 'malformed', what)
  }
  if (!Array.isArray(value)) throw new Refusal('malformed', what)
  return value
}
