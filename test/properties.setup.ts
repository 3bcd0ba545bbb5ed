/** Before each file: with AFP_SEED, and AFP_PATH, every property runs as in the run that printed them when it failed. */

import { inject } from 'vitest'

const [seed, path] = [inject('seed'), inject('path')]
// Most files have no properties, and most runs no seed.
if (seed !== '') {
  const { default: fc } = await import('fast-check')
  fc.configureGlobal({ seed: Number(seed), ...(path === '' ? {} : { path }) })
}
