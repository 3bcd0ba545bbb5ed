#!/usr/bin/env node
/** `afp-relay`: the relay as a command of its own. */

import { tooOld } from './node-version.ts'

const old = tooOld()
if (old === undefined) await import('agent-flow-protocol/relay/daemon')
else {
  console.error(old)
  process.exitCode = 1
}
