/** For plain Node: `node --conditions=afp-source --import ./test/simulation/mesh/register.mjs …` has what the simulation needs. */

import { registerHooks } from 'node:module'

const ours = new Map(['crypto', 'ed25519'].map(name => [`#${name}`, new URL(`./${name}.ts`, import.meta.url).href]))

registerHooks({
  resolve: (specifier, context, next) => {
    const url = ours.get(specifier)
    return url === undefined ? next(specifier, context) : { url, format: 'module-typescript', shortCircuit: true }
  },
})
