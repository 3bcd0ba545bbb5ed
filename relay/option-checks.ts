/** What each option of a relay has to be. Values of the right type are judged where they are used. */

import { CLOCK, type OptionChecks, RECORD, STRING, STRINGS } from '../src/common/check-options.ts'
import type { RelayChanges, RelayOptions } from './options.ts'

/** Of `Relay.change`. A misspelt name must not leave a relay open to every mesh. */
export const CHANGES: OptionChecks<RelayChanges> = {
  meshes: ["'any' or a list of names", value => value === 'any' || Array.isArray(value)],
  limits: RECORD,
}

/** Of `createRelay`. */
export const RELAY: OptionChecks<RelayOptions> = {
  ...CHANGES,
  listen: STRINGS,
  announce: STRINGS,
  seed: ['32 bytes', value => value instanceof Uint8Array],
  identityFile: STRING,
  clock: CLOCK,
}
