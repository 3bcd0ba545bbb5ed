/** The simulations that bugs are planted for. */

import type { Outcome } from '../../soak/soak.ts'

/** Loaded only where they are run: a bug has to be planted before. */
export const SIMULATIONS = new Map<string, () => Promise<(seed: number) => Promise<Outcome>>>([
  ['delivery', async () => (await import('../delivery/simulation.ts')).simulate],
  ['hostile', async () => (await import('../hostile/simulation.ts')).simulateHostile],
  ['mesh', loadMesh],
])

/** Those that hunt a bug that names none: what they run is small and quick, and whatever is broken in it shows soon. */
export const USUAL: readonly string[] = ['delivery', 'hostile']

async function loadMesh(): Promise<(seed: number) => Promise<Outcome>> {
  const { useCrypto } = await import('../mesh/crypto.ts')
  const { simulateMesh } = await import('../mesh/mesh.ts')
  return async seed => {
    try {
      return await simulateMesh(seed)
    } finally {
      // Others in this process are to have the real one.
      useCrypto('real')
    }
  }
}
