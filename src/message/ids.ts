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
  const hex = toHex(bytes)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The 16 bytes of a UUID. @throws AfpMessageError INVALID_MESSAGE for text that is none */
export function uuidToBytes(uuid: string): Uint8Array<ArrayBuffer> {
  if (!isUuid(uuid)) throw new AfpMessageError('INVALID_MESSAGE', 'not a UUID in its lower-case form')
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
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  let ms = -1
  // 74 random bits: 12, 30 and 32.
  let high = 0
  let middle = 0
  let low = 0
  return () => {
    const fresh = random.bytes(10)
    const numbers = new DataView(fresh.buffer, fresh.byteOffset)
    const now = Math.floor(clock.now())
    if (now > ms) {
      ms = now
      high = numbers.getUint16(0) & 0xfff
      middle = numbers.getUint32(2) & 0x3fffffff
      low = numbers.getUint32(6)
    } else {
      low += 1 + (numbers.getUint32(6) >>> 1)
      if (low > 0xffffffff) {
        low %= 2 ** 32
        middle = (middle + 1) & 0x3fffffff
        if (middle === 0) high = (high + 1) & 0xfff
        if (middle === 0 && high === 0) ms++
      }
    }
    view.setUint16(0, Math.floor(ms / 2 ** 32))
    view.setUint32(2, ms % 2 ** 32)
    view.setUint16(6, 0x7000 | high)
    view.setUint32(8, (0x80000000 | middle) >>> 0)
    view.setUint32(12, low)
    return bytesToUuid(bytes)
  }
}
