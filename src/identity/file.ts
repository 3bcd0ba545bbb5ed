/** An identity kept in a file. */

import { open, readFile, rename, rm } from 'node:fs/promises'
import { AfpSecurityError } from '../common/errors.ts'
import { createIdentity, type Identity } from './keys.ts'

/**
 * The identity in a file, made if there is none. The file holds the 32-byte seed in hex and is readable by its owner
 * only.
 *
 * @throws AfpSecurityError INVALID_IDENTITY for a file of another form
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
  const existing = await read(path)
  if (existing !== undefined) return createIdentity(existing)
  const identity = await createIdentity()
  // Written beside and renamed, so that a crash leaves no half a key; `wx` lets only one of two starters win.
  const draft = `${path}.new`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${Buffer.from(identity.seed).toString('hex')}\n`)
    await file.sync()
    await file.close()
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  return identity
}

async function read(path: string): Promise<Uint8Array | undefined> {
  let text: string
  try {
    text = (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new AfpSecurityError('INVALID_IDENTITY', `${path} does not hold an identity: 64 hexadecimal digits`)
  }
  return new Uint8Array(Buffer.from(text, 'hex'))
}
