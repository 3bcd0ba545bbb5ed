/** What exported identities do in every environment. Each try costs a scrypt on purpose, so there are few. */

import { describe, expect, test } from 'vitest'
import { fromHex } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { exportIdentity, importIdentity } from '../../src/security/passphrase.ts'
import { failureOf } from './vectors.ts'

const passphrase = 'correct horse battery'
/** Computed by another implementation, in Python, from the written format alone. */
const exported =
  'afp-identity:1:12D3KooWNW98jY6oC8EEaFFbYCc24HPRaNAJaEY7eiAvspiAgFak:kvt4qedIzqbXsD7T3mf6YMA9WVib2J4TmGDetJEsILfHL5QtxY0H0rA8qYPG3OtSQ6PReNJFy7k59UYxrdgQbQ=='

const refusal = (reason: string) => ({ name: 'AfpSecurityError', code: 'INVALID_IDENTITY', details: { reason } })

export function passphraseContract(where: string): void {
  describe(`an exported identity ${where}`, () => {
    test('is the same text everywhere, and its passphrase gives the identity back', async () => {
      const identity = await createIdentity(fromHex('a1'.repeat(32)))
      expect(await exportIdentity(identity, passphrase, seededRandom(31))).toBe(exported)
      const imported = await importIdentity(`\n ${exported} \n`, passphrase)
      expect(imported.id).toBe(identity.id)
      expect(imported.seed).toEqual(identity.seed)
    })

    test('another passphrase does not open it', async () => {
      const call = () => importIdentity(exported, `${passphrase}!`)
      expect(await failureOf(call)).toMatchObject(refusal('wrong-passphrase'))
    })

    test('under another name it does not open', async () => {
      const other = await createIdentity(fromHex('b2'.repeat(32)))
      const [, , id = ''] = exported.split(':')
      const call = () => importIdentity(exported.replace(id, other.id), passphrase)
      expect(await failureOf(call)).toMatchObject(refusal('wrong-passphrase'))
    })
  })
}
