/** A relay and its health port as one thing that starts, reloads and stops: the daemon without process and signals. */

import { type Clock, systemClock } from '../src/common/clock.ts'
import type { DaemonConfig } from './config.ts'
import { type HealthServer, serveHealth } from './health.ts'
import { createRelay, type Relay, type RelayChanges, type RelayOptions } from './index.ts'

/** A running service. */
export interface RelayService {
  readonly relay: Relay
  /** Where `/healthz` and `/readyz` are; undefined without a health port. */
  readonly healthUrl: string | undefined
  /**
   * Takes over what can be changed at once; returns, for the log, what differs and needs a restart.
   * @throws AfpError INVALID_OPTION, INVALID_NAME; nothing is changed then
   */
  reload(config: DaemonConfig): readonly string[]
  /** Turns unready, goes on for `drainSeconds`, closes. May be called more than once. */
  stop(): Promise<void>
}

/**
 * Starts the health port, then the relay; where one fails, neither runs.
 * @throws AfpError as `createRelay` does, NETWORK_FAILED for the health port
 */
export async function startService(config: DaemonConfig, clock: Clock = systemClock): Promise<RelayService> {
  let ready = false
  const health: HealthServer | undefined =
    config.healthPort === undefined
      ? undefined
      : await serveHealth({ host: config.healthHost, port: config.healthPort, ready: () => ready })
  let relay: Relay
  try {
    relay = await createRelay({ ...config.relay, clock })
  } catch (error) {
    await health?.close()
    throw error
  }
  ready = true
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    ready = false
    if (config.drainSeconds > 0) await new Promise<void>(resolve => clock.after(config.drainSeconds * 1_000, resolve))
    await relay.close()
    await health?.close()
  }
  return {
    relay,
    healthUrl: health?.url,
    reload: next => [...fixedDifferences(config, next), ...relay.change(changesOf(next.relay))],
    stop: () => {
      stopping ??= stop()
      return stopping
    },
  }
}

/** Settings that differ and are fixed once the service runs. */
function fixedDifferences(running: DaemonConfig, next: DaemonConfig): string[] {
  const fixed = ({ relay, healthPort, healthHost, drainSeconds }: DaemonConfig): [string, unknown][] => [
    ['listen', relay.listen],
    ['announce', relay.announce],
    ['identity', relay.identityFile],
    ['healthPort', healthPort],
    ['healthHost', healthHost],
    ['drainSeconds', drainSeconds],
  ]
  const now = new Map(fixed(running))
  return fixed(next)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(now.get(key)))
    .map(([key]) => key)
}

const changesOf = ({ meshes, limits }: RelayOptions): RelayChanges => ({ meshes, limits })
