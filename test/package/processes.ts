/** Runs what a user would run, in folders outside the project. */

import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const windows = process.platform === 'win32'

/** The environment without what an outer npm says about its own run. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([key]) => !/^npm_(?!config_(registry|cache|userconfig)$)|^(NODE_ENV|VITEST)/.test(key),
  ),
)

function launch(
  command: string,
  args: readonly string[],
  cwd: string,
  more: Record<string, string> = {},
): ChildProcess {
  // A group of its own: what npx starts ends with it.
  return spawn(command, args, {
    cwd,
    env: { ...env, ...more },
    shell: windows,
    detached: !windows,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

/** Runs a command to its end. Rejects with all of its output when it fails. */
export function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const child = launch(command, args, cwd)
  let output = ''
  child.stdout?.on('data', chunk => {
    output += chunk
  })
  let errors = ''
  child.stderr?.on('data', chunk => {
    errors += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      if (code === 0) resolve(output)
      else reject(new Error(`${command} ${args.join(' ')} exited with ${code}\n${output}${errors}`))
    })
  })
}

/** A program that goes on. */
export interface Running extends AsyncDisposable {
  /** The first line of its output, from its start on, that matches. Rejects when it ends without one. */
  line(pattern: RegExp): Promise<RegExpExecArray>
}

/** Starts a program that goes on until it is disposed of; `more` goes into its environment. */
export function start(
  command: string,
  args: readonly string[],
  cwd: string,
  more: Record<string, string> = {},
): Running {
  const child = launch(command, args, cwd, more)
  let output = ''
  let errors = ''
  let ended = false
  const waiting = new Set<() => void>()
  const tell = (): void => {
    for (const look of waiting) look()
  }
  child.stdout?.on('data', chunk => {
    output += chunk
    tell()
  })
  child.stderr?.on('data', chunk => {
    errors += chunk
  })
  const closed = new Promise<void>(resolve => {
    child.once('error', error => {
      errors += error.message
    })
    child.once('close', () => {
      ended = true
      tell()
      resolve()
    })
  })
  return {
    line: pattern =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = output
            .split('\n')
            .slice(0, -1)
            .map(line => pattern.exec(line))
            .find(Boolean)
          if (!found && !ended) return
          waiting.delete(look)
          if (found) resolve(found)
          else reject(new Error(`${command} ${args.join(' ')} ended without ${pattern}\n${output}${errors}`))
        }
        waiting.add(look)
        look()
      }),
    async [Symbol.asyncDispose]() {
      if (!ended && child.pid !== undefined) {
        if (windows) spawn('taskkill', ['/pid', String(child.pid), '/T', '/F'])
        else process.kill(-child.pid, 'SIGTERM')
      }
      await closed
    },
  }
}

/** Bytes of all files under a folder. */
export function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
