import { expect, test } from 'vitest'
import { encodeHeader, envelopeFrame, readEnvelope } from '../../src/delivery/frames.ts'

const header = {
  mesh: 'demo',
  destination: new Uint8Array(32),
  epoch: '00'.repeat(16),
  number: 2,
  prev: 1,
  priority: 0,
  expiresAt: 0,
  numbered: true,
  shared: false,
}
const read = (changed: Partial<typeof header>) =>
  readEnvelope(envelopeFrame(encodeHeader({ ...header, ...changed }), new Uint8Array(40)).subarray(1)).header

test('A header is read as it was written', () => {
  expect(read({})).toEqual(header)
})

test.each<[keyof typeof header, number]>([
  ['expiresAt', -1],
  ['expiresAt', 0.5],
  ['number', 0],
  ['number', -1],
  ['prev', 2],
  ['prev', -1],
  ['priority', 10],
  ['priority', -1],
])('A header with %s %s is malformed', (field, value) => {
  expect(() => read({ [field]: value })).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
})
