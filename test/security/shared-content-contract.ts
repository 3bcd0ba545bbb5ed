/** What content for several recipients does in every environment. */

import { describe, expect, test } from 'vitest'
import { fromHex, toHex, utf8 } from '../../src/common/bytes.ts'
import { seededRandom, systemRandom } from '../../src/common/random.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { importKey } from '../../src/security/aead.ts'
import { openShared, sealShared } from '../../src/security/shared-content.ts'
import { cuts, failureOf, flips } from './vectors.ts'

const refusal = (reason: string) => ({ name: 'AfpSecurityError', code: 'UNDECRYPTABLE', details: { reason } })

async function world() {
  const [author, ada, bob, eve] = await Promise.all(
    ['a1', 'b2', 'c3', 'd4'].map(byte => createIdentity(fromHex(byte.repeat(32)))),
  )
  if (author === undefined || ada === undefined || bob === undefined || eve === undefined) throw new Error('four')
  const about = { id: 'id of the message', mesh: 'demo', recipients: [ada.id, bob.id] }
  const content = utf8('for both of you')
  const told = { ...about, author: author.id }
  return { author, ada, bob, eve, about, content, told }
}

export function sharedContentContract(where: string): void {
  describe(`content for several recipients ${where}`, () => {
    test('is sealed once, opens for each of them, and is the same bytes everywhere', async () => {
      const { author, ada, bob, about, content, told } = await world()
      const shared = await sealShared(author, about, content, seededRandom(21))
      expect(shared.sealed).toHaveLength(256 + 16)
      expect(shared.wrapped).toHaveLength(32 + 64)
      // Computed by another implementation, in Python, from the written format alone.
      expect(toHex(shared.sealed.subarray(-16))).toBe('a1e318b714d94e9dd6e409b2642ac11f')
      for (const { id } of [ada, bob]) expect(await openShared(id, told, shared)).toEqual(content)
    })

    test('each has a key of its own', async () => {
      const { author, about, content } = await world()
      const one = await sealShared(author, about, content, systemRandom)
      const two = await sealShared(author, about, content, systemRandom)
      expect(one.wrapped.subarray(0, 32)).not.toEqual(two.wrapped.subarray(0, 32))
      expect(one.sealed).not.toEqual(two.sealed)
    })

    test('no byte of it and no bit of its key or signature can be changed', async () => {
      const { author, ada, about, content, told } = await world()
      const shared = await sealShared(author, about, content, seededRandom(22))
      for (const sealed of flips(shared.sealed, 7)) {
        const call = () => openShared(ada.id, told, { ...shared, sealed })
        expect(await failureOf(call)).toMatchObject(refusal('bad-signature'))
      }
      for (const wrapped of flips(shared.wrapped)) {
        const call = () => openShared(ada.id, told, { ...shared, wrapped })
        expect(await failureOf(call)).toMatchObject(refusal('bad-signature'))
      }
      for (const wrapped of cuts(shared.wrapped)) {
        const call = () => openShared(ada.id, told, { ...shared, wrapped })
        expect(await failureOf(call)).toMatchObject(refusal('malformed'))
      }
    })

    test('holds for its id, mesh, author and recipients alone', async () => {
      const { author, ada, bob, eve, about, content, told } = await world()
      const shared = await sealShared(author, about, content, seededRandom(23))
      for (const other of [
        { id: 'another message' },
        { mesh: 'other' },
        { author: bob.id },
        { recipients: [ada.id] },
        { recipients: [bob.id, ada.id] },
        { recipients: [ada.id, bob.id, eve.id] },
      ]) {
        const call = () => openShared(ada.id, { ...told, ...other }, shared)
        expect(await failureOf(call)).toMatchObject(refusal('bad-signature'))
      }
    })

    test('a recipient cannot pass it on to somebody else in its author’s name', async () => {
      const { author, bob, eve, about, content, told } = await world()
      const shared = await sealShared(author, about, content, seededRandom(24))
      expect(await failureOf(() => openShared(eve.id, told, shared))).toMatchObject(refusal('wrong-recipient'))
      const claimed = { ...told, recipients: [bob.id, eve.id] }
      expect(await failureOf(() => openShared(eve.id, claimed, shared))).toMatchObject(refusal('bad-signature'))
    })

    test('a recipient, who has the key, cannot put other content under the signature', async () => {
      const { author, ada, about, content, told } = await world()
      const shared = await sealShared(author, about, content, seededRandom(25))
      const key = await importKey(shared.wrapped.subarray(0, 32))
      const sealed = await key.seal(new Uint8Array(12), utf8('anything'), new Uint8Array(256))
      const call = () => openShared(ada.id, told, { ...shared, sealed })
      expect(await failureOf(call)).toMatchObject(refusal('bad-signature'))
    })

    test('one signature stands for one key: the author cannot show two contents in one ciphertext', async () => {
      const { author, ada, about, content, told } = await world()
      const one = await sealShared(author, about, content, seededRandom(26))
      const two = await sealShared(author, about, content, seededRandom(27))
      const mixed = Uint8Array.from([...two.wrapped.subarray(0, 32), ...one.wrapped.subarray(32)])
      const call = () => openShared(ada.id, told, { ...one, wrapped: mixed })
      expect(await failureOf(call)).toMatchObject(refusal('bad-signature'))
    })

    test('goes to 1 to 64 recipients', async () => {
      const { author, ada, about, content, told } = await world()
      const seal = (recipients: string[]) => sealShared(author, { ...about, recipients }, content, seededRandom(28))
      const refused = { code: 'INVALID_OPTION' }
      expect(await failureOf(() => seal([]))).toMatchObject(refused)
      expect(await failureOf(() => seal(new Array(65).fill(ada.id)))).toMatchObject(refused)
      const most: string[] = new Array(64).fill(ada.id)
      expect(await openShared(ada.id, { ...told, recipients: most }, await seal(most))).toEqual(content)
      const call = async () => openShared(ada.id, { ...told, recipients: [...most, ada.id] }, await seal(most))
      expect(await failureOf(call)).toMatchObject(refusal('malformed'))
    })
  })
}
