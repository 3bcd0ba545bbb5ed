#!/usr/bin/env node
/** `agent-flow-protocol`: the package's commands. Each is a module of the public surface, loaded when it is asked for. */

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

const [name] = process.argv.slice(2)
const command = name === undefined ? undefined : COMMANDS[name]
if (command !== undefined) {
  // The command reads its own flags: what is left of the line is as if it had been called by itself.
  process.argv.splice(2, 1)
  await command.run()
} else if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
  const list = Object.entries(COMMANDS).map(([key, { summary }]) => `  ${key.padEnd(8)}${summary}`)
  console.log(
    ['usage: agent-flow-protocol <command> [flags]', '', ...list, '', '<command> --help tells its flags.'].join('\n'),
  )
} else {
  console.error(
    `agent-flow-protocol: there is no command '${name}'; the commands are ${Object.keys(COMMANDS).join(', ')}`,
  )
  process.exitCode = 2
}
