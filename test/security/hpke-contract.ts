/** What keys derived in every environment have to be: HKDF, HPKE, and the signatures that stand beside them. */

import { describe, expect, test } from 'vitest'
import { verify } from '#ed25519'
import { fromHex, toHex, utf8 } from '../../src/common/bytes.ts'
import { type Random, seededRandom } from '../../src/common/random.ts'
import { importKey } from '../../src/security/aead.ts'
import { hkdfSha256 } from '../../src/security/hkdf.ts'
import { generateKey, setupReceiver, setupSender } from '../../src/security/hpke.ts'
import { failureOf, flips, rfc9180, wycheproof } from './vectors.ts'

/** Randomness whose first bytes are known: a copy each time, since keys are wiped after use. */
const fixed = (bytes: Uint8Array): Random => ({ ...seededRandom(1), bytes: () => bytes.slice() })

const invalidKey = { name: 'AfpSecurityError', code: 'INVALID_KEY' }

export function hpkeContract(where: string): void {
  describe(`keys derived ${where}`, () => {
    test('HKDF-SHA256 agrees with every vector of Wycheproof', async () => {
      const seen = { valid: 0, invalid: 0 }
      for (const vector of wycheproof.hkdf.testGroups.flatMap(group => group.tests)) {
        const derive = () => hkdfSha256(fromHex(vector.ikm), fromHex(vector.salt), fromHex(vector.info), vector.size)
        if (vector.result === 'valid') {
          expect([vector.tcId, toHex(await derive())]).toEqual([vector.tcId, vector.okm])
          seen.valid++
        } else {
          expect(await failureOf(derive)).toMatchObject(invalidKey)
          seen.invalid++
        }
      }
      expect(seen).toEqual({ valid: 83, invalid: 3 })
      for (const length of [0, -1, 1.5, Number.NaN]) {
        const none = new Uint8Array(0)
        expect(await failureOf(() => hkdfSha256(none, none, none, length))).toMatchObject(invalidKey)
      }
    })

    test('both ends of HPKE export what RFC 9180 says', async () => {
      expect(rfc9180).toHaveLength(1)
      for (const vector of rfc9180) {
        const info = fromHex(vector.info)
        const sender = await setupSender(fromHex(vector.pkRm), info, fixed(fromHex(vector.skEm)))
        expect(toHex(sender.enc)).toBe(vector.enc)
        const own = { publicKey: fromHex(vector.pkRm), privateKey: fromHex(vector.skRm) }
        const receiver = await setupReceiver(fromHex(vector.enc), own, info)
        expect(vector.exports).toHaveLength(3)
        for (const { exporter_context, L, exported_value } of vector.exports) {
          expect(toHex(await sender.exportSecret(fromHex(exporter_context), L))).toBe(exported_value)
          expect(toHex(await receiver.exportSecret(fromHex(exporter_context), L))).toBe(exported_value)
        }
      }
    })

    test('what RFC 9180 encrypts is sealed and opened to the same bytes', async () => {
      for (const { key, encryptions } of rfc9180) {
        // HPKE is used for its export alone; the cipher of its suite seals messages, under the keys that are exported.
        const cipher = await importKey(fromHex(key))
        expect(encryptions).toHaveLength(24)
        for (const { nonce, aad, pt, ct } of encryptions) {
          const given = [fromHex(nonce), fromHex(aad)] as const
          expect(await cipher.seal(...given, fromHex(pt))).toEqual(fromHex(ct))
          expect(await cipher.open(...given, fromHex(ct))).toEqual(fromHex(pt))
        }
      }
    })

    test('one bit of what both sides should agree on makes their secrets differ', async () => {
      const recipient = await generateKey(seededRandom(2))
      const info = utf8('info')
      const sender = await setupSender(recipient.publicKey, info, seededRandom(3))
      const secret = await sender.exportSecret(utf8('use'), 32)
      const read = async (enc: Uint8Array, own: typeof recipient, told: Uint8Array, use: string) =>
        (await setupReceiver(enc, own, told)).exportSecret(utf8(use), 32)
      expect(await read(sender.enc, recipient, info, 'use')).toEqual(secret)
      for (const enc of flips(sender.enc)) expect(await read(enc, recipient, info, 'use')).not.toEqual(secret)
      for (const told of flips(info)) expect(await read(sender.enc, recipient, told, 'use')).not.toEqual(secret)
      expect(await read(sender.enc, recipient, info, 'another use')).not.toEqual(secret)
      expect(await read(sender.enc, await generateKey(seededRandom(4)), info, 'use')).not.toEqual(secret)
      // The lengths that are asked for are part of what is derived: a short secret is no beginning of a long one.
      expect(await sender.exportSecret(utf8('use'), 16)).not.toEqual(secret.slice(0, 16))
    })

    test('public keys that agree on nothing, or are none, are refused at both ends', async () => {
      const own = await generateKey(seededRandom(5))
      const info = new Uint8Array(0)
      const lowOrder = wycheproof.x25519.testGroups
        .flatMap(group => group.tests)
        .filter(({ flags }) => flags.includes('ZeroSharedSecret'))
        .map(vector => fromHex(vector.public))
      const bad = [...lowOrder, new Uint8Array(0), own.publicKey.slice(1), Uint8Array.from([...own.publicKey, 0])]
      expect(bad).toHaveLength(34)
      for (const key of bad) {
        expect(await failureOf(() => setupSender(key, info, seededRandom(6)))).toMatchObject(invalidKey)
        expect(await failureOf(() => setupReceiver(key, own, info))).toMatchObject(invalidKey)
      }
    })

    test('Ed25519 agrees with every vector of Wycheproof', async () => {
      const seen = { valid: 0, invalid: 0 }
      for (const { publicKey, tests } of wycheproof.ed25519.testGroups) {
        for (const { tcId, msg, sig, result } of tests) {
          const valid = await verify(fromHex(publicKey.pk), fromHex(sig), fromHex(msg))
          expect([tcId, valid ? 'valid' : 'invalid']).toEqual([tcId, result])
          seen[valid ? 'valid' : 'invalid']++
        }
      }
      expect(seen).toEqual({ valid: 88, invalid: 63 })
    })
  })
}
