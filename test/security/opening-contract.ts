/** What openings do in every environment. */

import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { generateKey } from '../../src/security/hpke.ts'
import { type MakeOpeningOptions, makeOpening, OPENING_GRACE, readOpening } from '../../src/security/opening.ts'
import { type OwnPrekey, prekeyId } from '../../src/security/prekeys.ts'
import { cuts, failureOf, flips, wycheproof } from './vectors.ts'

const now = 1_800_000_000_000
const skew = 120_000
const WEEK = 604_800_000

async function ownPrekey(seed: number): Promise<OwnPrekey> {
  const key = await generateKey(seededRandom(seed))
  return { ...key, id: await prekeyId(key.publicKey), madeAt: now, notAfter: now + 3 * WEEK }
}

async function world() {
  const author = await createIdentity(fromHex('a1'.repeat(32)))
  const self = await createIdentity(fromHex('b2'.repeat(32)))
  const prekey = await ownPrekey(11)
  const earlier = ['0f'.repeat(16), 'f0'.repeat(16)]
  const made: MakeOpeningOptions = {
    author,
    mesh: 'demo',
    recipient: self.id,
    prekey,
    earlier,
    notAfter: now + WEEK,
    random: seededRandom(12),
  }
  const ring = (...keys: OwnPrekey[]) => ({
    find: (id: Uint8Array) => keys.find(key => toHex(key.id) === toHex(id)),
  })
  const reading = { self: self.id, mesh: 'demo', prekeys: ring(prekey), now, skew }
  return { author, self, prekey, made, ring, reading }
}

const refusal = (reason: string, more: object = {}) => ({
  name: 'AfpSecurityError',
  code: 'INVALID_OPENING',
  details: { reason },
  ...more,
})

/** The packet with other fields, signed again: what a dishonest author can make. */
async function resigned(packet: Uint8Array, author: Identity, change: (body: unknown[]) => unknown) {
  const [body] = decode(packet) as [Uint8Array]
  const fields = decode(body) as unknown[]
  const changed = encode(change(fields) ?? fields)
  return encode([changed, await author.sign('afp/1/opening', changed)])
}

export function openingContract(where: string): void {
  describe(`an opening ${where}`, () => {
    test('gives both sides the same epoch and key, and is the same bytes everywhere', async () => {
      const { author, made, reading } = await world()
      const opening = await makeOpening(made)
      const read = await readOpening(opening.packet, reading)
      expect(read).toEqual({
        epoch: opening.epoch,
        author: author.id,
        key: opening.key,
        notAfter: now + WEEK,
        earlier: made.earlier,
      })
      expect(opening.key).toHaveLength(32)
      // Computed by another implementation, in Python, from the written format alone.
      expect(opening.epoch).toBe('2662c548ae227a10a536115813750f6d')
      expect(toHex(opening.key)).toBe('ada2ca2b07643b4f432929a35405ba023d2a46b0f2fbf34259d7ba1fb19d9426')
    })

    test('two of them share neither epoch nor key', async () => {
      const { made } = await world()
      const one = await makeOpening(made)
      const two = await makeOpening(made)
      expect(two.epoch).not.toBe(one.epoch)
      expect(two.key).not.toEqual(one.key)
    })

    test('no bit can be changed, and nobody is told more than that', async () => {
      const { made, reading } = await world()
      const { packet } = await makeOpening({ ...made, earlier: [] })
      const reasons = new Map<string, number>()
      for (const other of flips(packet)) {
        const error = await failureOf(() => readOpening(other, reading))
        expect(error).toMatchObject({ name: 'AfpSecurityError', code: 'INVALID_OPENING', agentId: undefined })
        const { reason } = (error as { details: { reason: string } }).details
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      }
      // Lost keys and ends are spoken of only once the author's signature holds: a stranger gets no signed answer.
      expect([...reasons.keys()].sort()).toEqual(['bad-signature', 'malformed', 'wrong-mesh', 'wrong-recipient'])
      expect(reasons.get('wrong-recipient')).toBe(256)
      // Signature, author, prekey id, random bytes and enc can only fail at the signature.
      expect(reasons.get('bad-signature')).toBeGreaterThanOrEqual(8 * (64 + 32 + 8 + 16 + 32))
      for (const other of cuts(packet)) {
        expect(await failureOf(() => readOpening(other, reading))).toMatchObject(refusal('malformed'))
      }
    })

    test('neither enc nor signature of another opening fits', async () => {
      const { made, reading } = await world()
      const one = await makeOpening(made)
      const two = await makeOpening(made)
      const [bodyOne, signatureOne] = decode(one.packet) as [Uint8Array, Uint8Array]
      const [bodyTwo, signatureTwo] = decode(two.packet) as [Uint8Array, Uint8Array]
      const fields = decode(bodyOne) as unknown[]
      fields[9] = (decode(bodyTwo) as unknown[])[9]
      for (const packet of [
        encode([encode(fields), signatureOne]),
        encode([encode(fields), signatureTwo]),
        encode([bodyOne, signatureTwo]),
      ]) {
        expect(await failureOf(() => readOpening(packet, reading))).toMatchObject(refusal('bad-signature'))
      }
    })

    test('a signature by somebody else than the author it names does not count', async () => {
      const { made, reading, self } = await world()
      const { packet } = await makeOpening(made)
      const forged = await resigned(packet, self, () => undefined)
      expect(await failureOf(() => readOpening(forged, reading))).toMatchObject(refusal('bad-signature'))
    })

    test('an enc that was not agreed for these words opens another key', async () => {
      const { author, made, reading } = await world()
      const { packet, key } = await makeOpening(made)
      const moved = await resigned(packet, author, fields => {
        fields[8] = (fields[8] as number) + 1
      })
      const read = await readOpening(moved, reading)
      expect(read.key).not.toEqual(key)
    })

    test('for another recipient or mesh is refused, though its author signed it', async () => {
      const { author, made, reading } = await world()
      const { packet } = await makeOpening(made)
      const elsewhere = { ...reading, mesh: 'other' }
      expect(await failureOf(() => readOpening(packet, elsewhere))).toMatchObject(refusal('wrong-mesh'))
      const somebody = { ...reading, self: author.id }
      expect(await failureOf(() => readOpening(packet, somebody))).toMatchObject(refusal('wrong-recipient'))
    })

    test('that is known is read without its signature or its key, and refused for all else that is wrong', async () => {
      const { made, prekey, reading, ring } = await world()
      const { packet, epoch, notAfter } = await makeOpening(made)
      const asked: string[] = []
      const isKnown = (id: string): boolean => asked.push(id) > 0
      const sealed = Object.defineProperty({ ...prekey }, 'privateKey', {
        get: () => {
          throw new Error('its key was looked at')
        },
      })
      const again = { ...reading, prekeys: ring(sealed), isKnown }
      expect(await readOpening(packet, again)).toMatchObject({ epoch, author: made.author.id, key: undefined })
      expect(asked).toEqual([epoch])
      const unsigned = packet.slice()
      unsigned[packet.length - 1] = (unsigned[packet.length - 1] as number) ^ 1
      expect(await readOpening(unsigned, again)).toMatchObject({ key: undefined })
      const wrong = async (options: object) => failureOf(() => readOpening(packet, { ...again, ...options }))
      expect(await wrong({ mesh: 'other' })).toMatchObject(refusal('wrong-mesh'))
      expect(await wrong({ self: made.author.id })).toMatchObject(refusal('wrong-recipient'))
      expect(await wrong({ now: notAfter + OPENING_GRACE + skew + 1 })).toMatchObject({
        details: { reason: 'expired' },
      })
      expect(await wrong({ prekeys: ring() })).toMatchObject({ details: { reason: 'lost-key', epoch } })
      expect(await failureOf(() => readOpening(unsigned, reading))).toMatchObject(refusal('bad-signature'))
    })

    test('to a prekey that is not here is a lost key, and says of which epoch', async () => {
      const { author, made, reading, ring } = await world()
      const { packet, epoch } = await makeOpening(made)
      const lost = { ...reading, prekeys: ring(await ownPrekey(99)) }
      const expected = refusal('lost-key', { agentId: author.id, details: { reason: 'lost-key', epoch } })
      expect(await failureOf(() => readOpening(packet, lost))).toMatchObject(expected)
    })

    test('to a private half that is another one opens another key', async () => {
      const { made, prekey, reading, ring } = await world()
      const { packet, key } = await makeOpening(made)
      const { privateKey } = await ownPrekey(99)
      const read = await readOpening(packet, { ...reading, prekeys: ring({ ...prekey, privateKey }) })
      expect(read.key).not.toEqual(key)
    })

    test('may be read while its prekey is being deleted', async () => {
      const { made, prekey, reading } = await world()
      const { packet, key } = await makeOpening(made)
      const wiped = { ...prekey, privateKey: prekey.privateKey.slice() }
      const find = () => {
        queueMicrotask(() => wiped.privateKey.fill(0))
        return wiped
      }
      expect((await readOpening(packet, { ...reading, prekeys: { find } })).key).toEqual(key)
      expect(wiped.privateKey).toEqual(new Uint8Array(32))
    })

    test('is taken while what was sealed in its last moment may still arrive, and expired afterwards', async () => {
      const { author, made, reading } = await world()
      const { packet, epoch, notAfter } = await makeOpening(made)
      const last = notAfter + OPENING_GRACE + skew
      expect(await readOpening(packet, { ...reading, now: last })).toMatchObject({ epoch })
      const expected = refusal('expired', { agentId: author.id, details: { reason: 'expired', epoch } })
      expect(await failureOf(() => readOpening(packet, { ...reading, now: last + 1 }))).toMatchObject(expected)
    })

    test('ends with its prekey, whatever its author says', async () => {
      const { made, prekey, reading } = await world()
      const { packet } = await makeOpening({ ...made, notAfter: now + 520 * WEEK })
      expect(await readOpening(packet, reading)).toMatchObject({ notAfter: prekey.notAfter })
    })

    test('of another form is refused, though its author signed it', async () => {
      const { author, made, reading } = await world()
      const { packet } = await makeOpening(made)
      const lowOrder = fromHex(
        wycheproof.x25519.testGroups
          .flatMap(group => group.tests)
          .find(({ flags }) => flags.includes('ZeroSharedSecret'))?.public as string,
      )
      const changes: ((fields: unknown[]) => unknown)[] = [
        fields => fields.slice(0, 10),
        fields => [...fields, 0],
        () => ({}),
        () => 'text',
        fields => fields.with(0, 'afp/1/card'),
        fields => fields.with(1, 2),
        fields => fields.with(2, 2),
        fields => fields.with(3, ''),
        fields => fields.with(3, 'm'.repeat(65)),
        fields => fields.with(4, author.id),
        fields => fields.with(6, new Uint8Array(7)),
        fields => fields.with(7, new Uint8Array(15)),
        fields => fields.with(8, -1),
        fields => fields.with(8, 1.5),
        fields => fields.with(8, 2n ** 60n),
        fields => fields.with(9, new Uint8Array(31)),
        fields => fields.with(9, lowOrder),
        fields => fields.with(10, 'none'),
        fields => fields.with(10, [new Uint8Array(15)]),
        fields => fields.with(10, [new Uint8Array(16), new Uint8Array(16)]),
        fields => fields.with(10, [[new Uint8Array(16)]]),
        fields =>
          fields.with(
            10,
            Array.from({ length: 65 }, (_, i) => new Uint8Array(16).fill(i)),
          ),
        fields =>
          fields.with(
            10,
            Array.from({ length: 500 }, (_, i) => new Uint8Array(16).fill(i)),
          ),
      ]
      for (const [index, change] of changes.entries()) {
        const other = await resigned(packet, author, change)
        expect([index, await failureOf(() => readOpening(other, reading))]).toMatchObject([index, refusal('malformed')])
      }
      const [body, signature] = decode(packet) as [Uint8Array, Uint8Array]
      for (const other of [
        [body],
        [body, signature, 0],
        [body, signature.slice(1)],
        [signature, body],
        ['body', signature],
      ]) {
        expect(await failureOf(() => readOpening(encode(other), reading))).toMatchObject(refusal('malformed'))
      }
      const tooLong = refusal('malformed', { cause: { details: { reason: 'too-large' } } })
      expect(await failureOf(() => readOpening(new Uint8Array(2_049), reading))).toMatchObject(tooLong)
    })

    test('names 64 earlier epochs at the most', async () => {
      const { made, reading } = await world()
      const earlier = Array.from({ length: 64 }, (_, i) => i.toString(16).padStart(32, '0'))
      const { packet } = await makeOpening({ ...made, earlier })
      expect((await readOpening(packet, reading)).earlier).toEqual(earlier)
      const more = [...earlier, 'ff'.repeat(16)]
      expect(await failureOf(() => makeOpening({ ...made, earlier: more }))).toMatchObject(refusal('malformed'))
    })

    test('that its recipient would refuse is not made', async () => {
      const { made, prekey } = await world()
      for (const wrong of [
        { recipient: 'ada' },
        { mesh: '' },
        { mesh: 'm'.repeat(65) },
        { notAfter: -1 },
        { notAfter: Number.MAX_SAFE_INTEGER + 1 },
        { earlier: ['xyz'] },
        { earlier: ['0F'.repeat(16)] },
        { earlier: ['00'.repeat(16), '00'.repeat(16)] },
        { prekey: { ...prekey, id: new Uint8Array(9) } },
      ]) {
        expect(await failureOf(() => makeOpening({ ...made, ...wrong }))).toMatchObject(refusal('malformed'))
      }
      const noKey = { ...prekey, publicKey: new Uint8Array(32) }
      expect(await failureOf(() => makeOpening({ ...made, prekey: noKey }))).toMatchObject({ code: 'INVALID_KEY' })
    })
  })
}
