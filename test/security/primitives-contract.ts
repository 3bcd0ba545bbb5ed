/** What every implementation of the primitives has to do. */

import { describe, expect, test } from 'vitest'
import { fromHex, toHex, utf8 } from '../../src/common/bytes.ts'
import type { Primitives } from '../../src/security/primitives.ts'
import { cuts, failureOf, flips, wycheproof } from './vectors.ts'

const undecryptable = { name: 'AfpSecurityError', code: 'UNDECRYPTABLE' }

export function primitivesContract(name: string, primitives: Primitives): void {
  describe(`the primitives ${name}`, () => {
    test('AES-256-GCM agrees with every vector of Wycheproof that has a nonce of 96 bits', async () => {
      const seen = { valid: 0, invalid: 0 }
      for (const group of wycheproof.aesGcm.testGroups) {
        if (group.keySize !== 256 || group.ivSize !== 96) continue
        for (const vector of group.tests) {
          const key = await primitives.importKey(fromHex(vector.key))
          const [nonce, aad] = [fromHex(vector.iv), fromHex(vector.aad)]
          const sealed = fromHex(vector.ct + vector.tag)
          if (vector.result === 'valid') {
            expect(await key.open(nonce, aad, sealed)).toEqual(fromHex(vector.msg))
            expect(await key.seal(nonce, aad, fromHex(vector.msg))).toEqual(sealed)
            seen.valid++
          } else {
            expect(await failureOf(() => key.open(nonce, aad, sealed))).toMatchObject(undecryptable)
            seen.invalid++
          }
        }
      }
      expect(seen).toEqual({ valid: 39, invalid: 27 })
    })

    test('a nonce of another length is refused, also where the cipher would take it', async () => {
      const key = await primitives.importKey(new Uint8Array(32))
      const refused = { name: 'AfpSecurityError', code: 'INVALID_KEY' }
      let seen = 0
      for (const group of wycheproof.aesGcm.testGroups) {
        if (group.keySize !== 256 || group.ivSize === 96) continue
        for (const { iv, msg, ct, tag } of group.tests) {
          const none = new Uint8Array(0)
          expect(await failureOf(() => key.seal(fromHex(iv), none, fromHex(msg)))).toMatchObject(refused)
          expect(await failureOf(() => key.open(fromHex(iv), none, fromHex(ct + tag)))).toMatchObject(refused)
          seen++
        }
      }
      expect(seen).toBe(39)
    })

    test('one bit more or less anywhere, or a byte, and AES-GCM opens nothing', async () => {
      const key = await primitives.importKey(fromHex('0b'.repeat(32)))
      const [nonce, aad, plain] = [fromHex('0c'.repeat(12)), utf8('header'), utf8('what was said')]
      const sealed = await key.seal(nonce, aad, plain)
      expect(sealed).toHaveLength(plain.length + 16)
      const tries = [
        ...[...flips(nonce)].map(other => [other, aad, sealed] as const),
        ...[...flips(aad), ...cuts(aad)].map(other => [nonce, other, sealed] as const),
        ...[...flips(sealed), ...cuts(sealed)].map(other => [nonce, aad, other] as const),
      ]
      for (const parts of tries) expect(await failureOf(() => key.open(...parts))).toMatchObject(undecryptable)
      const another = await primitives.importKey(fromHex('0a'.repeat(32)))
      expect(await failureOf(() => another.open(nonce, aad, sealed))).toMatchObject(undecryptable)
      expect(await key.open(nonce, aad, sealed)).toEqual(plain)
    })

    test('what failed to open says nothing of why', async () => {
      const key = await primitives.importKey(new Uint8Array(32))
      const errors = await Promise.all(
        [0, 15, 16, 40].map(length => failureOf(() => key.open(new Uint8Array(12), utf8('a'), new Uint8Array(length)))),
      )
      for (const error of errors) {
        expect(error).toMatchObject({ ...undecryptable, details: {} })
        expect((error as Error).message).toBe((errors[0] as Error).message)
        expect((error as Error).cause).toBeUndefined()
      }
    })

    test('X25519 agrees with every vector of Wycheproof, and makes no secret of a public key that makes none', async () => {
      const seen = { shared: 0, zero: 0 }
      for (const vector of wycheproof.x25519.testGroups.flatMap(group => group.tests)) {
        const agree = () => primitives.x25519(fromHex(vector.private), fromHex(vector.public))
        if (vector.flags.includes('ZeroSharedSecret')) {
          expect(await failureOf(agree)).toMatchObject({ name: 'AfpSecurityError', code: 'INVALID_KEY' })
          seen.zero++
        } else {
          expect([vector.tcId, toHex(await agree())]).toEqual([vector.tcId, vector.shared])
          seen.shared++
        }
      }
      expect(seen).toEqual({ shared: 487, zero: 31 })
    })

    test('public keys are those of RFC 7748, section 6.1, and both sides agree', async () => {
      const alice = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a')
      const bob = fromHex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')
      const alicePublic = await primitives.x25519PublicKey(alice)
      const bobPublic = await primitives.x25519PublicKey(bob)
      expect(toHex(alicePublic)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')
      expect(toHex(bobPublic)).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f')
      const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'
      expect(toHex(await primitives.x25519(alice, bobPublic))).toBe(shared)
      expect(toHex(await primitives.x25519(bob, alicePublic))).toBe(shared)
    })

    test('SHA-256 and HMAC-SHA256 are those of FIPS 180-4 and RFC 4231, also for keys that are empty or long', async () => {
      expect(toHex(await primitives.sha256(utf8('abc')))).toBe(
        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      )
      expect(toHex(await primitives.sha256(new Uint8Array(0)))).toBe(
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      )
      const hmac = async (key: Uint8Array, data: string) => toHex(await primitives.hmacSha256(key, utf8(data)))
      expect(await hmac(utf8('Jefe'), 'what do ya want for nothing?')).toBe(
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
      )
      expect(await hmac(fromHex('aa'.repeat(131)), 'Test Using Larger Than Block-Size Key - Hash Key First')).toBe(
        '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
      )
      expect(await hmac(new Uint8Array(0), '')).toBe('b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad')
    })

    test('scrypt is that of RFC 7914, section 12', async () => {
      const scrypt = async (password: string, salt: string, N: number, r: number, p: number) =>
        toHex(await primitives.scrypt(utf8(password), utf8(salt), 64, { N, r, p }))
      expect(await scrypt('', '', 16, 1, 1)).toBe(
        '77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442' +
          'fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906',
      )
      expect(await scrypt('password', 'NaCl', 1024, 8, 16)).toBe(
        'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162' +
          '2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
      )
    })

    test('arguments may be wiped as soon as a call has returned', async () => {
      const wiped = async (call: (...args: Uint8Array[]) => unknown, ...args: Uint8Array[]) => {
        const expected = await call(...args.map(bytes => bytes.slice()))
        const result = call(...args)
        for (const bytes of args) bytes.fill(0xee)
        expect(await result).toEqual(expected)
      }
      const key = () => fromHex('07'.repeat(32))
      const other = (await primitives.x25519PublicKey(fromHex('21'.repeat(32)))).slice()
      await wiped(primitives.sha256, key())
      await wiped(primitives.hmacSha256, key(), utf8('data'))
      await wiped(primitives.x25519PublicKey, key())
      await wiped(primitives.x25519, key(), other)
      await wiped(
        (password, salt) => primitives.scrypt(password as Uint8Array, salt as Uint8Array, 32, cheap),
        key(),
        key(),
      )
      const nonce = fromHex('01'.repeat(12))
      const plain = utf8('plaintext')
      const aead = await primitives.importKey(key())
      const sealed = await aead.seal(nonce, utf8('aad'), plain)
      await wiped(aead.seal.bind(aead) as (...args: Uint8Array[]) => unknown, nonce.slice(), utf8('aad'), plain.slice())
      await wiped(
        aead.open.bind(aead) as (...args: Uint8Array[]) => unknown,
        nonce.slice(),
        utf8('aad'),
        sealed.slice(),
      )
      await wiped(async raw => (await primitives.importKey(raw as Uint8Array)).seal(nonce, utf8('aad'), plain), key())
    })
  })
}

const cheap = { N: 16, r: 1, p: 1 }
