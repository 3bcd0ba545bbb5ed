/** Message ids: UUIDv7 (RFC 9562 §5.7), which order by the time they were made; others where a message has to keep its own. */

import { sha256 } from '@noble/hashes/sha2.js'
import { fromHex, toHex, utf8 } from '../common/bytes.ts'
import type { Clock } from '../common/clock.ts'
import { AfpError, AfpMessageError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether a value is a UUID in its canonical, lower-case form (RFC 9562 §4); any version. */
export const isUuid = (value: unknown): value is string => typeof value === 'string' && UUID.test(value)

/** The text of a UUID's 16 bytes. @throws AfpMessageError INVALID_MESSAGE for another number of bytes */
export function bytesToUuid(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new AfpMessageError('INVALID_MESSAGE', `a UUID has 16 bytes, not ${bytes.length}`)
  const codes: number[] = []
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    if (i === 4 || i === 6 || i === 8 || i === 10) codes.push(DASH)
    codes.push(DIGITS.charCodeAt(byte >> 4), DIGITS.charCodeAt(byte & 15))
  }
  // At once: what is put together piece by piece takes ten times the memory for as long as it is there.
  return String.fromCharCode(...codes)
}

const DIGITS = '0123456789abcdef'
const DASH = 0x2d

/** The text of a UUID's 32 hexadecimal digits. */
const uuidOf = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`

/** The 16 bytes of a UUID. @throws AfpMessageError INVALID_MESSAGE for text that is none */
export function uuidToBytes(uuid: string): Uint8Array<ArrayBuffer> {
  if (!isUuid(uuid)) throw new AfpMessageError('INVALID_MESSAGE', 'the id has to be a lower-case UUID')
  return fromHex(uuid.replaceAll('-', ''))
}

/**
 * The id that a text stands for: always the same one, a UUIDv8 (RFC 9562 §5.8) of its SHA-256. A handler that sends
 * something gives it an id made of its `idempotencyKey`, and runs again without sending it twice.
 *
 * @example
 * ```ts
 * import { AfpError, createAgent, messageIdFrom } from 'agent-flow-protocol'
 *
 * const ada = await createAgent({ name: 'ada', mesh: 'demo', listen: ['/ip4/127.0.0.1/tcp/0'] })
 * const bob = await createAgent({ name: 'bob', mesh: 'demo', peers: ada.addresses })
 * bob.handle(async (message, { idempotencyKey }) => {
 *   // For each thing that it sends a name of its own.
 *   const id = messageIdFrom(`${idempotencyKey} thanks`)
 *   await bob.respond(message, 'thanks', { id }).catch(error => {
 *     if (!(error instanceof AfpError && error.code === 'DUPLICATE_MESSAGE')) throw error
 *   })
 * })
 * await ada.send(bob.id, 'a present')
 * console.log([(await ada.receive()).content]) // [ 'thanks' ]
 *
 * await ada.close()
 * await bob.close()
 * ```
 *
 * @throws AfpError INVALID_OPTION for what is no string: different things would have one id
 */
export function messageIdFrom(text: string): string {
  if (typeof text !== 'string') throw new AfpError('INVALID_OPTION', 'messageIdFrom() takes a string')
  const bytes = sha256(utf8(text)).slice(0, 16)
  bytes[6] = 0x80 | ((bytes[6] as number) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  return bytesToUuid(bytes)
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
