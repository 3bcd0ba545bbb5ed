/** Randomness as something that is handed in. */

/** A source of random bytes and numbers. */
export interface Random {
  /** `length` bytes; unpredictable from {@link systemRandom}, reproducible from {@link seededRandom}. */
  bytes(length: number): Uint8Array<ArrayBuffer>
  /** A number in [0, 1), for jitter and choices, never for keys. */
  float(): number
}

/** The most bytes that `getRandomValues` gives at once (Web Cryptography API, section 10.1.1). */
const MAX_REQUEST = 65_536

/** What is asked for a few bytes at a time is drawn at once, and each byte given out once. */
let pool = new Uint8Array()
let given = 0
const POOL = 4_096
const MOST_OF_POOL = 64

function fromPool(length: number): Uint8Array<ArrayBuffer> {
  if (given + length > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(POOL))
    given = 0
  }
  const out = pool.slice(given, given + length)
  // Whoever reads the memory of this process later finds no key of before.
  pool.fill(0, given, given + length)
  given += length
  return out
}

/** The platform's cryptographic randomness. */
export const systemRandom: Random = {
  bytes: length => {
    if (length <= MOST_OF_POOL) return fromPool(length)
    const out = new Uint8Array(length)
    for (let at = 0; at < length; at += MAX_REQUEST) crypto.getRandomValues(out.subarray(at, at + MAX_REQUEST))
    return out
  },
  float: () => (crypto.getRandomValues(new Uint32Array(1))[0] as number) / 2 ** 32,
}

/** Reproducible numbers for tests and simulations (splitmix32). Not for keys. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  return {
    bytes: length => Uint8Array.from({ length }, () => next() & 0xff),
    float: () => next() / 2 ** 32,
  }
}
