import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import * as ed25519 from '../../src/identity/ed25519.ts'
import { agentIdOf, createIdentity, isAgentId, publicKeyOf, verifySignature } from '../../src/identity/keys.ts'
import { ed25519Contract, malleated, strangeSignatures, vectors } from './vectors.ts'

ed25519Contract('Ed25519 in Node', async () => ed25519)
strangeSignatures()

describe('Agent ids', () => {
  test("an agent id is libp2p's own peer id for the same seed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 32, maxLength: 32 }), async seed => {
        const { id, publicKey } = await createIdentity(seed)
        const key = await generateKeyPairFromSeed('Ed25519', seed)
        expect(id).toBe(peerIdFromPrivateKey(key).toString())
        expect(publicKey).toEqual(key.publicKey.raw)
        expect(publicKeyOf(id)).toEqual(publicKey)
        expect(agentIdOf(publicKey)).toBe(id)
      }),
      { numRuns: 50 },
    )
  })

  test('a string that is no such id has no key in it', async () => {
    const { id } = await createIdentity(vectors[0].seed)
    const others = [
      '',
      'ada',
      id.slice(0, -1),
      `${id}1`,
      ` ${id.slice(1)}`,
      id.replace('12D3', '12D4'),
      `${id.slice(0, -1)}0`,
      `${id.slice(0, -1)}l`,
      'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N',
      '1'.repeat(52),
      'z'.repeat(52),
    ]
    for (const text of others) expect([text, isAgentId(text)]).toEqual([text, false])
    expect(isAgentId(id)).toBe(true)
  })

  test('any text at all is judged without an error', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 48, maxLength: 56 }), text => {
        expect(isAgentId(text)).toBe(false)
      }),
    )
  })
})

describe('Identities', () => {
  test('the same seed is the same identity, and without one each is another', async () => {
    const [first, second] = [await createIdentity(vectors[0].seed), await createIdentity(vectors[0].seed)]
    expect(first.id).toBe(second.id)
    expect((await createIdentity()).id).not.toBe((await createIdentity()).id)
    const drawn = [await createIdentity(undefined, seededRandom(7)), await createIdentity(undefined, seededRandom(7))]
    expect(drawn[0]?.id).toBe(drawn[1]?.id)
  })

  test('a seed of another length is refused', async () => {
    for (const length of [0, 31, 33, 64]) {
      await expect(createIdentity(new Uint8Array(length))).rejects.toMatchObject({
        name: 'AfpSecurityError',
        code: 'INVALID_IDENTITY',
      })
    }
  })

  test('the seed is copied: changing the given array later changes nothing', async () => {
    const seed = vectors[0].seed.slice()
    const identity = await createIdentity(seed)
    seed.fill(0)
    expect(identity.seed).toEqual(vectors[0].seed)
    const signature = await identity.sign('a', utf8('data'))
    expect(await verifySignature(identity.id, 'a', utf8('data'), signature)).toBe(true)
  })

  test('a signature holds for its label, data and signer alone', async () => {
    const ada = await createIdentity()
    const eve = await createIdentity()
    const signature = await ada.sign('afp/1/a', utf8('data'))
    expect(await verifySignature(ada.id, 'afp/1/a', utf8('data'), signature)).toBe(true)
    expect(await verifySignature(ada.id, 'afp/1/b', utf8('data'), signature)).toBe(false)
    expect(await verifySignature(ada.id, 'afp/1/a', utf8('date'), signature)).toBe(false)
    expect(await verifySignature(eve.id, 'afp/1/a', utf8('data'), signature)).toBe(false)
    expect(await verifySignature('ada', 'afp/1/a', utf8('data'), signature)).toBe(false)
    expect(await verifySignature(ada.id, 'afp/1/a', utf8('data'), malleated(signature))).toBe(false)
    expect(await verifySignature(ada.id, 'afp/1/a', utf8('data'), signature.subarray(0, 63))).toBe(false)
  })

  test('no part of the label can be moved into the data', async () => {
    const ada = await createIdentity()
    const signature = await ada.sign('afp/1/card', utf8('x'))
    expect(await verifySignature(ada.id, 'afp/1/car', utf8('dx'), signature)).toBe(false)
    expect(await verifySignature(ada.id, 'afp/1/cardx', utf8(''), signature)).toBe(false)
  })
})
