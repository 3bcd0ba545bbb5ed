/** Golden frames with something changed at random. */

import type { Random } from '../../src/common/random.ts'
import { type Case, frameIn, hexOf } from './cases.ts'

/** Bytes that begin something in CBOR or JSON, or are the most or least of their kind. */
const TELLING = [
  0x00, 0x01, 0x17, 0x18, 0x19, 0x1b, 0x20, 0x3b, 0x40, 0x5f, 0x60, 0x7f, 0x80, 0x81, 0x9f, 0xa0, 0xa1, 0xbf,
]
  .concat([0xc0, 0xd9, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xff])
  .concat([...Buffer.from('{}[]":,\\0-e.\n\t _u')])

/** A case whose bytes are changed in one to three places, under a name that says which. */
export function mutated(given: Case, count: number, random: Random): Case {
  const below = (limit: number): number => Math.floor(random.float() * limit)
  const byte = (): number => (below(2) === 0 ? (TELLING[below(TELLING.length)] as number) : below(256))
  const bytes = [...frameIn({ ...given, zeros: 0 })]
  for (let changes = 1 + below(3); changes > 0; changes--) {
    const at = below(bytes.length + 1)
    switch (below(5)) {
      case 0:
        bytes[at] = byte()
        break
      case 1:
        bytes.splice(at, 0, byte())
        break
      case 2:
        bytes.splice(at, 1)
        break
      case 3:
        bytes[at] = ((bytes[at] ?? 0) + (below(2) === 0 ? 1 : 255)) & 255
        break
      default:
        // A piece of it once more, or in place of another.
        bytes.splice(at, below(2) * 4, ...bytes.slice(below(bytes.length), below(bytes.length) + 4))
    }
  }
  const { value: _, refused: __, foreign: ___, ...rest } = given
  return { ...rest, name: `${given.name} (${count})`, bytes: hexOf(Uint8Array.from(bytes)) }
}
