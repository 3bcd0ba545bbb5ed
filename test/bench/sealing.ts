/**
 * What sealing costs with each set of primitives that the project carries: OpenSSL through `node:crypto`, WebCrypto as in
 * browsers (Node's own here) and JavaScript as in pages without it. Rounds are interleaved; the ratio is to `node:crypto` in
 * the same rounds.
 *
 * `npm run bench -- sealing [rounds]`
 */

import { systemRandom } from '../../src/common/random.ts'
import { primitives as webCrypto } from '../../src/security/crypto.browser.ts'
import { primitives as javaScript } from '../../src/security/crypto.noble.ts'
import { primitives as nodeCrypto } from '../../src/security/crypto.ts'
import type { Primitives } from '../../src/security/primitives.ts'
import { median } from './figures.ts'

const rounds = Number(process.argv[2] ?? 7)
/** How long each operation is repeated in a round, ms. */
const TIME = 100

const kinds: readonly (readonly [string, Primitives])[] = [
  ['node:crypto', nodeCrypto],
  ['WebCrypto', webCrypto],
  ['JavaScript', javaScript],
]

const bytes = (length: number): Uint8Array => systemRandom.bytes(length)
const key = bytes(32)
const aad = bytes(100)
const secret = bytes(32)
const publicKey = await nodeCrypto.x25519PublicKey(bytes(32))

/** What is measured; each gets the number of the call for a nonce that is never used twice. */
const operations: readonly (readonly [string, (primitives: Primitives) => Promise<(call: number) => unknown>])[] = [
  ...[256, 1_024, 65_536].map(
    length =>
      [
        `AES-256-GCM, seal ${length} B`,
        async ({ importKey }: Primitives) => {
          const aead = await importKey(key)
          const plaintext = bytes(length)
          const nonce = new Uint8Array(12)
          const view = new DataView(nonce.buffer)
          return (call: number) => {
            view.setUint32(8, call)
            return aead.seal(nonce, aad, plaintext)
          }
        },
      ] as const,
  ),
  [
    'HMAC-SHA256, 100 B',
    async ({ hmacSha256 }) =>
      () =>
        hmacSha256(key, aad),
  ],
  [
    'X25519, shared secret',
    async ({ x25519 }) =>
      () =>
        x25519(secret, publicKey),
  ],
]

/** Calls in a second, one after the other: how an epoch's messages are sealed. */
async function rate(operation: (call: number) => unknown): Promise<number> {
  const start = performance.now()
  let calls = 0
  while (performance.now() - start < TIME) {
    const done = operation(calls++)
    if (done instanceof Promise) await done
  }
  return (calls / (performance.now() - start)) * 1_000
}

console.log(`Node ${process.version}, ${rounds} rounds of ${TIME} ms each, medians of operations per second\n`)
console.log(`${''.padEnd(28)}${kinds.map(([name]) => name.padStart(22)).join('')}`)
for (const [name, make] of operations) {
  const ready = await Promise.all(kinds.map(async ([, primitives]) => make(primitives)))
  const rates: number[][] = kinds.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, operation] of ready.entries()) rates[i]?.push(await rate(operation))
  }
  const medians = rates.map(median)
  const cells = medians.map(each => `${Math.round(each)} (x${(each / (medians[0] as number)).toFixed(2)})`)
  console.log(`${name.padEnd(28)}${cells.map(cell => cell.padStart(22)).join('')}`)
}
