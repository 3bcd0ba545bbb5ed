/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The test kit, `agent-flow-protocol/testing`: a whole mesh in memory, with faults, time that a test drives and numbers
 * that come again.
 *
 * @example
 * ```ts
 * import { createAgent } from 'agent-flow-protocol'
 * import { DrivenClock, inMemory, memoryNet } from 'agent-flow-protocol/testing'
 *
 * const clock = new DrivenClock()
 * const net = memoryNet({ seed: 1, clock, faults: { delay: [5, 50], loss: 0.05 } })
 * const ada = await createAgent({ name: 'ada', mesh: 'test', clock, carrier: inMemory(net) })
 * const bob = await createAgent({ name: 'bob', mesh: 'test', clock, carrier: inMemory(net), peers: ada.addresses })
 * bob.handle(() => 'here')
 *
 * const asked = ada.request(bob.id, 'are you there?', { timeout: 60_000 })
 * await clock.advance(60_000) // a minute passes at once
 * console.log([(await asked).content]) // [ 'here' ]
 *
 * net.partition([ada.id], [bob.id])
 * const closed = Promise.all([ada.close(), bob.close()])
 * await clock.advance(60_000)
 * await closed
 * ```
 */

import { CLOCK, COUNT, checkOptions, MILLISECONDS, NUMBER, type OptionChecks, RECORD } from '../common/check-options.ts'
import { type Clock, systemClock } from '../common/clock.ts'
import { seededRandom } from '../common/random.ts'
import type { Identity } from '../identity/keys.ts'
import type { Carrier } from '../network/carrier.ts'
import { type MemoryCarrierOptions, MemoryNet, type MemoryNetOptions } from '../network/memory.ts'

export type { Clock, Timer } from '../common/clock.ts'
export { DrivenClock } from '../common/driven-clock.ts'
export { type Random, seededRandom } from '../common/random.ts'
export type {
  MemoryCarrier,
  MemoryCarrierOptions,
  MemoryEvent,
  MemoryFaults,
  MemoryNet,
  MemoryNetOptions,
} from '../network/memory.ts'

/** Options of {@link memoryNet}. */
export interface MemoryNetKitOptions extends Omit<MemoryNetOptions, 'clock' | 'random'> {
  /** What the faults are drawn from: the same seed and the same calls give the same history. Default 1. */
  readonly seed?: number | undefined
  /** Default: the platform's clock, with real waiting. */
  readonly clock?: Clock | undefined
}

const KIT: OptionChecks<MemoryNetKitOptions> = {
  seed: NUMBER,
  clock: CLOCK,
  faults: RECORD,
  silenceTimeout: MILLISECONDS,
  dialTimeout: MILLISECONDS,
  historySize: COUNT,
}

/** A network in memory. @throws AfpError INVALID_OPTION for faults that cannot be */
export function memoryNet(options: MemoryNetKitOptions = {}): MemoryNet {
  checkOptions('memoryNet()', options, KIT)
  const { seed = 1, clock = systemClock, ...rest } = options
  return new MemoryNet({ ...rest, clock, random: seededRandom(seed) })
}

/**
 * What `createAgent` takes as `carrier`: the agent lives in `net` instead of on libp2p. Its id is its place, for faults and for
 * addresses, unless `options` say otherwise; its relays are those of `options`.
 */
export function inMemory(net: MemoryNet, options: MemoryCarrierOptions = {}): (identity: Identity) => Carrier {
  return identity => net.carrier(identity.id, options)
}
