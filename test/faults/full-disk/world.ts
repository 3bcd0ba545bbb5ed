/** What both sides of a full disk share. */

import { fixedRetry } from '../../../src/delivery/retry.ts'

/** Who was left alone for want of room is soon tried again. */
export const RETRY = {
  retry: fixedRetry({ delay: 100, retries: 100_000 }),
  breaker: { resetTimeout: 200 },
} as const

/** Content of some size. */
export const body = (bytes: number): string => 'x'.repeat(bytes)
