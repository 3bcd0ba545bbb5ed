/**
 * What a power cut leaves of a SQLite store that is being written. SQLite hands over nothing of its writes in this process;
 * so the files are looked at after each of its steps, and what two looks differ by was written between them. In which order
 * that was synced is SQLite's own: the head of a new log before its frames, with a commit the log, the log before any of it
 * goes into the file, the file before the log is cut or begun anew. Within one of these steps nothing is sure: each piece
 * that was written may be there or not. That the store has SQLite sync so is what the power cuts under strace show.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Random } from '../../../src/common/random.ts'
import { pick } from '../delivery/state.ts'

/** What is in the files of a store. */
export interface Image {
  readonly file: Uint8Array
  readonly wal: Uint8Array
}

/** What a disk writes whole or not at all: a part of a page, and of a frame of the log. */
const PIECE = 512
/** The log's head. It has a checksum over all of it, and may be torn as well. */
const HEAD = 32
const HEAD_PIECE = 8

const read = (path: string): Uint8Array => (existsSync(path) ? readFileSync(path) : new Uint8Array())

/** What is in the files of a store. */
export const imageOf = (path: string): Image => ({ file: read(path), wal: read(`${path}-wal`) })

/** Puts files there. */
export function writeImage(path: string, { file, wal }: Image): void {
  writeFileSync(path, file, { mode: 0o600 })
  if (wal.length > 0) writeFileSync(`${path}-wal`, wal, { mode: 0o600 })
}

/** Takes the files of a store away. */
export function removeFiles(path: string): void {
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(path + end, { force: true })
}

/** Those who look at files after each step of SQLite in this process. */
const watching = new Set<() => void>()
const { exec } = DatabaseSync.prototype
DatabaseSync.prototype.exec = function (this: DatabaseSync, sql: string) {
  exec.call(this, sql)
  for (const look of watching) look()
}

/** What was in the files of a store before something was done, after each step of that, and at its end. */
export async function watched(path: string, work: () => Promise<unknown>): Promise<Image[]> {
  const images = [imageOf(path)]
  const look = (): void => {
    const image = imageOf(path)
    if (!isSame(image, images.at(-1) as Image)) images.push(image)
  }
  watching.add(look)
  try {
    await work()
  } finally {
    watching.delete(look)
  }
  look()
  return images
}

const isSame = (one: Image, other: Image): boolean =>
  Buffer.compare(one.wal, other.wal) === 0 && Buffer.compare(one.file, other.file) === 0

/** What the power leaves if it goes at one of the steps between images, of what was written then and not synced yet. */
export function torn(images: readonly Image[], random: Random): Image {
  const first = images[0] as Image
  if (images.length === 1) return first
  const at = Math.floor(random.float() * (images.length - 1))
  const [from, to] = pick(random, syncs(images[at] as Image, images[at + 1] as Image))
  const part = pick(random, [0, 0.2, 0.5, 0.9, 0.99, 1])
  const survives = (): boolean => random.float() < part
  return { file: survivors(from.file, to.file, survives), wal: survivors(from.wal, to.wal, survives) }
}

/** What was written between two syncs, each time, for one image to become another. */
function syncs(before: Image, after: Image): (readonly [Image, Image])[] {
  const all: (readonly [Image, Image])[] = []
  let now = before
  const become = (next: Image): void => {
    if (!isSame(now, next)) all.push([now, next])
    now = next
  }
  if (after.wal.length > 0) {
    become({ ...now, wal: overwritten(now.wal, after.wal.subarray(0, HEAD)) })
    become({ ...now, wal: overwritten(now.wal, after.wal) })
  }
  become({ ...now, file: after.file })
  become(after)
  return all
}

function overwritten(bytes: Uint8Array, by: Uint8Array): Uint8Array {
  const all = new Uint8Array(Math.max(bytes.length, by.length))
  all.set(bytes)
  all.set(by)
  return all
}

/** Bytes of which some pieces have become others; where they are fewer, they all are or none is. */
function survivors(from: Uint8Array, to: Uint8Array, survives: () => boolean): Uint8Array {
  if (to.length < from.length) return survives() ? to : from
  const bytes = new Uint8Array(to.length)
  bytes.set(from)
  let { length } = from
  for (let at = 0, end = 0; at < to.length; at = end) {
    end = Math.min(to.length, at < HEAD ? at + HEAD_PIECE : at + PIECE - (at % PIECE))
    const piece = to.subarray(at, end)
    const isThere = end <= from.length && Buffer.compare(from.subarray(at, end), piece) === 0
    if (isThere || !survives()) continue
    bytes.set(piece, at)
    length = Math.max(length, end)
  }
  return bytes.slice(0, length)
}
