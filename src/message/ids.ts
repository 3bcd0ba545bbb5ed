/** Message ids: UUIDv7 (RFC 9562 §5.7), which order by the time they were made. */

import { fromHex, toHex } from '../common/bytes.ts'
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
const uuidOf = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`

/** The 16 bytes of a UUID. @throws AfpMessageError INVALID_MESSAGE for text that is none */
export function uuidToBytes(uuid: string): Uint8Array<ArrayBuffer> {
  if (!isUuid(uuid)) throw new AfpMessageError('INVALID_MESSAGE', 'the id has to be a lower-case UUID')
  return fromHex(uuid.replaceAll('-', ''))
}

/**
 * A generator of UUIDv7. Each id is greater than the one before, also within one millisecond and when the clock goes
 * back: a counter follows the time (RFC 9562 §6.2, method 1), begins somewhere in its lower half and moves the time on
 * when it runs over. 62 bits are random.
 */
export function createIds(options: { clock: Clock; random: Random }): () => string {
  const { clock, random } = options
  let time = 0
  let counter = 0
  return () => {
    const now = Math.floor(clock.now())
    const bytes = random.bytes(10)
    const [first = 0, second = 0, third = 0] = bytes
    if (now > time) {
      time = now
      counter = ((first << 8) | second) & 0x7ff
    } else if (++counter > 0xfff) {
      time++
      counter = 0
    }
    // Version 7 and the variant of RFC 9562.
    bytes[2] = 0x80 | (third & 0x3f)
    return uuidOf(time.toString(16).padStart(12, '0') + (0x7000 | counter).toString(16) + toHex(bytes.subarray(2)))
  }
}
