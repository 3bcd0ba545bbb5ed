/** What an identity looks like, where an application hands one in. */

import { hasMethods } from '../common/check-options.ts'
import { isAgentId } from './keys.ts'

/** Whether a value is an identity, as far as its looks say. */
export const isIdentity = (value: unknown): boolean =>
  hasMethods('sign')(value) &&
  isAgentId((value as { id: unknown }).id) &&
  ArrayBuffer.isView((value as { seed: unknown }).seed)
