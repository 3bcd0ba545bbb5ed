import { afterEach, expect, test } from 'vitest'
import * as native from '../../src/identity/ed25519.browser.ts'
import { ed25519Contract, strangeSignatures, vectors } from './vectors.ts'

type Module = typeof native

let fallback: Promise<Module> | undefined

/** The same module in a page that has no WebCrypto, as those served over plain http. */
function withoutWebCrypto(): Promise<Module> {
  fallback ??= (async () => {
    Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined, configurable: true })
    const url = new URL('/src/identity/ed25519.browser.ts?without-webcrypto', location.origin)
    return (await import(/* @vite-ignore */ url.href)) as Module
  })()
  return fallback
}

afterEach(() => {
  Reflect.deleteProperty(globalThis.crypto, 'subtle')
})

ed25519Contract('Ed25519 on WebCrypto', async () => native)
ed25519Contract('Ed25519 in a page without WebCrypto', withoutWebCrypto)
strangeSignatures()

test('a page without WebCrypto signs what one with it takes, and the other way round', async () => {
  const plain = await withoutWebCrypto()
  const pairs = [await native.keyPair(vectors[0].seed), await plain.keyPair(vectors[0].seed)] as const
  const data = new TextEncoder().encode('the same in both')
  expect(pairs[0].publicKey).toEqual(pairs[1].publicKey)
  const signatures = [await pairs[0].sign(data), await pairs[1].sign(data)] as const
  expect(signatures[0]).toEqual(signatures[1])
  expect(await native.verify(pairs[0].publicKey, signatures[1], data)).toBe(true)
  expect(await plain.verify(pairs[0].publicKey, signatures[0], data)).toBe(true)
})

test('the page without WebCrypto really has none while its module loads', async () => {
  Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined, configurable: true })
  expect(globalThis.crypto.subtle).toBeUndefined()
  Reflect.deleteProperty(globalThis.crypto, 'subtle')
  expect(globalThis.crypto.subtle).toBeInstanceOf(SubtleCrypto)
})
