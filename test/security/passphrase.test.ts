import { describe, expect, test } from 'vitest'
import { fromHex, utf8 } from '../../src/common/bytes.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { toBase64 } from '../../src/message/base64.ts'
import { importKey } from '../../src/security/aead.ts'
import { primitives } from '../../src/security/crypto.ts'
import { exportIdentity, importIdentity, MIN_PASSPHRASE_LENGTH } from '../../src/security/passphrase.ts'
import { passphraseContract } from './passphrase-contract.ts'
import { failureOf } from './vectors.ts'

passphraseContract('in Node')

const passphrase = 'a passphrase'
const refusal = (reason: string) => ({ name: 'AfpSecurityError', code: 'INVALID_IDENTITY', details: { reason } })

describe('An exported identity', () => {
  test('has a salt of its own each time', async () => {
    const identity = await createIdentity()
    const [one, two] = await Promise.all([exportIdentity(identity, passphrase), exportIdentity(identity, passphrase)])
    expect(one).not.toBe(two)
    expect((await importIdentity(two, passphrase)).id).toBe(identity.id)
  })

  test('does not open when its salt, its seed or its tag was changed', async () => {
    const text = await exportIdentity(await createIdentity(), passphrase)
    const at = text.lastIndexOf(':') + 1
    const bytes = Uint8Array.from(atob(text.slice(at)), char => char.charCodeAt(0))
    expect(bytes).toHaveLength(64)
    for (const index of [0, 15, 16, 47, 48, 63]) {
      const changed = bytes.map((byte, i) => (i === index ? byte ^ 1 : byte))
      const call = () => importIdentity(text.slice(0, at) + toBase64(changed), passphrase)
      expect(await failureOf(call)).toMatchObject(refusal('wrong-passphrase'))
    }
  })

  test('opens with the passphrase as people see it: composed or not', async () => {
    const identity = await createIdentity()
    const text = await exportIdentity(identity, 'Zürich Äpfel'.normalize('NFD'))
    expect((await importIdentity(text, 'Zürich Äpfel'.normalize('NFC'))).id).toBe(identity.id)
  })

  test('with a seed that is not its name’s is refused, even by one who knows the passphrase', async () => {
    const identity = await createIdentity()
    const head = `afp-identity:1:${identity.id}`
    const salt = new Uint8Array(16)
    const key = await importKey(await primitives.scrypt(utf8(passphrase), salt, 32, { N: 2 ** 17, r: 8, p: 1 }))
    const sealed = await key.seal(new Uint8Array(12), utf8(head), fromHex('ee'.repeat(32)))
    const call = () => importIdentity(`${head}:${toBase64(Uint8Array.from([...salt, ...sealed]))}`, passphrase)
    expect(await failureOf(call)).toMatchObject(refusal('wrong-passphrase'))
  })

  test('of another form is refused before any work is done', async () => {
    const { id } = await createIdentity()
    const good = toBase64(new Uint8Array(64))
    const texts = [
      '',
      'afp-identity',
      `afp-identity:2:${id}:${good}`,
      `afp-identity:1:${id}`,
      `afp-identity:1:${id}:`,
      `afp-identity:1:${id}:${good}:`,
      `afp-identity:1:ada:${good}`,
      `afp-identity:1:${id}:${toBase64(new Uint8Array(63))}`,
      `afp-identity:1:${id}:${good.replace('=', '')}`,
      `afp-identity:1:${id}:${good.replace('A', '*')}`,
      `${' '.repeat(300)}afp-identity:1:${id}:${good}`,
    ]
    const started = performance.now()
    for (const text of texts) {
      expect([text, await failureOf(() => importIdentity(text, passphrase))]).toMatchObject([
        text,
        refusal('malformed'),
      ])
    }
    // A single scrypt takes longer than all of these together.
    const refusing = performance.now() - started
    const working = performance.now()
    await failureOf(() => importIdentity(`afp-identity:1:${id}:${good}`, passphrase))
    expect(refusing).toBeLessThan(performance.now() - working)
  })

  test('is not made of what is no identity', async () => {
    for (const wrong of [{}, null, undefined, 'ada', { ...(await createIdentity()), seed: undefined }])
      expect(await failureOf(() => exportIdentity(wrong as never, passphrase))).toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('the identity of exportIdentity()'),
      })
  })

  test('is not made under a passphrase that is too short or too long', async () => {
    const identity = await createIdentity()
    const refused = { code: 'INVALID_OPTION' }
    for (const wrong of ['', 'x'.repeat(MIN_PASSPHRASE_LENGTH - 1), 'x'.repeat(1_025)]) {
      expect(await failureOf(() => exportIdentity(identity, wrong))).toMatchObject(refused)
    }
  })
})
