import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHex, toHex, utf8 } from '../../src/common/bytes.ts'
import { RowWrite } from '../../src/store/last-writes.ts'
import { decodeRow, encodeRows, RedoLog, type RedoRow } from '../../src/store/redo-log.ts'
import { TABLES } from '../../src/store/schema.ts'

/** The rows that writes are encoded to. */
function encoded(writes: readonly RowWrite[], seq = 1): { seq: number; bytes: Uint8Array }[] {
  const rows: { seq: number; bytes: Uint8Array }[] = []
  encodeRows(writes, seq, (at, bytes) => rows.push({ seq: at, bytes: new Uint8Array(bytes) }))
  return rows
}

const put = (name: string, value: string, table = 'meta'): RowWrite => new RowWrite(table, name, utf8(value))
const row = (seq: number, ...writes: RowWrite[]): RedoRow => ({ seq, bytes: 100, writes })

describe('a row of the redo log', () => {
  // It is read for ever: one of these bytes changed is a new format.
  it('is as the first version wrote it', () => {
    const writes = [put('\x02a\0', 'hello', 'outbox'), new RowWrite('app', '\x01\xff', undefined)]
    writes.push(new RowWrite('meta', '', new Uint8Array(200).fill(7)))
    const hex = `010000000309030261000568656c6c6f100201ff0100c801${'07'.repeat(200)}`
    expect(encoded(writes).map(({ bytes }) => toHex(bytes))).toEqual([hex])
    expect(decodeRow(5, fromHex(hex), 'a.db')).toMatchObject({ seq: 5, bytes: hex.length / 2, writes })
  })

  it('says what was written, whatever it was, in rows that are small where their writes are', () => {
    const name = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes).toString('latin1'))
    const size = fc.oneof(fc.nat(300), fc.constantFrom(127, 128, 16_383, 16_384, 65_000, 65_536, 70_000))
    const value = fc.option(
      size.map(length => new Uint8Array(length).fill(length)),
      { nil: undefined },
    )
    const write = fc.record({ table: fc.constantFrom(...TABLES), name, value })
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), given => {
        const writes = given.map(({ table, name, value }) => new RowWrite(table, name, value))
        const rows = encoded(writes, 7)
        expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, i) => 7 + i))
        const read = rows.map(({ seq, bytes }) => decodeRow(seq, bytes, 'a.db'))
        expect(read.flatMap(({ writes }) => writes)).toEqual(writes)
        for (const { bytes, writes } of read) expect(writes.length === 1 || bytes <= 65_536).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('that is cut off anywhere, goes on beyond its end or has another head is refused and named', () => {
    const bytes = encoded([put('one', 'first'), put('two', 'x'.repeat(200))])[0]?.bytes as Uint8Array
    const refused = (what: Uint8Array): void =>
      expect(() => decodeRow(12, what, 'a.db')).toThrow(
        expect.objectContaining({ code: 'STORE_FAILED', message: expect.stringContaining('row 12 of the redo log') }),
      )
    for (let length = 0; length < bytes.length; length++) refused(bytes.slice(0, length))
    refused(Uint8Array.of(...bytes, 0))
    // The format; how many writes there are; a table that is none; a length of which there is no end, or beyond the row.
    for (const [at, byte] of [
      [0, 2],
      [1, 0xff],
      [4, 1],
      [4, 3],
      [5, TABLES.length << 1],
      [6, 0xff],
      [6, 0x7f],
    ] as const) {
      const other = new Uint8Array(bytes)
      other[at] = byte
      refused(other)
    }
    refused(fromHex('0100000000'))
    refused(fromHex('010000000101ffffffffffffffff'))
  })
})

describe('the redo log', () => {
  it('has the last word on each row, until the log row that says it is gone', () => {
    const log = new RedoLog()
    const [first, second, other] = [put('a', '1'), put('a', '2'), put('b', '3')]
    log.add(row(1, first, other))
    log.add(row(2, second))
    expect([log.get('meta', 'a'), log.get('meta', 'b'), log.get('app', 'a')]).toEqual([second, other, undefined])
    expect([first, second, other].map(({ superseded }) => superseded)).toEqual([true, false, false])
    log.drop(1)
    expect([log.get('meta', 'a'), log.get('meta', 'b')]).toEqual([second, undefined])
    expect([log.bytes, log.nextSeq]).toEqual([100, 3])
    log.drop(1)
    expect([log.get('meta', 'a'), log.bytes, log.nextSeq]).toEqual([undefined, 0, 1])
  })

  it('gives the words on a range of a table in the order of their keys, deletions among them', () => {
    const log = new RedoLog()
    const writes = ['\xff', 'b', '', 'a\0', 'a'].map(name => put(name, name))
    const gone = new RowWrite('meta', 'aa', undefined)
    log.add(row(1, ...writes, gone, put('a', 'elsewhere', 'app')))
    expect(log.range('meta', 'a', 'b').map(({ name }) => name)).toEqual(['a', 'a\0', 'aa'])
    expect(log.range('meta', '', '\xff').map(({ name }) => name)).toEqual(['', 'a', 'a\0', 'aa', 'b'])
    expect(log.range('inbox', '', '\xff')).toEqual([])
  })
})
