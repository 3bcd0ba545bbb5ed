/** What the seal of a direct message does in every environment. */

import { describe, expect, test } from 'vitest'
import { fromHex, toHex, utf8 } from '../../src/common/bytes.ts'
import { importKey } from '../../src/security/aead.ts'
import { openDirect, sealDirect } from '../../src/security/seal.ts'
import { cuts, failureOf, flips } from './vectors.ts'

const undecryptable = { name: 'AfpSecurityError', code: 'UNDECRYPTABLE' }
const feedKey = fromHex('1f'.repeat(32))
const header = utf8('version, mesh, destination, epoch')
const plaintext = utf8('what was said')

export function sealContract(where: string): void {
  describe(`the seal of a direct message ${where}`, () => {
    test('opens with the key, number and header it was made with, and to the same bytes everywhere', async () => {
      const key = await importKey(feedKey)
      const sealed = await sealDirect(key, { number: 2 ** 40 + 7, numbered: true }, header, plaintext)
      expect(sealed).toHaveLength(256 + 16)
      // Computed by another implementation, in Python, from the written format alone.
      expect(toHex(sealed.subarray(0, 16))).toBe('cb02859bc07aa18a2085dc6bc5324e60')
      expect(toHex(sealed.subarray(-16))).toBe('0a5ceb3d214145ca5b91a27ac806d897')
      expect(await openDirect(key, { number: 2 ** 40 + 7, numbered: true }, header, sealed)).toEqual(plaintext)
    })

    test('the same message is the same bytes at every try', async () => {
      const key = await importKey(feedKey)
      const seal = () => sealDirect(key, { number: 1, numbered: true }, header, plaintext)
      expect(await seal()).toEqual(await seal())
    })

    test('no bit of header or ciphertext can be changed, and nothing cut off or added', async () => {
      const key = await importKey(feedKey)
      const counted = { number: 9, numbered: true }
      const sealed = await sealDirect(key, counted, header, plaintext)
      for (const other of [...flips(header), ...cuts(header)]) {
        expect(await failureOf(() => openDirect(key, counted, other, sealed))).toMatchObject(undecryptable)
      }
      for (const other of [...flips(sealed), ...cuts(sealed)]) {
        expect(await failureOf(() => openDirect(key, counted, header, other))).toMatchObject(undecryptable)
      }
    })

    test('no other key, number or counter opens it', async () => {
      const key = await importKey(feedKey)
      const sealed = await sealDirect(key, { number: 9, numbered: true }, header, plaintext)
      for (const counted of [
        { number: 9, numbered: false },
        { number: 8, numbered: true },
        { number: 10, numbered: true },
        { number: 9 + 2 ** 32, numbered: true },
      ]) {
        expect(await failureOf(() => openDirect(key, counted, header, sealed))).toMatchObject(undecryptable)
      }
      for (const other of flips(feedKey)) {
        const wrong = await importKey(other)
        expect(await failureOf(() => openDirect(wrong, { number: 9, numbered: true }, header, sealed))).toMatchObject(
          undecryptable,
        )
      }
    })

    test('what has the key but not the padding is refused', async () => {
      const key = await importKey(feedKey)
      const nonce = new Uint8Array(12)
      nonce[11] = 3
      for (const padded of [
        new Uint8Array(0),
        utf8('no padding'),
        new Uint8Array(256),
        fromHex(`80${'00'.repeat(9)}`),
      ]) {
        const sealed = await key.seal(nonce, header, padded)
        expect(await failureOf(() => openDirect(key, { number: 3, numbered: true }, header, sealed))).toMatchObject(
          undecryptable,
        )
      }
    })

    test('lengths from nothing to 256 KiB come back, and show a bucket only', async () => {
      const key = await importKey(feedKey)
      // Each length and its bucket, as the protocol says it.
      for (const [length, bucket] of [
        [0, 256],
        [1, 256],
        [255, 256],
        [256, 288],
        [257, 288],
        [1_024, 1_152],
        [65_535, 65_536],
        [262_144, 294_912],
      ] as const) {
        const plain = new Uint8Array(length).fill(0x80)
        const sealed = await sealDirect(key, { number: length + 1, numbered: false }, header, plain)
        expect(sealed).toHaveLength(bucket + 16)
        expect(await openDirect(key, { number: length + 1, numbered: false }, header, sealed)).toEqual(plain)
      }
    })

    test('a key of another length is refused', async () => {
      for (const length of [0, 16, 24, 31, 33]) {
        expect(await failureOf(() => importKey(new Uint8Array(length)))).toMatchObject({ code: 'INVALID_KEY' })
      }
    })
  })
}
