/** The simulations that bugs are planted for. */

import type { Outcome } from '../../soak/soak.ts'

/** Loaded only where they are run: a bug has to be planted before. */
export const SIMULATIONS = new Map<string, () => Promise<(seed: number) => Promise<Outcome>>>([
  ['delivery', async () => (await import('../delivery/simulation.ts')).simulate],
  ['hostile', async () => (await import('../hostile/simulation.ts')).simulateHostile],
])
