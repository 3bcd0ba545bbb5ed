/** Who is in the golden stores of test/vectors/stores, and when they were made. */

import { createIdentity, type Identity } from '../../src/identity/keys.ts'

/** Where they are. */
export const folder = new URL('../vectors/stores/', import.meta.url)

/** When the world of the newer stores began, ms since 1970; they are of its first hour. */
export const BEGAN = Date.UTC(2026, 11, 1)

/** Their identities: from seeds that are no secret. */
export const people = async (): Promise<Record<'ada' | 'bob' | 'carol' | 'zoe', Identity>> => {
  const [ada, bob, carol, zoe] = await Promise.all([1, 2, 3, 4].map(n => createIdentity(new Uint8Array(32).fill(n))))
  return { ada, bob, carol, zoe } as Record<'ada' | 'bob' | 'carol' | 'zoe', Identity>
}
