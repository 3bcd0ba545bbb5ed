/**
 * The CDDL of docs/protocol.md is one document, and says of the golden frames what they are. What it cannot say (lengths
 * of text, names, JSON, what one item means for another) is counted: a rule that is looser or stricter changes a count.
 */

import { createDecipheriv } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fromHex, utf8 } from '../../src/common/bytes.ts'
import { verify } from '../../src/identity/ed25519.ts'
import { decode, encode, Tagged, tryDecode } from '../../src/message/codec.ts'
import { type Case, folder, frameIn, openingOf, readVectors, type VectorFile } from './cases.ts'
import { Cddl } from './cddl.ts'
import { parseCddl } from './cddl-parser.ts'

const text = readFileSync(join(import.meta.dirname, '../../docs/protocol.md'), 'utf8')
const blocks = [...text.matchAll(/^```cddl\n(.*?)^```$/gms)].map(([, block = '']) => block)
const rules = parseCddl(blocks.join('\n'))
const files = readdirSync(folder).map(name => readVectors(name).file)

/** Cases whose bytes are CBOR; the bodies of `channel` are any bytes. */
const readable = ({ kind }: Case): boolean => kind !== 'topic' && kind !== 'channel'

/** Cases that are not a frame of the channel. */
const ALONE: ReadonlySet<string> = new Set(['card', 'message', 'gossip', 'presence'])

const isWhatItSays = (cddl: Cddl, given: Case): boolean => {
  const bytes = frameIn(given)
  return ALONE.has(given.kind) ? cddl.is(given.kind, tryDecode(bytes)) : cddl.is('frame', [bytes[0], bytes.subarray(1)])
}

/** How often each word comes. */
const counted = (words: readonly string[]): Record<string, number> =>
  Object.fromEntries([...new Set(words)].toSorted().map(word => [word, words.filter(each => each === word).length]))

/** What was sealed, by the key of AES-256-GCM, without its padding. */
function opened(key: Uint8Array, nonce: Uint8Array, about: Uint8Array, sealed: Uint8Array): Buffer {
  const cipher = createDecipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(about)
  cipher.setAuthTag(sealed.subarray(-16))
  const padded = Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()])
  return padded.subarray(0, padded.lastIndexOf(0x80))
}

/** Holds what an envelope seals against the rules. */
function checkSealed(cddl: Cddl, given: Case, { mesh, cases }: VectorFile): void {
  const [head, sealed, content] = decode(frameIn(given).subarray(1)) as [Uint8Array, Uint8Array, Uint8Array?]
  const header = decode(head) as unknown[]
  const nonce = Buffer.alloc(12)
  nonce[0] = header[8] === true ? 0 : 0x80
  nonce.writeUIntBE(header[4] as number, 6, 6)
  const key = openingOf(given, cases).value?.key as string
  let plain = opened(fromHex(key), nonce, head, sealed)
  if (content !== undefined) {
    const shared = decode(plain) as [Uint8Array, string[], Uint8Array]
    expect(cddl.is('shared-key', shared), given.name).toBe(true)
    const message = given.value?.message as { id: string } | undefined
    const about = ['afp/1/shared', message?.id, mesh, given.author, shared[1]]
    expect(cddl.is('shared-about', about), given.name).toBe(true)
    plain = opened(shared[2].subarray(0, 32), new Uint8Array(12), encode(about), content)
  }
  // One that makes no sense is no message, and its bundle no such bundle, though the others count.
  const messages = given.value?.messages as object[] | undefined
  if (messages?.some(message => 'refused' in message)) return
  const bundle = decode(plain, { items: 257 })
  expect(cddl.is(messages === undefined ? 'message' : 'bundle', bundle), given.name).toBe(true)
}

describe('the CDDL of the protocol', () => {
  test('Each golden frame that says something is what its rule says, and so is what it seals and signs.', async () => {
    const cddl = new Cddl(rules)
    for (const file of files) {
      for (const given of file.cases.filter(each => each.value !== undefined && readable(each))) {
        expect(isWhatItSays(cddl, given), given.name).toBe(true)
        if (given.kind === 'envelope') checkSealed(cddl, given, file)
        if (given.kind !== 'lost-key') continue
        const [epochs, signature] = decode(frameIn(given).subarray(1)) as [Uint8Array[], Uint8Array]
        const about = [file.mesh, given.author, epochs]
        expect(cddl.is('lost-key-about', about), given.name).toBe(true)
        const signer = Object.values(file.agents).find(({ id }) => id === given.self)
        const signed = Buffer.concat([utf8('afp/1/lost-key\0'), encode(about)])
        expect(await verify(fromHex(signer?.publicKey ?? ''), signature, signed), given.name).toBe(true)
      }
    }
    // No rule is there that nothing was held against.
    expect([...rules.keys()].filter(name => !cddl.held.has(name))).toEqual([])
  })

  test('What has to be refused for its form is no such frame, but for what CDDL cannot say.', () => {
    const cddl = new Cddl(rules)
    const malformed = files.flatMap(({ cases }) => cases).filter(({ refused }) => refused === 'malformed')
    const taken = malformed.filter(readable).filter(given => isWhatItSays(cddl, given))
    expect(counted(taken.map(({ kind }) => kind)), taken.map(({ name }) => name).join('\n')).toEqual({
      acks: 5,
      card: 23,
      control: 2,
      envelope: 28,
      gossip: 1,
      hello: 1,
      message: 47,
      opening: 4,
      presence: 2,
      states: 2,
    })
  })

  test('What has to be refused for another reason is such a frame, but for other versions, sizes and meshes.', () => {
    const cddl = new Cddl(rules)
    const others = files.flatMap(({ cases }) => cases).filter(({ refused = 'malformed' }) => refused !== 'malformed')
    const not = others.filter(readable).filter(given => !isWhatItSays(cddl, given))
    expect(counted(not.map(({ refused = '' }) => refused)), not.map(({ name }) => name).join('\n')).toEqual({
      'bad-card': 1,
      'bad-signature': 1,
      'no-hello': 1,
      'too-deep': 2,
      'too-large': 4,
      'wrong-mesh': 1,
      'wrong-version': 6,
    })
  })
})

/** Values, and what they are under rules of which the first counts. */
const examples: readonly [rules: string, is: readonly unknown[], isNot: readonly unknown[]][] = [
  ['a = 0..9', [0, 9], [-1, 10, 1.5, '5', null]],
  ['a = 0..281474976710655', [2 ** 48 - 1], [2 ** 48, 2n ** 60n]],
  ['a = "b" / 7', ['b', 7], ['a', 8, new Uint8Array([7])]],
  ['a = tstr / bytes', ['', new Uint8Array(1)], [1, null, [], true]],
  ['a = int / float', [1, -1, 0.5, 2n ** 60n], ['1']],
  ['a = bool / null', [true, false, null], [0, undefined]],
  ['a = bytes .size 2', [new Uint8Array(2)], [new Uint8Array(3), 'ab', 2]],
  ['a = bytes .size (1..2)', [new Uint8Array(1), new Uint8Array(2)], [new Uint8Array(0), new Uint8Array(3)]],
  ['a = tstr .size 2', ['ab', 'ä'], ['a', 'abc']],
  ['a = bytes .cbor b b = [1]', [encode([1])], [encode([2]), encode(1), new Uint8Array([0x81]), [1]]],
  ['a = #6.262(bytes)', [new Tagged(262, new Uint8Array(1))], [new Tagged(263, new Uint8Array(1)), new Uint8Array(1)]],
  ['a = []', [[]], [[1], null]],
  ['a = [b: 1, ? c: 2]', [[1], [1, 2]], [[], [2], [1, 1], [1, 2, 3]]],
  ['a = [? 1, ? 1, 1]', [[1], [1, 1], [1, 1, 1]], [[], [1, 1, 1, 1]]],
  ['a = [* (x: 1, y: 2)]', [[], [1, 2], [1, 2, 1, 2]], [[1], [1, 2, 1], [2, 1]]],
  ['a = [1*2 tstr]', [['a'], ['a', 'b']], [[], ['a', 'b', 'c'], ['a', 1]]],
  ['a = [+ 1, * any]', [[1], [1, 1, 'x']], [[], ['x']]],
  [
    'a = [tstr, [* b], b] b = 1..2 ; more',
    [['x', [1, 2], 1]],
    [
      ['x', [3], 1],
      ['x', [], 3],
      ['x', 1, 1],
    ],
  ],
]

describe('the reader of CDDL', () => {
  test.each(examples)('takes for %s what is it, and nothing else', (document, is, isNot) => {
    const cddl = new Cddl(parseCddl(document))
    for (const value of is) expect([value, cddl.is('a', value)]).toEqual([value, true])
    for (const value of isNot) expect([value, cddl.is('a', value)]).toEqual([value, false])
  })

  test.each([
    ['a rule that is nowhere', 'a = b'],
    ['a rule that is there twice', 'a = 1 a = 2'],
    ['a rule of the prelude', 'uint = 0..9'],
    ['an array without an end', 'a = [1'],
    ['a range without an end', 'a = 0..'],
    ['a range of text', 'a = "a".."b"'],
    ['items without a comma', 'a = [tstr tstr]'],
    ['a map', 'a = {b: 1}'],
    ['another control', 'a = uint .lt 3'],
    ['a rule without a type', 'a ='],
    ['a type without a rule', '1..2'],
  ])('refuses %s', (_, document) => {
    expect(() => parseCddl(document)).toThrow('CDDL')
  })
})
