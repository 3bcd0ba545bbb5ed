/** HPKE against another implementation of RFC 9180, in both directions. */

import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core'
import { beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { generateKey, setupReceiver, setupSender } from '../../src/security/hpke.ts'
import { SEED, saySeed } from '../seed.ts'

export function interopContract(where: string): void {
  describe(`HPKE ${where} and @hpke/core`, () => {
    const suite = new CipherSuite({
      kem: new DhkemX25519HkdfSha256(),
      kdf: new HkdfSha256(),
      aead: new Aes256Gcm(),
    })
    const buffer = (bytes: Uint8Array) => new Uint8Array(bytes).buffer

    beforeEach(saySeed)

    test('agree whoever sends, for any keys, info and context', async () => {
      const random = seededRandom(SEED)
      for (let round = 0; round < 20; round++) {
        const own = await generateKey(random)
        const info = random.bytes(round * 13)
        const use = utf8(`use ${round}`)
        const publicKey = await suite.kem.importKey('raw', buffer(own.publicKey))
        const privateKey = await suite.kem.importKey('raw', buffer(own.privateKey), false)

        const ours = await setupSender(own.publicKey, info, random)
        const theirs = await suite.createRecipientContext({
          recipientKey: { publicKey, privateKey },
          enc: buffer(ours.enc),
          info: buffer(info),
        })
        expect(new Uint8Array(await theirs.export(buffer(use), 32))).toEqual(await ours.exportSecret(use, 32))

        const sender = await suite.createSenderContext({ recipientPublicKey: publicKey, info: buffer(info) })
        const receiver = await setupReceiver(new Uint8Array(sender.enc), own, info)
        expect(await receiver.exportSecret(use, 48)).toEqual(new Uint8Array(await sender.export(buffer(use), 48)))
      }
    })
  })
}
