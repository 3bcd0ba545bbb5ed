/** Test vectors of RFC 8032, section 7.1, and what every Ed25519 implementation here has to do with them. */

import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { describe, expect, test } from 'vitest'
import { concat, fromHex, toHex, utf8 } from '../../src/common/bytes.ts'
import { agentIdOf, verifySignature } from '../../src/identity/keys.ts'

export const vectors = [
  {
    seed: fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
    publicKey: fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'),
    data: fromHex(''),
    signature: fromHex(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ),
  },
  {
    seed: fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'),
    publicKey: fromHex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'),
    data: fromHex('72'),
    signature: fromHex(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ),
  },
  {
    seed: fromHex('c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7'),
    publicKey: fromHex('fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025'),
    data: fromHex('af82'),
    signature: fromHex(
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ),
  },
] as const

/** The order of the group, little-endian: S and S + L are the same number in it (RFC 8032, section 5.1.7 refuses the latter). */
const L = fromHex('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010')

/** The signature with S + L in place of S. */
export function malleated(signature: Uint8Array): Uint8Array {
  const out = signature.slice()
  let carry = 0
  for (let i = 0; i < 32; i++) {
    const sum = (signature[32 + i] as number) + (L[i] as number) + carry
    out[32 + i] = sum & 0xff
    carry = sum >> 8
  }
  return out
}

interface Implementation {
  keyPair(seed: Uint8Array): Promise<{ publicKey: Uint8Array; sign: (data: Uint8Array) => Promise<Uint8Array> }>
  verify(publicKey: Uint8Array, signature: Uint8Array, data: Uint8Array): Promise<boolean>
}

/** What every implementation does. */
export function ed25519Contract(name: string, load: () => Promise<Implementation>): void {
  describe(name, () => {
    test('it makes the keys and signatures of RFC 8032 and takes them', async () => {
      const { keyPair, verify } = await load()
      for (const { seed, publicKey, data, signature } of vectors) {
        const pair = await keyPair(seed)
        expect(pair.publicKey).toEqual(publicKey)
        expect(await pair.sign(data)).toEqual(signature)
        expect(await verify(publicKey, signature, data)).toBe(true)
      }
    })

    test('one bit more or less in key, signature or data makes it false', async () => {
      const { verify } = await load()
      const { publicKey, data, signature } = vectors[2]
      const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
        bytes.map((byte, i) => (i === at ? byte ^ 0x10 : byte))
      for (let at = 0; at < 64; at++) expect(await verify(publicKey, flipped(signature, at), data)).toBe(false)
      for (let at = 0; at < 32; at++) expect(await verify(flipped(publicKey, at), signature, data)).toBe(false)
      for (let at = 0; at < 2; at++) expect(await verify(publicKey, signature, flipped(data, at))).toBe(false)
    })

    test('a signature has one form: the one with S + L is false', async () => {
      const { verify } = await load()
      for (const { publicKey, data, signature } of vectors) {
        expect(await verify(publicKey, malleated(signature), data)).toBe(false)
      }
    })

    test('a key with a part of small order is judged without the cofactor, alike everywhere', async () => {
      const { verify } = await load()
      const key = fromHex('40a4cf5c611d737a2f1c6fcca84d9cabfed80987f186a5a6c57e629bff1af27f')
      const judged = [
        [
          'hello 1',
          false,
          'c581fda28ec7694c252b376c755ba228899a7608318b3160a9bd14d4cda05ec0db69eee6fc60d144c1180d31ef67bc337e44746f680e184b40d7a21e59a32700',
        ],
        [
          'hello 2',
          false,
          '95223f701f514c561a83e76e8663a2fbafe76e9f23b9073eae10c2300019c2eaeaf6fe95a2b1643b7183c352d03905f35360cf776737a3171c1a6a666c3de80b',
        ],
        [
          'hello 4',
          true,
          'b649c30d986ea2b25d27ee254491ca4edaaa45bfa60ead4c62787944ca165ea153d928c7428ae68a8b796930c9a35118a1745214f5110e38984b5fb62057c10f',
        ],
        [
          'hello 12',
          true,
          'a403aa1c2dab5fe95e847d50a048025936aefb12b6af10a13d462bd792c93a5141b6785c976a3c76bf9a3e9f68ce413bd45c7252711ac3bb804b62de2bcf5302',
        ],
      ] as const
      for (const [text, holds, signature] of judged) {
        expect(await verify(key, fromHex(signature), new TextEncoder().encode(text)), text).toBe(holds)
      }
    })

    test('keys and signatures of another length are false, not errors', async () => {
      const { verify } = await load()
      const { publicKey, data, signature } = vectors[1]
      for (const length of [0, 31, 33]) expect(await verify(new Uint8Array(length), signature, data)).toBe(false)
      for (const length of [0, 63, 65]) expect(await verify(publicKey, new Uint8Array(length), data)).toBe(false)
      expect(await verify(new Uint8Array(32).fill(0xff), signature, data)).toBe(false)
    })
  })
}

/** Encodings of points of small order, with the sign bit or without, and such whose y is not below the prime. */
const STRANGE_POINTS: readonly string[] = [
  `01${'00'.repeat(31)}`,
  `01${'00'.repeat(30)}80`,
  `ee${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}ff`,
  `ec${'ff'.repeat(30)}7f`,
  `ec${'ff'.repeat(30)}ff`,
  '00'.repeat(32),
  `${'00'.repeat(31)}80`,
  `ed${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}ff`,
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
]

const { Point, utils } = ed25519
const numberOf = (littleEndian: Uint8Array): bigint => BigInt(`0x${toHex(littleEndian.toReversed())}`)
const bytesOf = (number: bigint): Uint8Array => fromHex(number.toString(16).padStart(64, '0')).toReversed()
const LABEL = 'test'
/** What is hashed of a signature, RFC 8032, section 5.1.7, step 2. */
const hashOf = (r: Uint8Array, key: Uint8Array, data: Uint8Array): bigint =>
  numberOf(sha512(concat([r, key, utf8(LABEL), Uint8Array.of(0), data]))) % Point.Fn.ORDER

/** Signatures that hold on some platforms and on others do not: all of them are refused, on each. */
export function strangeSignatures(): void {
  const seed = new Uint8Array(32).fill(7)
  const honest = ed25519.getPublicKey(seed)
  const { scalar } = utils.getExtendedPublicKey(seed)

  test.each(STRANGE_POINTS.slice(0, 4))(
    'a signature of an honest key whose R is the neutral element, %s, is refused',
    async hex => {
      const r = fromHex(hex)
      const data = Uint8Array.of(1)
      const s = (hashOf(r, honest, data) * scalar) % Point.Fn.ORDER
      expect(await verifySignature(agentIdOf(honest), LABEL, data, concat([r, bytesOf(s)]))).toBe(false)
    },
  )

  test.each(STRANGE_POINTS)('a signature of a key of small order, %s, is refused', async hex => {
    const key = fromHex(hex)
    const secret = 123_456_789n
    const r = Point.BASE.multiply(secret).toBytes()
    let data = Uint8Array.of(0)
    while (hashOf(r, key, data) % 8n !== 0n) data = Uint8Array.of((data[0] as number) + 1)
    expect(await verifySignature(agentIdOf(key), LABEL, data, concat([r, bytesOf(secret)]))).toBe(false)
  })

  test('a signature made step by step is like any other', async () => {
    const secret = 987_654_321n
    const r = Point.BASE.multiply(secret).toBytes()
    const data = Uint8Array.of(1)
    const s = (secret + hashOf(r, honest, data) * scalar) % Point.Fn.ORDER
    expect(await verifySignature(agentIdOf(honest), LABEL, data, concat([r, bytesOf(s)]))).toBe(true)
  })
}
