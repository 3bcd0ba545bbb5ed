/** What a process asks of the system, in its order: strace (Linux) over it, and what that writes, read. */

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Whether processes can be traced here: on Linux, with strace, where tracing is allowed. */
export const traceable = spawnSync('strace', ['-D', '-f', '-o', '/dev/null', 'true']).status === 0

/** What changes files or syncs them, and what can leave on a socket. */
const CALLS = 'pwrite64,ftruncate,fsync,fdatasync,?unlink,unlinkat,write,writev,sendto,sendmsg'

/**
 * The command under which a process is traced into a file. The tracer is the process that stands apart: what is killed is
 * the one that is traced, and its output ends once the trace is whole.
 * @param slow how many ms each sync takes longer, before anything is synced
 */
export const strace = (file: string, { slow = 0 } = {}): readonly string[] => [
  ...['strace', '-D', '-f', '--seccomp-bpf', '-qq', '-yy', '-xx', '-s', '100000'],
  ...['-e', `trace=${CALLS}`, '-e', 'signal=none', '-o', file],
  ...(slow > 0 ? ['-e', `inject=fsync,fdatasync:delay_enter=${slow * 1_000}`] : []),
]

/** Something that was done, and has succeeded. */
export type Done =
  | { readonly what: 'written'; readonly path: string; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly what: 'cut'; readonly path: string; readonly length: number }
  | { readonly what: 'synced'; readonly path: string }
  | { readonly what: 'deleted'; readonly path: string }
  /** To a TCP socket. */
  | { readonly what: 'sent'; readonly length: number }
  /** To standard output. */
  | { readonly what: 'said'; readonly text: string }

/** By whom. */
export type Step = Done & { readonly thread: number }

const LINE = /^(\d+) +(.*)$/
const UNFINISHED = / <unfinished \.\.\.>$/
const RESUMED = /^<\.\.\. \w+ resumed>/
/** A call that has succeeded, with what its first argument is. */
const OF_FILE = /^(\w+)\((\d+)<(.*?)>(?:\(deleted\))?(?:, (.*))?\) += (\d+)(?: \(DELAYED\))?$/
const OF_PATH = /^unlink(?:at)?\((?:AT_FDCWD(?:<[\\\w]*>)?, )?"([\\\w]*)".*\) += 0$/

/** Reads what strace has written: each call when it has returned. What did not return, or failed, has not been done. */
export function readTrace(text: string): Step[] {
  const begun = new Map<string, string>()
  return text.split('\n').flatMap(line => {
    const [, thread = '', said = ''] = LINE.exec(line) ?? []
    if (UNFINISHED.test(said)) {
      begun.set(thread, said.replace(UNFINISHED, ''))
      return []
    }
    const step = readCall(RESUMED.test(said) ? `${begun.get(thread)}${said.replace(RESUMED, '')}` : said)
    return step === undefined ? [] : [{ ...step, thread: Number(thread) }]
  })
}

function readCall(call: string): Done | undefined {
  const [, gone] = OF_PATH.exec(call) ?? []
  if (gone !== undefined) return { what: 'deleted', path: bytesOf(gone).toString() }
  const [, name, file = '', of = '', rest = '', result] = OF_FILE.exec(call) ?? []
  const path = bytesOf(of).toString()
  const length = Number(result)
  switch (name) {
    case 'fsync':
    case 'fdatasync':
      return { what: 'synced', path }
    case 'ftruncate':
      return { what: 'cut', path, length: Number(rest) }
    case 'pwrite64': {
      const [, hex = '', offset] = /^"([\\\w]*)", \d+, (\d+)$/.exec(rest) ?? []
      return { what: 'written', path, offset: Number(offset), bytes: bytesOf(hex).subarray(0, length) }
    }
    default:
      if (name === undefined) return undefined
      if (of.startsWith('TCP')) return { what: 'sent', length }
      return file === '1' ? { what: 'said', text: bytesOf(/"([\\\w]*)"/.exec(rest)?.[1] ?? '').toString() } : undefined
  }
}

/** What strace writes as `\x6b\x65`. */
const bytesOf = (escaped: string): Buffer => Buffer.from(escaped.replaceAll('\\x', ''), 'hex')

/** What a process has done so far, of the file that strace writes. */
export const readSteps = (file: string): Step[] => readTrace(readFileSync(file, 'latin1'))

/** What had happened to the log of a store when something left: nothing, it was written, or written and synced since. */
export type Kept = 'nothing' | 'written' | 'synced' | 'nothing left'

/** How a promise was kept that left with the first step of its kind. */
export function promiseOf<S extends Done>(steps: readonly S[], leaves: (step: S) => boolean): Kept {
  const end = steps.findIndex(leaves)
  if (end === -1) return 'nothing left'
  const log = steps.slice(0, end).filter(step => 'path' in step && step.path.endsWith('-wal'))
  const last = log.findLastIndex(({ what }) => what === 'written')
  if (last === -1) return 'nothing'
  return log.slice(last).some(({ what }) => what === 'synced') ? 'synced' : 'written'
}
