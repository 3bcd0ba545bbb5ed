/** A party of a test as a process of its own: what it says is waited for, and it can be killed at any moment. */

import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const NODE = [process.execPath, '--conditions=afp-source', '--disable-warning=ExperimentalWarning']

/** Where a party finds each source as it was compiled the last time: what is killed hundreds of times has to start soon. */
const COMPILED = join(import.meta.dirname, '../../node_modules/.cache/agent-flow-protocol/compiled')

/** See the head of this file. */
export class Party {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #listeners = new Set<() => void>()
  #calls = 0
  readonly lines: string[] = []

  /**
   * @param script - its file, from this folder
   * @param within - a command that runs it, such as `unshare -m`
   * @param more - options of Node itself, and variables of the environment
   */
  constructor(
    script: string,
    args: readonly string[] = [],
    within: readonly string[] = [],
    more: { readonly options?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
  ) {
    const { options = [], env } = more
    const [command = '', ...rest] = [...within, ...NODE, ...options, join(import.meta.dirname, script), ...args]
    this.#child = spawn(command, rest, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILED, ...env },
    })
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', line => {
      this.lines.push(line)
      for (const listener of this.#listeners) listener()
    })
    this.#ended = new Promise(resolve => this.#child.once('close', () => resolve()))
  }

  /** The first line, said or still to come, that matches. */
  async says(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    for (;;) {
      await this.said(from + 1)
      for (; from < this.lines.length; from++) {
        const match = pattern.exec(this.lines[from] as string)
        if (match !== null) return match
      }
    }
  }

  /** Resolves once it has said so many lines. */
  said(lines: number): Promise<void> {
    return this.until(() => this.lines.length >= lines)
  }

  /** Resolves once something holds of what it has said. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!holds()) return
        this.#listeners.delete(look)
        resolve()
      }
      this.#listeners.add(look)
      look()
      void this.#ended.then(() => reject(new Error(`it has ended; its last lines: ${this.lines.slice(-3).join(', ')}`)))
    })
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Calls a function of a party that answers calls: a line of JSON there, and one back. */
  async call<T>(name: string, ...args: readonly unknown[]): Promise<T> {
    const number = ++this.#calls
    this.tell(JSON.stringify({ number, name, args }))
    const [, answer = ''] = await this.says(new RegExp(`^answer ${number} (.*)$`))
    const { value, error } = JSON.parse(answer) as { value: T; error?: string }
    if (error !== undefined) throw new Error(`${name}: ${error}`)
    return value
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
