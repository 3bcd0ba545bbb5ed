/**
 * An identity as text under a passphrase, to be kept or carried to another machine. Version 1: scrypt (RFC 7914) with
 * N = 2^17, r = 8, p = 1, which takes 128 MiB, then AES-256-GCM.
 *
 * ```
 * afp-identity:1:<agent id>:<base64 of salt (16 bytes) || sealed seed (48 bytes)>
 * ```
 * All before the last colon is authenticated. The key is used once, so the nonce is zero.
 */

import { primitives } from '#crypto'
import { concat, utf8 } from '../common/bytes.ts'
import { checkOption, STRING } from '../common/check-options.ts'
import { AfpSecurityError } from '../common/errors.ts'
import { type Random, systemRandom } from '../common/random.ts'
import { createIdentity, type Identity, isAgentId } from '../identity/keys.ts'
import { isIdentity } from '../identity/looks.ts'
import { fromBase64, toBase64 } from '../message/base64.ts'
import { type AeadKey, type Bytes, KEY_BYTES, NONCE_BYTES, TAG_BYTES } from './primitives.ts'

const PREFIX = 'afp-identity:1:'
const SALT_BYTES = 16
const COST = { N: 2 ** 17, r: 8, p: 1 }
const NONCE = new Uint8Array(NONCE_BYTES)

/** The shortest passphrase for an export, in characters. Short is not the only way to be weak. */
export const MIN_PASSPHRASE_LENGTH = 8
/** The longest, in characters. */
const MAX_PASSPHRASE_LENGTH = 1_024
/** The longest text that is looked at. */
const MAX_TEXT_LENGTH = 256

/**
 * The identity as text that only the passphrase opens. Takes 128 MiB and about half a second, in a tab on its main thread.
 * An agent's own leaves by `agent.exportIdentity`.
 * @throws AfpSecurityError INVALID_OPTION for a passphrase under 8 or over 1,024 characters; AfpError INVALID_OPTION for what is no
 * identity or no string
 */
export async function exportIdentity(
  identity: Identity,
  passphrase: string,
  random: Random = systemRandom,
): Promise<string> {
  checkOption('the identity of exportIdentity()', identity, ['an identity from createIdentity()', isIdentity])
  checkOption('the passphrase of exportIdentity()', passphrase, STRING)
  if (passphrase.length < MIN_PASSPHRASE_LENGTH) {
    throw new AfpSecurityError('INVALID_OPTION', `a passphrase has at least ${MIN_PASSPHRASE_LENGTH} characters`)
  }
  const head = `${PREFIX}${identity.id}`
  const salt = random.bytes(SALT_BYTES)
  const key = await keyOf(passphrase, salt)
  return `${head}:${toBase64(concat([salt, await key.seal(NONCE, utf8(head), identity.seed)]))}`
}

/**
 * The identity in a text that {@link exportIdentity} or `agent.exportIdentity` made, for the option `identity` of
 * `createAgent`.
 * @throws AfpSecurityError INVALID_IDENTITY; `details.reason` is `malformed` for another text, `wrong-passphrase` where the
 * passphrase does not open it or the text was changed
 */
export async function importIdentity(text: string, passphrase: string): Promise<Identity> {
  checkOption('the text of importIdentity()', text, STRING)
  checkOption('the passphrase of importIdentity()', passphrase, STRING)
  const trimmed = text.length > MAX_TEXT_LENGTH ? '' : text.trim()
  const [id = '', base64 = '', ...more] = trimmed.startsWith(PREFIX) ? trimmed.slice(PREFIX.length).split(':') : []
  const bytes = fromBase64(base64)
  if (!isAgentId(id) || bytes?.length !== SALT_BYTES + KEY_BYTES + TAG_BYTES || more.length > 0) {
    throw new AfpSecurityError('INVALID_IDENTITY', `not an exported identity: ${PREFIX}... is expected`, {
      details: { reason: 'malformed' },
    })
  }
  const key = await keyOf(passphrase, bytes.subarray(0, SALT_BYTES))
  let seed: Uint8Array
  try {
    seed = await key.open(NONCE, utf8(`${PREFIX}${id}`), bytes.subarray(SALT_BYTES))
  } catch {
    throw wrongPassphrase(id)
  }
  const identity = await createIdentity(seed)
  // Whoever knows a passphrase can put any name in front of a seed.
  if (identity.id !== id) throw wrongPassphrase(id)
  return identity
}

/** Passphrases are compared as people see them: NFKC (RFC 8265, section 4.2.1, without its lists). */
async function keyOf(passphrase: string, salt: Bytes): Promise<AeadKey> {
  if (passphrase.length > MAX_PASSPHRASE_LENGTH) {
    throw new AfpSecurityError('INVALID_OPTION', `a passphrase has at most ${MAX_PASSPHRASE_LENGTH} characters`)
  }
  const key = await primitives.scrypt(utf8(passphrase.normalize('NFKC')), salt, KEY_BYTES, COST)
  return primitives.importKey(key)
}

const wrongPassphrase = (agentId: string): AfpSecurityError =>
  new AfpSecurityError('INVALID_IDENTITY', 'the passphrase does not open this identity, or the text was changed', {
    agentId,
    details: { reason: 'wrong-passphrase' },
  })
