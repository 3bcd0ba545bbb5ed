import { expect, test } from 'vitest'

// A page served over plain http has no WebCrypto. It has to be gone before anything is loaded that might keep it.
Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined, configurable: true })

const { primitives } = await import('../../src/security/crypto.browser.ts')
const { importKey } = await import('../../src/security/aead.ts')
const { primitivesContract } = await import('./primitives-contract.ts')
const { hpkeContract } = await import('./hpke-contract.ts')
const { openingContract } = await import('./opening-contract.ts')
const { sealContract } = await import('./seal-contract.ts')
const { sharedContentContract } = await import('./shared-content-contract.ts')

test('the page has no WebCrypto, and it is JavaScript that seals', async () => {
  expect(crypto.subtle).toBeUndefined()
  const sealed = (await importKey(new Uint8Array(32))).seal(new Uint8Array(12), new Uint8Array(0), new Uint8Array(0))
  expect(sealed).toBeInstanceOf(Uint8Array)
})

primitivesContract('of a page without WebCrypto', primitives)
hpkeContract('without WebCrypto')
openingContract('without WebCrypto')
sealContract('without WebCrypto')
sharedContentContract('without WebCrypto')
