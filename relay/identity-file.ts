/** The file that a relay's identity lives in: one line, `afp-ed25519-seed:` and the seed in hexadecimal. */

import { constants } from 'node:fs'
import { link, open, unlink } from 'node:fs/promises'
import { toHex } from '../src/common/bytes.ts'
import { AfpSecurityError } from '../src/common/errors.ts'
import { type Random, systemRandom } from '../src/common/random.ts'

/** No file of this form is longer. */
const MAX_BYTES = 1_024
const FORM = /^afp-ed25519-seed:([0-9a-f]{64})\r?\n?$/

/**
 * The seed in a file; a new one is written, readable for its owner only, if there is no file.
 * @throws AfpSecurityError INVALID_IDENTITY for a file of another form, or one that cannot be read or made
 */
export async function readOrCreateSeed(path: string, random: Random = systemRandom): Promise<Uint8Array> {
  const seed = (await readSeed(path)) ?? (await createSeed(path, random))
  if (seed === undefined) throw invalid(path, 'it vanished while it was read')
  return seed
}

async function readSeed(path: string): Promise<Uint8Array | undefined> {
  let text: string
  try {
    const file = await open(path, 'r')
    try {
      const stat = await file.stat()
      if (!stat.isFile() || stat.size > MAX_BYTES) throw invalid(path, 'it is no identity file')
      text = await file.readFile('latin1')
    } finally {
      await file.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error instanceof AfpSecurityError ? error : invalid(path, (error as Error).message, error)
  }
  const hex = FORM.exec(text)?.[1]
  if (hex === undefined) throw invalid(path, 'it is no identity file')
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

/** Written beside its place and then linked there: the file is whole or absent, and one that is there is never replaced. */
async function createSeed(path: string, random: Random): Promise<Uint8Array | undefined> {
  const draft = `${path}.${toHex(random.bytes(8))}`
  try {
    const file = await open(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      await file.writeFile(`afp-ed25519-seed:${toHex(random.bytes(32))}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    try {
      await link(draft, path)
    } catch (error) {
      // Another process was first: its identity counts.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      await unlink(draft)
    }
  } catch (error) {
    throw invalid(path, (error as Error).message, error)
  }
  return readSeed(path)
}

const invalid = (path: string, why: string, cause?: unknown): AfpSecurityError =>
  new AfpSecurityError('INVALID_IDENTITY', `the identity file ${path} cannot be used: ${why}`, { cause })
