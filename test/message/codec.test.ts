import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { decode, encode, TAG_JSON, Tagged, tryDecode } from '../../src/message/codec.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], byte => Number.parseInt(byte, 16))

const refusal = (reason: string) => expect.objectContaining({ code: 'MALFORMED', details: { reason } })

describe('encode and decode', () => {
  const key = fc.oneof(fc.string({ unit: 'grapheme' }), fc.maxSafeInteger())
  const { value } = fc.letrec(tie => ({
    value: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noDefaultInfinity: true, min: 0.001, max: 1e300 }),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array(),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map(entries => new Map(entries)),
    ),
  }))

  test('A value comes back as what it was.', () => {
    fc.assert(
      fc.property(value, given => {
        expect(decode(encode(given))).toEqual(given)
      }),
    )
  })

  test('Bytes that decode are the only encoding of their value.', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 12 }), value.map(encode)), bytes => {
        let decoded: unknown
        try {
          decoded = decode(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: 'MALFORMED' })
          return
        }
        expect(encode(decoded)).toEqual(new Uint8Array(bytes))
      }),
      { numRuns: 5000 },
    )
  })

  test('The order in which a map was filled makes no difference to its bytes.', () => {
    const one = encode({ bb: 1, a: 2, c: 3 })
    const two = encode(
      new Map<string, number>([
        ['a', 2],
        ['c', 3],
        ['bb', 1],
      ]),
    )
    expect(one).toEqual(two)
  })

  test('Encoding gives a plain byte array that a later encoding does not overwrite.', () => {
    const first = encode(['a', 'b'])
    const copy = Uint8Array.from(first)
    encode(['c', 'd'])
    expect(first).toEqual(copy)
    expect(Object.getPrototypeOf(first)).toBe(Uint8Array.prototype)
  })

  test('Decoded bytes are a copy, so that the buffer they came in can be used again.', () => {
    const buffer = encode([Uint8Array.of(1, 2, 3)])
    const [bytes] = decode(buffer) as [Uint8Array]
    buffer.fill(0)
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3))
  })

  test('Embedded JSON keeps its tag.', () => {
    const decoded = decode(encode(new Tagged(TAG_JSON, utf8('{}'))))
    expect(decoded).toBeInstanceOf(Tagged)
    expect((decoded as Tagged).value).toEqual(utf8('{}'))
  })

  test('A key __proto__ is an entry of a map and changes no prototype.', () => {
    const decoded = decode(encode(new Map([['__proto__', 1]]))) as Map<string, number>
    expect(decoded).toBeInstanceOf(Map)
    expect(decoded.get('__proto__')).toBe(1)
  })

  test.each([
    ['undefined', [undefined]],
    ['a function', () => 1],
    ['NaN', Number.NaN],
    ['an infinity', -Infinity],
    ['half a surrogate pair', 'a\ud800'],
    ['a date', new Date(0)],
    ['a symbol', Symbol('x')],
  ])('%s is refused when it is encoded.', (_what, given) => {
    expect(() => encode(given)).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT' }))
  })

  test('A structure that contains itself is refused when it is encoded.', () => {
    const loop: unknown[] = []
    loop.push(loop)
    expect(() => encode(loop)).toThrow(expect.objectContaining({ code: 'INVALID_CONTENT' }))
  })
})

describe('decode of hostile bytes', () => {
  test.each([
    ['nothing', ''],
    ['an array that ends early', '8201'],
    ['a header that ends early', '19ff'],
    ['bytes after the document', '0000'],
    ['an indefinite array', '9f01ff'],
    ['an indefinite map', 'bf6161f5ff'],
    ['an indefinite string', '7f6161ff'],
    ['indefinite bytes', '5f4101ff'],
    ['a lone break', 'ff'],
    ['a reserved header', '1c'],
    ['an integer that is not in its shortest form', '1817'],
    ['a length that is not in its shortest form', '580141'],
    ['a 64-bit integer that fits in 32', '1b00000000ffffffff'],
    ['a repeated key', 'a2616101616102'],
    ['unsorted keys', 'a2616201616102'],
    ['a repeated integer key', 'a201000101'],
    ['an array as a key', 'a18001'],
    ['a map key without a value', 'a16161'],
    ['an array longer than its document', '9affffffff00'],
    ['an array of 2^64 - 1', '9bffffffffffffffff00'],
    ['a map of 2^63', 'bb800000000000000000'],
    ['a string longer than its document', '7affffffff61'],
    ['bytes of 2^64 - 1', '5bffffffffffffffff00'],
    ['text that is not UTF-8', '61ff'],
    ['an overlong UTF-8 form', '62c080'],
    ['undefined', 'f7'],
    ['an unassigned simple value', 'f820'],
    ['NaN', 'f97e00'],
    ['an infinity', 'f97c00'],
    ['a double that fits in a half', 'fb3ff8000000000000'],
    ['a float that is an integer', 'f93c00'],
    ['a negative zero', 'f98000'],
    ['a bignum', 'c24101'],
    ['another tag', 'd82a41ff'],
    ['a tag with nothing in it', 'd90106'],
  ])('%s is refused as malformed.', (_what, document) => {
    expect(() => decode(hex(document))).toThrow(refusal('malformed'))
  })

  test('256 items are read, of 257 none, wherever they are; other numbers where the reader names them.', () => {
    const flat = (items: number): Uint8Array => encode(new Array(items - 1).fill(1))
    expect(decode(flat(256))).toHaveLength(255)
    expect(() => decode(flat(257))).toThrow(refusal('malformed'))
    expect(decode(flat(257), { items: 257 })).toHaveLength(256)
    const pairs = (count: number): Uint8Array => encode(new Map(Array.from({ length: count }, (_, i) => [i, [[]]])))
    expect(decode(pairs(85))).toHaveProperty('size', 85)
    expect(() => decode(pairs(86))).toThrow(refusal('malformed'))
  })

  test('Each half, and each single and double beside it, is read exactly where it is how its value is encoded.', () => {
    const view = new DataView(new ArrayBuffer(9))
    const bytes = (length: number): Uint8Array => new Uint8Array(view.buffer.slice(0, length))
    const holds = (length: number, value: number): void => {
      const given = bytes(length)
      const only = Number.isFinite(value) && encode(value).toString() === given.toString()
      if (tryDecode(given) !== (only ? value : undefined)) expect([given, tryDecode(given)]).toEqual([given, value])
    }
    for (let half = 0; half < 2 ** 16; half++) {
      view.setUint8(0, 0xf9)
      view.setUint16(1, half)
      const exponent = (half >> 10) & 31
      const size = exponent === 0 ? (half & 1023) * 2 ** -24 : ((half & 1023) + 1024) * 2 ** (exponent - 25)
      const value = exponent === 31 ? Number.NaN : half >> 15 ? -size : size
      holds(3, value)
      for (const near of [0, -1, 1]) {
        view.setUint8(0, 0xfa)
        view.setFloat32(1, value)
        view.setInt32(1, view.getInt32(1) + near)
        holds(5, view.getFloat32(1))
        view.setUint8(0, 0xfb)
        view.setFloat64(1, view.getFloat32(1))
        view.setInt32(5, view.getInt32(5) + near)
        holds(9, view.getFloat64(1))
      }
    }
  })

  test('Nesting of 32 is read, of 33 refused.', () => {
    const nested = (depth: number): Uint8Array => Uint8Array.from([...new Array(depth).fill(0x81), 0x00])
    expect(() => decode(nested(32))).not.toThrow()
    expect(() => decode(nested(33))).toThrow(refusal('too-deep'))
    expect(() => decode(nested(3), { depth: 2 })).toThrow(refusal('too-deep'))
  })

  test.each([
    ['arrays', 0x81],
    ['maps', 0xa1],
  ])('A megabyte of nested %s is refused before any of it is built.', (_what, header) => {
    const deep = new Uint8Array(2 ** 20)
    if (header === 0xa1) for (let i = 0; i < deep.length; i += 2) deep.set([header, 0x00], i)
    else deep.fill(header)
    expect(() => decode(deep)).toThrow(refusal('too-deep'))
  })

  test('A document above the limit is refused unread.', () => {
    expect(() => decode(encode('four'), { bytes: 4 })).toThrow(refusal('too-large'))
    expect(decode(encode('four'), { bytes: 5 })).toBe('four')
    expect(() => decode(new Uint8Array(2 ** 20 + 1))).toThrow(refusal('too-large'))
  })
})
