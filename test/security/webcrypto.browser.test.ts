import { expect, test } from 'vitest'
import { primitives as chosen } from '#crypto'
import { importKey } from '../../src/security/aead.ts'
import { primitives } from '../../src/security/crypto.browser.ts'
import { indexedDbStore } from '../../src/store/indexeddb.ts'
import { hpkeContract } from './hpke-contract.ts'
import { interopContract } from './interop-contract.ts'
import { openingContract } from './opening-contract.ts'
import { passphraseContract } from './passphrase-contract.ts'
import { prekeysContract } from './prekeys-contract.ts'
import { primitivesContract } from './primitives-contract.ts'
import { sealContract } from './seal-contract.ts'
import { sharedContentContract } from './shared-content-contract.ts'

test('a page gets the variant for browsers, and it is WebCrypto that seals', async () => {
  expect(chosen).toBe(primitives)
  expect(crypto.subtle).toBeInstanceOf(SubtleCrypto)
  const sealed = (await importKey(new Uint8Array(32))).seal(new Uint8Array(12), new Uint8Array(0), new Uint8Array(0))
  expect(sealed).toBeInstanceOf(Promise)
  await sealed
})

test('where WebCrypto has no X25519, that alone is done in JavaScript, and both agree', async () => {
  const [privateKey, other] = [new Uint8Array(32).fill(7), new Uint8Array(32).fill(8)]
  const publicKey = await primitives.x25519PublicKey(other)
  const secret = await primitives.x25519(privateKey, publicKey)
  const asked: unknown[] = []
  const { subtle } = crypto
  const older = new Proxy(subtle, {
    get: (target, name: keyof SubtleCrypto) => {
      const method = target[name].bind(target) as (...args: unknown[]) => Promise<unknown>
      return async (...args: unknown[]) => {
        if (args.includes('X25519')) throw new DOMException('no such algorithm', 'NotSupportedError')
        asked.push(name)
        return method(...args)
      }
    },
  })
  Object.defineProperty(crypto, 'subtle', { value: older, configurable: true })
  try {
    expect(await primitives.x25519PublicKey(other)).toEqual(publicKey)
    expect(await primitives.x25519(privateKey, publicKey)).toEqual(secret)
    expect(asked).toEqual([])
    await primitives.sha256(privateKey)
    expect(asked).toEqual(['digest'])
  } finally {
    Reflect.deleteProperty(crypto, 'subtle')
  }
  expect(crypto.subtle).toBe(subtle)
})

primitivesContract('of WebCrypto', primitives)
hpkeContract('by WebCrypto')
interopContract('by WebCrypto')
openingContract('by WebCrypto')
sealContract('by WebCrypto')
sharedContentContract('by WebCrypto')
passphraseContract('in a browser')
prekeysContract('in IndexedDB', () => indexedDbStore(`prekeys-${crypto.randomUUID()}`))
