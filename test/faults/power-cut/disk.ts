/**
 * A disk on which nothing is sure but what was synced, made of the trace of a process: where the power fails, of every file
 * there is what was in it at its last sync, and of what was written since as much as chance leaves. That a file is there, or
 * is gone, is taken to be sure at once.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Done } from './strace.ts'

type Change = Extract<Done, { readonly what: 'written' | 'cut' }>

interface File {
  synced: Uint8Array
  unsynced: Change[]
}

/** See the head of this file. */
export class Disk {
  readonly #files = new Map<string, File | undefined>()

  /** @param paths - the files that are followed, as they are before the first step */
  constructor(paths: readonly string[]) {
    for (const path of paths) {
      const file = existsSync(path) ? { synced: readFileSync(path), unsynced: [] } : undefined
      this.#files.set(path, file)
    }
  }

  /** Something that was done, to whichever file. */
  apply(step: Done): void {
    if (step.what === 'sent' || step.what === 'said' || !this.#files.has(step.path)) return
    if (step.what === 'deleted') {
      this.#files.set(step.path, undefined)
      return
    }
    const file = this.#files.get(step.path) ?? { synced: new Uint8Array(), unsynced: [] }
    this.#files.set(step.path, file)
    if (step.what === 'synced') this.#files.set(step.path, { synced: after(file), unsynced: [] })
    else file.unsynced.push(step)
  }

  /** Puts in the place of the files what the power leaves of them. @param survives - whether a change does that was not synced */
  fail(survives: () => boolean): void {
    for (const [path, file] of this.#files) {
      if (file === undefined) rmSync(path, { force: true })
      else writeFileSync(path, after({ ...file, unsynced: file.unsynced.filter(survives) }), { mode: 0o600 })
    }
  }
}

/** A file with all of its changes. */
function after({ synced, unsynced }: File): Uint8Array {
  if (unsynced.length === 0) return synced
  const end = (change: Change): number => (change.what === 'cut' ? change.length : change.offset + change.bytes.length)
  const room = new Uint8Array(Math.max(synced.length, ...unsynced.map(end)))
  room.set(synced)
  let { length } = synced
  for (const change of unsynced) {
    if (change.what === 'written') {
      room.set(change.bytes, change.offset)
      length = Math.max(length, end(change))
    } else {
      // What is behind the end reads as zeros where the file grows again.
      room.fill(0, change.length)
      length = change.length
    }
  }
  return room.slice(0, length)
}
