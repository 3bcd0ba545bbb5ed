/** `afp-relay`: a relay as a process. Addresses go to stdout, everything else, one line each, to stderr. */

import { createRequire } from 'node:module'
import { systemClock } from '../src/common/clock.ts'
import { AfpError, type AfpErrorCode } from '../src/common/errors.ts'
import { type Command, type DaemonConfig, helpText, readCommand } from './config.ts'
import { type RelayService, startService } from './service.ts'

/** How long closing may take once draining is over, ms. */
const STOP_TIMEOUT = 5_000

/** What a relay says of its settings; all else that keeps it from starting is the machine's fault. */
const WRONG_SETTINGS: ReadonlySet<AfpErrorCode> = new Set(['INVALID_OPTION', 'INVALID_ADDRESS', 'INVALID_NAME'])

const argv = process.argv.slice(2)
const log = (text: string): void => console.error(`${new Date(systemClock.now()).toISOString()} ${oneLine(text)}`)

process.on('uncaughtException', error => {
  log(`error: ${error.stack ?? error.message}`)
  process.exit(1)
})

const command = commandOrExit()
if (command.kind === 'help') process.stdout.write(helpText())
else if (command.kind === 'version')
  console.log(createRequire(import.meta.url)('agent-flow-protocol/package.json').version)
else await run(command.config)

async function run(config: DaemonConfig): Promise<void> {
  let service: RelayService | undefined
  let asked = false
  const stop = (signal: NodeJS.Signals): void => {
    if (asked || service === undefined) {
      log(`${signal}: stopping at once`)
      process.exit(asked ? 1 : 0)
    }
    asked = true
    log(`${signal}: stopping`)
    systemClock.after(config.drainSeconds * 1_000 + STOP_TIMEOUT, () => {
      log('error: it did not stop in time')
      process.exit(1)
    })
    service.stop().then(
      () => {
        log('stopped')
        process.exit(0)
      },
      (error: Error) => {
        log(`error: it did not stop in good order: ${error.message}`)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', () => {
    if (config.file === undefined) log('SIGHUP: there is no --config file to read again')
    else if (service !== undefined) reload(service)
  })
  try {
    service = await startService(config)
  } catch (error) {
    if (!(error instanceof AfpError)) throw error
    const told = WRONG_SETTINGS.has(error.code)
    log(`error: ${error.message}${told ? '; see afp-relay --help' : ''}`)
    process.exit(told ? 2 : 1)
  }
  const { relay, healthUrl } = service
  if (config.relay.identityFile === undefined)
    log('no --identity file: agents have to be told new addresses after a restart')
  relay.addEventListener('refused', refusals())
  log(`relay ${relay.id}, meshes: ${config.relay.meshes === 'any' ? 'any' : config.relay.meshes?.join(', ')}`)
  if (healthUrl !== undefined) log(`health on ${healthUrl}/healthz and ${healthUrl}/readyz`)
  console.log('Addresses for the option `relays` of agents:')
  for (const address of relay.addresses()) console.log(address)
}

function reload(service: RelayService): void {
  try {
    const next = readCommand(argv, process.env)
    if (next.kind !== 'run') return
    const fixed = service.reload(next.config)
    const rest = fixed.length === 0 ? '' : `; needs a restart: ${fixed.join(', ')}`
    log(`SIGHUP: meshes and bounds read again${rest}`)
  } catch (error) {
    if (!(error instanceof AfpError)) throw error
    log(`SIGHUP: nothing changed: ${error.message}`)
  }
}

/** Logs what is refused: the first of each kind in a minute, and how many more there were. */
function refusals(): (event: CustomEvent<{ peer: string; reason: string; detail: string }>) => void {
  const counts = new Map<string, number>()
  return ({ detail: { peer, reason, detail } }) => {
    const count = counts.get(reason)
    if (count !== undefined) {
      counts.set(reason, count + 1)
      return
    }
    counts.set(reason, 0)
    log(`refused (${reason}) ${detail}, from ${peer}`)
    systemClock.after(60_000, () => {
      const more = counts.get(reason) ?? 0
      counts.delete(reason)
      if (more > 0) log(`refused (${reason}) ${more} more in the last minute`)
    })
  }
}

function commandOrExit(): Command {
  try {
    return readCommand(argv, process.env)
  } catch (error) {
    if (!(error instanceof AfpError)) throw error
    log(`error: ${error.message}; see afp-relay --help`)
    return process.exit(2)
  }
}

/** Peers choose some of what is logged: no line may look like two, or move a terminal's cursor. */
function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' | ').replace(/\p{C}/gu, '?')
}
