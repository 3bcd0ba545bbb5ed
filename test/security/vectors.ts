/** What the tests of this room share: published vectors, and ways to spoil bytes. */

import hpke from '../vectors/hpke-rfc9180.json' with { type: 'json' }
import aesGcm from '../vectors/wycheproof-aes-gcm.json' with { type: 'json' }
import ed25519 from '../vectors/wycheproof-ed25519.json' with { type: 'json' }
import hkdf from '../vectors/wycheproof-hkdf-sha256.json' with { type: 'json' }
import x25519 from '../vectors/wycheproof-x25519.json' with { type: 'json' }

export const wycheproof = { aesGcm, ed25519, hkdf, x25519 }
export const rfc9180 = hpke

/** The bytes once for each of their bits, or for each `step`th, with that bit flipped. */
export function* flips(bytes: Uint8Array, step = 1): Generator<Uint8Array<ArrayBuffer>> {
  for (let bit = 0; bit < 8 * bytes.length; bit += step) {
    const flipped = new Uint8Array(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    yield flipped
  }
}

/** The bytes shorter by every length, and longer by a zero. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let length = 0; length < bytes.length; length++) yield bytes.slice(0, length)
  yield Uint8Array.from([...bytes, 0])
}

/** What a call throws or rejects with; `undefined` when it does neither. */
export async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    await call()
    return undefined
  } catch (error) {
    return error
  }
}
