/** Message ids: UUIDv7 (RFC 9562 §5.7), which order by the time they were made. */

import { toHex } from '../common/bytes.ts'
import type { Clock } from '../common/clock.ts'
import { AfpMessageError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether a value is a UUID in its canonical, lower-case form (RFC 9562 §4); any version. */
export const isUuid = (value: unknown): value is string => typeof value === 'string' && UUID.test(value)

/** The text of a UUID's 16 bytes. @throws AfpMessageError INVALID_MESSAGE for another number of bytes */
export function bytesToUuid(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new AfpMessageError('INVALID_MESSAGE', `a UUID has 16 bytes, not ${bytes.length}`)
  return uuidOf(toHex(bytes))
}

/** The text of a UUID's 32 hexadecimal digits. */
const uuidOf = (hex: string): string => hex.replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

/** The 16 bytes of a UUID. @throws AfpMessageError INVALID_MESSAGE for text that is none */
export function uuidToBytes(uuid: string): Uint8Array<ArrayBuffer> {
  if (!isUuid(uuid)) throw new AfpMessageError('INVALID_MESSAGE', 'the id has to be a lower-case UUID')
  const hex = uuid.replaceAll('-', '')
  const bytes = new Uint8Array(16)
  for (let i = 0; i < 16; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

/**
 * A generator of UUIDv7. Each id is greater than the one before, also within one millisecond and when the clock goes
 * back: the random part is then counted up by a random step (RFC 9562 §6.2, method 2).
 */
export function createIds(options: { clock: Clock; random: Random }): () => string {
  const { clock, random } = options
  /** The last id without version and variant: 48 bits of time, 74 random ones. */
  let last = 0n
  return () => {
    const fresh = BigInt(`0x${toHex(random.bytes(10))}`)
    const now = BigInt(Math.floor(clock.now()))
    // One that runs over moves the time on.
    last = now > last >> 74n ? (now << 74n) | (fresh >> 6n) : last + 1n + (fresh & 0x7fffffffn)
    const low = last & (2n ** 62n - 1n)
    const high = (last >> 62n) & 0xfffn
    const all = ((last >> 74n) << 80n) | (0x7n << 76n) | (high << 64n) | (0x2n << 62n) | low
    return uuidOf(all.toString(16).padStart(32, '0'))
  }
}
