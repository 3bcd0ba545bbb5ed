/** An identity kept in a file. */

import { randomUUID } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { checkOption, STRING } from '../common/check-options.ts'
import { AfpDataStoreError, AfpSecurityError } from '../common/errors.ts'
import { makeFolder } from '../store/folder.ts'
import { createIdentity, type Identity } from './keys.ts'

/**
 * The identity in a file, made, with its folder, if there is none. The file holds the 32-byte seed in hex and is readable
 * by its owner only. Of several that start at once one makes it, and all get the same.
 *
 * @throws AfpSecurityError INVALID_IDENTITY for a file of another form; AfpDataStoreError STORE_FAILED when it cannot be
 * read or made, STORE_FULL when there is no room for it; AfpError INVALID_OPTION
 *
 * @example
 * ```ts
 * import { createAgent } from 'agent-flow-protocol'
 * import { fileIdentity } from 'agent-flow-protocol/node'
 *
 * const agent = await createAgent({ name: 'clock', mesh: 'demo', identity: await fileIdentity('./clock.key') })
 * await agent.close()
 * ```
 */
export async function fileIdentity(path: string): Promise<Identity> {
  checkOption('the path of fileIdentity()', path, STRING)
  const existing = await read(path)
  if (existing !== undefined) return createIdentity(existing)
  const identity = await createIdentity()
  try {
    makeFolder(dirname(path))
  } catch (cause) {
    throw failed(path, cause)
  }
  if (await write(path, identity)) return identity
  const others = await read(path)
  // A link to nowhere is there, and has nothing in it.
  if (others === undefined) throw failed(path, new Error('something is in its place that cannot be read'))
  return createIdentity(others)
}

/**
 * Written beside its place and then linked there: the file is whole or absent, a crash leaves nothing in the way of the
 * next start, and a file that is there is never replaced. False when another starter was first: its identity counts.
 */
async function write(path: string, { seed }: Identity): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(`${Buffer.from(seed).toString('hex')}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw failed(path, error)
  } finally {
    await rm(draft, { force: true })
  }
}

async function read(path: string): Promise<Uint8Array | undefined> {
  let text: string
  try {
    text = (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw failed(path, error)
  }
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new AfpSecurityError('INVALID_IDENTITY', `${path} does not hold an identity: 64 hexadecimal digits`)
  }
  return new Uint8Array(Buffer.from(text, 'hex'))
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

function failed(path: string, cause: unknown): AfpDataStoreError {
  const full = codeOf(cause) === 'ENOSPC' || codeOf(cause) === 'EDQUOT'
  const what = full ? `there is no room for ${path}` : `${path} failed: ${(cause as Error).message}`
  return new AfpDataStoreError(full ? 'STORE_FULL' : 'STORE_FAILED', what, { reference: path, cause })
}
