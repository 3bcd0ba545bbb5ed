#!/usr/bin/env node
/** `agent-flow-protocol`: the package's commands. Each is a module of the public surface, loaded when it is asked for. */

import { createRequire } from 'node:module'
import { tooOld } from './node-version.ts'

const COMMANDS: Readonly<Record<string, { summary: string; run: () => Promise<unknown> }>> = Object.assign(
  Object.create(null),
  {
    relay: {
      summary: 'run a relay; the same as afp-relay',
      run: () => import('agent-flow-protocol/relay/daemon'),
    },
    demo: {
      summary: 'serve the demo page with a relay and two agents',
      run: () => import('agent-flow-protocol/demo').then(({ runDemo }) => runDemo()),
    },
  },
)

// `help relay` is another way to say `relay --help`.
if (process.argv[2] === 'help' && process.argv[3] !== undefined) {
  process.argv.splice(2, process.argv.length, process.argv[3], '--help')
}
const [name] = process.argv.slice(2)
const command = name === undefined ? undefined : COMMANDS[name]
const old = tooOld()
if (old !== undefined) {
  console.error(old)
  process.exitCode = 1
} else if (command !== undefined) {
  // The command reads its own flags: what is left of the line is as if it had been called by itself.
  process.argv.splice(2, 1)
  await command.run()
} else if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
  const list = Object.entries(COMMANDS).map(([key, { summary }]) => `  ${key.padEnd(8)}${summary}`)
  const usage = ['Usage: agent-flow-protocol <command> [options]', '', ...list, '']
  console.log([...usage, '<command> --help tells its options; --version tells the version.'].join('\n'))
} else if (name === '--version' || name === '-V') {
  console.log(createRequire(import.meta.url)('agent-flow-protocol/package.json').version)
} else {
  console.error(
    `agent-flow-protocol: there is no command '${name}'; the commands are ${Object.keys(COMMANDS).join(', ')}; see --help`,
  )
  process.exitCode = 2
}
