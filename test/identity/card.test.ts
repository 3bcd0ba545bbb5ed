import { describe, expect, test } from 'vitest'
import { fromHex } from '../../src/common/bytes.ts'
import { MAX_CARD_BYTES, openCard, signCard, validateCardFields } from '../../src/identity/card.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { wycheproof } from '../security/vectors.ts'
import { card, fields, NOW } from './cards.ts'
import { malleated } from './vectors.ts'

const refused = (reason: string) => ({ name: 'AfpSecurityError', code: 'INVALID_CARD', details: { reason } })

describe('A card', () => {
  test('comes back as what was signed', async () => {
    const identity = await createIdentity()
    const signed = await signCard(identity, fields)
    const opened = await openCard(signed.bytes)
    expect(opened).toEqual({ ...fields, id: identity.id, bytes: signed.bytes })
    expect(opened).toEqual(signed)
  })

  test('keeps bytes of its own: the buffer it was read from may be used again', async () => {
    const { bytes } = await card()
    const buffer = bytes.slice()
    const opened = await openCard(buffer)
    buffer.fill(0)
    expect(opened.bytes).toEqual(bytes)
  })

  test('with any byte changed, cut off or added is refused', async () => {
    const { bytes } = await card()
    for (let at = 0; at < bytes.length; at++) {
      const tampered = bytes.slice()
      tampered[at] = (tampered[at] as number) ^ 1
      await expect(openCard(tampered)).rejects.toMatchObject({ code: 'INVALID_CARD' })
    }
    await expect(openCard(bytes.subarray(0, -1))).rejects.toMatchObject(refused('malformed'))
    await expect(openCard(Uint8Array.of(...bytes, 0))).rejects.toMatchObject(refused('malformed'))
    await expect(openCard(new Uint8Array())).rejects.toMatchObject(refused('malformed'))
  })

  test('with the signature of another agent, or with another form of its own, is refused', async () => {
    const [ada, eve] = [await card(), await card({ name: 'eve' })]
    const [adaBody, adaSignature] = decode(ada.bytes) as [Uint8Array, Uint8Array]
    const [, eveSignature] = decode(eve.bytes) as [Uint8Array, Uint8Array]
    for (const signature of [eveSignature, malleated(adaSignature), new Uint8Array(64), adaSignature.subarray(1)]) {
      await expect(openCard(encode([adaBody, signature]))).rejects.toMatchObject(refused('bad-signature'))
    }
  })

  test("that names another's id is refused: the id is the key that has to have signed", async () => {
    const ada = await createIdentity()
    const eve = await createIdentity()
    const forged = await signCard({ ...eve, id: ada.id }, fields)
    await expect(openCard(forged.bytes)).rejects.toMatchObject(refused('bad-signature'))
  })

  test('is bounded before it is parsed', async () => {
    const oversize = new Uint8Array(MAX_CARD_BYTES + 1)
    await expect(openCard(oversize)).rejects.toThrow(/more than 16384/)
    const large = await card({ addresses: Array.from({ length: 32 }, () => 'x'.repeat(512)) })
    expect(large.bytes.length).toBeGreaterThan(MAX_CARD_BYTES)
    await expect(openCard(large.bytes)).rejects.toMatchObject(refused('malformed'))
  })

  test.each([
    ['mesh', { mesh: 'm'.repeat(64) }, { mesh: 'm'.repeat(65) }],
    ['name', { name: 'n'.repeat(64) }, { name: 'n'.repeat(65) }],
    ['script of its name', { name: 'Борис' }, { name: 'Бoris' }],
    ['description', { description: 'd'.repeat(256) }, { description: 'd'.repeat(257) }],
    ['number of capabilities', { capabilities: Array(64).fill('c') }, { capabilities: Array(65).fill('c') }],
    ['capabilities', { capabilities: ['c'.repeat(128)] }, { capabilities: ['c'.repeat(129)] }],
    ['number of addresses', { addresses: Array(32).fill('/') }, { addresses: Array(33).fill('/') }],
    ['addresses', { addresses: ['a'.repeat(512)] }, { addresses: ['a'.repeat(513)] }],
    ['instance', { instance: 'i'.repeat(32) }, { instance: 'i'.repeat(33) }],
    ['seq', { seq: Number.MAX_SAFE_INTEGER }, { seq: -1 }],
    ['expiry', { expiresAt: 0 }, { expiresAt: 1.5 }],
  ])('keeps to the bound of its %s', async (_what, within, beyond) => {
    expect(await openCard((await card(within)).bytes)).toMatchObject(within)
    await expect(openCard((await card(beyond)).bytes)).rejects.toMatchObject(refused('malformed'))
  })

  test('of another version, of too many fields or with fields of another type is refused', async () => {
    const identity = await createIdentity()
    const body = decode((decode((await card({}, identity)).bytes) as [Uint8Array])[0]) as unknown[]
    const signed = async (parts: unknown[]): Promise<Uint8Array> => {
      const bytes = encode(parts)
      return encode([bytes, await identity.sign('afp/1/card', bytes)])
    }
    await expect(openCard(await signed(body))).resolves.toMatchObject({ id: identity.id })
    await expect(openCard(await signed([2, ...body.slice(1)]))).rejects.toThrow(/version/)
    await expect(openCard(await signed([...body, 0]))).rejects.toMatchObject(refused('malformed'))
    for (let at = 0; at < body.length; at++) {
      for (const wrong of [null, [1], new Uint8Array(3), 2n ** 60n]) {
        // A card need not show a prekey, which is last.
        if (wrong === null && at === body.length - 1) continue
        await expect(openCard(await signed(body.with(at, wrong)))).rejects.toMatchObject(refused('malformed'))
      }
    }
    for (const prekey of [
      [new Uint8Array(7), new Uint8Array(32), 1],
      [new Uint8Array(8), new Uint8Array(31), 1],
      [new Uint8Array(8), new Uint8Array(32), -1],
      [new Uint8Array(8), new Uint8Array(32)],
    ]) {
      await expect(openCard(await signed(body.with(-1, prekey)))).rejects.toMatchObject(refused('malformed'))
    }
    await expect(openCard(encode(body))).rejects.toMatchObject(refused('malformed'))
    await expect(openCard(encode('card'))).rejects.toMatchObject(refused('malformed'))
  })

  test('whose prekey agrees on nothing is refused: nothing could be sealed to it', async () => {
    const identity = await createIdentity()
    const seen = { taken: 0, refused: 0 }
    for (const vector of wycheproof.x25519.testGroups.flatMap(({ tests }) => tests)) {
      const prekey = { id: new Uint8Array(8), publicKey: fromHex(vector.public), notAfter: NOW }
      const opened = openCard((await card({ prekey }, identity)).bytes)
      if (vector.flags.includes('ZeroSharedSecret')) {
        await expect(opened).rejects.toMatchObject(refused('malformed'))
        seen.refused++
      } else {
        await expect(opened).resolves.toMatchObject({ prekey })
        seen.taken++
      }
    }
    expect(seen).toEqual({ taken: 487, refused: 31 })
  })

  test('that others would refuse is refused where it is made', () => {
    const own = { mesh: 'demo', description: '', capabilities: [] }
    expect(() => validateCardFields(own)).not.toThrow()
    const most = { description: 'd'.repeat(256), capabilities: Array(64).fill('c'.repeat(128)) }
    // Three bytes for each of 53 characters.
    const wide = Array(64).fill('\u7db2'.repeat(53))
    for (const much of [most, { description: 'd'.repeat(64), capabilities: wide }]) {
      expect(() => validateCardFields({ ...own, ...much })).not.toThrow()
    }
    for (const wrong of [
      { mesh: '' },
      { mesh: 'm'.repeat(65) },
      { mesh: 'a\u202eb' },
      { description: 'd'.repeat(257) },
      { capabilities: Array(65).fill('c') },
      { capabilities: ['c'.repeat(129)] },
      { capabilities: [''] },
      { description: 'd'.repeat(65), capabilities: wide },
    ]) {
      expect(() => validateCardFields({ ...own, ...wrong })).toThrow(expect.objectContaining({ code: 'INVALID_CARD' }))
    }
  })
})
