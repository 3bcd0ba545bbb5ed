/** Which Node the commands need: said before anything is loaded that an older one does not have, such as `node:sqlite`. */

import { createRequire } from 'node:module'

const { engines } = createRequire(import.meta.url)('agent-flow-protocol/package.json') as { engines: { node: string } }
const NEEDED = engines.node.replace('>=', '')

/** What whoever runs a command is told where this Node is too old for it; undefined where it is not. */
export function tooOld(version = process.versions.node): string | undefined {
  const [[major = 0, minor = 0], [least = 0, leastMinor = 0]] = [version, NEEDED].map(text =>
    text.split('.').map(Number),
  ) as [number[], number[]]
  if (major > least || (major === least && minor >= leastMinor)) return undefined
  return `agent-flow-protocol: this needs Node ${NEEDED} or newer, and is run by Node ${version}; nothing was started`
}
