/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The relay: a peer with an address that tabs can dial. Through it agents find each other, set up their direct
 * connections, and talk where no direct connection can be made. It forwards what it cannot read; it learns who is
 * connected, who talks to whom, when and how much.
 *
 * @example
 * ```ts
 * import { createRelay } from 'agent-flow-protocol/relay'
 *
 * const relay = await createRelay({ meshes: ['demo'], identityFile: './relay.key' })
 * console.log(relay.addresses()) // what agents take as `relays`
 * await relay.close()
 * ```
 */

import { checkOptions } from '../src/common/check-options.ts'
import { RELAY } from './option-checks.ts'
import { DEFAULT_RELAY_LISTEN, type Relay, type RelayOptions } from './options.ts'
import { startRelay } from './relay.ts'

export { DEFAULT_RELAY_LIMITS, type RelayLimits } from './limits.ts'
export {
  DEFAULT_RELAY_LISTEN,
  type Relay,
  type RelayChanges,
  type RelayEvents,
  type RelayOptions,
  type RelayStats,
} from './options.ts'
export type { AllowedMeshes, TopicRefusal } from './topic-table.ts'

/**
 * Starts a relay. Either all of its addresses are listened on, or it rejects and nothing is left running.
 * @throws AfpError INVALID_OPTION, INVALID_NAME for options that make no sense, NETWORK_FAILED for an address that cannot
 *   be listened on
 * @throws AfpSecurityError INVALID_ADDRESS for what is not a multiaddr, INVALID_IDENTITY for a seed or an identity file
 *   of a wrong form
 */
export async function createRelay(options: RelayOptions = {}): Promise<Relay> {
  checkOptions('createRelay()', options, RELAY)
  return startRelay({ ...options, listen: options.listen ?? DEFAULT_RELAY_LISTEN })
}
