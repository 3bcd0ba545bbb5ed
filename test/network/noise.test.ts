/** Noise as Node has it: what is sealed is what libp2p's own seals, and one bit that differs ends a connection. */

import type { Connection, Stream } from '@libp2p/interface'
import { noise as libp2pNoise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import { describe, expect, onTestFinished, test } from 'vitest'
import { concat, fromHex, utf8 } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { decrypt, encrypt, lengthAt, noise } from '../../src/network/noise.ts'
import { flips } from '../security/vectors.ts'
import { startNode } from './bare-node.ts'

const PROTOCOL = '/test/noise'
const SIZES = [1, 1_199, 1_200, 65_535, 200_000]

/** One as anybody has it that is built on libp2p. */
async function plainNode(): Promise<Libp2p> {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [libp2pNoise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
  })
  onTestFinished(() => Promise.resolve(node.stop()))
  return node
}

/** What comes over a stream, in its order, as far as it was not taken. */
function reading(stream: Stream) {
  let chunks: Uint8Array[] = []
  let count = 0
  let wake = (): void => {}
  stream.addEventListener('message', ({ data }) => {
    chunks.push(data.subarray())
    count += data.byteLength
    wake()
  })
  return async (length: number): Promise<Uint8Array> => {
    while (count < length) await new Promise<void>(resolve => (wake = resolve))
    const bytes = concat(chunks)
    chunks = [bytes.subarray(length)]
    count -= length
    return bytes.subarray(0, length)
  }
}

async function write(stream: Stream, bytes: Uint8Array, piece: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += piece) {
    if (!stream.send(bytes.subarray(at, at + piece))) await stream.onDrain()
  }
}

/** A stream between two nodes, and the connection of the one that was dialled. */
async function connected(dialler: Libp2p, listener: Libp2p) {
  const opened = Promise.withResolvers<{ end: Stream; into: Connection }>()
  await listener.handle(PROTOCOL, (end, into) => opened.resolve({ end, into }))
  const out = await dialler.dial(listener.getMultiaddrs())
  const stream = await out.newStream(PROTOCOL)
  return { out, stream, ...(await opened.promise) }
}

/** What libp2p's connections keep to themselves. */
interface Inside {
  readonly maConn: { onData(data: Uint8Array): void }
  readonly muxer: { readonly maConn: { readonly decoder: { readonly lengthDecoder: unknown } } }
}
const inside = (connection: Connection): Inside => connection as unknown as Inside

/** Has what comes over a connection pass through `change`, which hands on what it likes. */
function meddle(connection: Connection, change: (data: Uint8Array, on: (data: Uint8Array) => void) => void): void {
  const { maConn } = inside(connection)
  const onData = maConn.onData.bind(maConn)
  maConn.onData = data => change(data, onData)
}

const closed = (connection: Connection): Promise<unknown> =>
  new Promise(resolve => {
    if (connection.status !== 'open') resolve(undefined)
    connection.addEventListener('close', resolve, { once: true })
  })

describe.each([
  ['dialled by', async () => connected(await startNode([]), await plainNode())],
  ['that dials', async () => connected(await plainNode(), await startNode())],
  ['of ours, dialled by', async () => connected(await startNode([]), await startNode())],
] as const)('A node %s one of ours', (_, connect) => {
  test.each(SIZES)('gets messages of %i bytes, and sends them, in whatever pieces', async size => {
    const { stream, end } = await connect()
    const [there, back] = [reading(end), reading(stream)]
    const random = seededRandom(size)
    for (const piece of [size, Math.ceil(size / 7), Math.min(size, 1_200)]) {
      const [ping, pong] = [random.bytes(size), random.bytes(size)]
      await Promise.all([write(stream, ping, piece), write(end, pong, piece)])
      expect(Buffer.compare(await there(size), ping)).toBe(0)
      expect(Buffer.compare(await back(size), pong)).toBe(0)
    }
  })
})

describe('A connection', () => {
  test.each([1, 2, 3, 1_000])('is read whole where it comes in pieces of %i bytes', async piece => {
    const { stream, end, into } = await connected(await plainNode(), await startNode())
    const read = reading(end)
    meddle(into, (data, on) => {
      for (let at = 0; at < data.length; at += piece) on(data.subarray(at, at + piece))
    })
    for (const size of [1, 1_199, 1_200, 5_000]) {
      const bytes = seededRandom(size).bytes(size)
      await write(stream, bytes, size)
      expect(Buffer.compare(await read(size), bytes)).toBe(0)
    }
  })

  // The length, what is sealed, the tag of 16 bytes.
  test.each([
    ['a shorter length', 1, 0],
    ['the first byte that is sealed', 2, 0],
    ['one in the middle', 40, 3],
    ['the last byte', -1, 7],
  ])('ends at both sides, and hands nothing on, where a bit of %s is the other way round', async (_, at, bit) => {
    const { stream, end, into, out } = await connected(await startNode([]), await startNode())
    const read = reading(end)
    await write(stream, utf8('before'), 6)
    expect(await read(6)).toEqual(utf8('before'))
    let handed = 0
    end.addEventListener('message', () => handed++)
    let spoilt = false
    meddle(into, (data, on) => {
      const copy = Uint8Array.from(data)
      const place = at < 0 ? copy.length + at : at
      if (!spoilt) copy[place] = (copy[place] as number) ^ (1 << bit)
      spoilt = true
      on(copy)
    })
    const ends = [closed(into), closed(out)]
    stream.send(new Uint8Array(100))
    await Promise.all(ends)
    expect(spoilt).toBe(true)
    expect(handed).toBe(0)
  })

  test('has what is leant on: where libp2p looks for the length of a message, and its cipher', async () => {
    const { out, into } = await connected(await startNode([]), await startNode())
    for (const connection of [out, into]) expect(inside(connection).muxer.maConn.decoder.lengthDecoder).toBe(lengthAt)
    const { components } = out as unknown as { components: Parameters<ReturnType<typeof libp2pNoise>>[0] }
    for (const [make, ours] of [
      [libp2pNoise, false],
      [noise, true],
    ] as const) {
      const { crypto } = make()(components) as unknown as { crypto: Record<string, unknown> }
      expect([typeof crypto.encrypt, typeof crypto.decrypt]).toEqual(['function', 'function'])
      expect(crypto.encrypt === encrypt && crypto.decrypt === decrypt).toBe(ours)
    }
  })
})

describe('ChaCha20-Poly1305', () => {
  // RFC 8439 §2.8.2
  const key = fromHex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f')
  const nonce = fromHex('070000004041424344454647')
  const about = fromHex('50515253c0c1c2c3c4c5c6c7')
  const plaintext = utf8(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  )
  const sealed = fromHex(
    [
      'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b',
      '1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc',
      '3ff4def08e4b7a9de576d26586cec64b6116',
      '1ae10b594f09e26a7e902ecbd0600691',
    ].join(''),
  )

  /** Bytes in two pieces, as libp2p has them. */
  const pieces = (bytes: Uint8Array, at: number): Parameters<typeof encrypt>[0] =>
    Object.assign([bytes.subarray(0, at), bytes.subarray(at)], {
      byteLength: bytes.length,
      subarray: (start?: number, end?: number) => bytes.subarray(start, end),
    }) as unknown as Parameters<typeof encrypt>[0]

  test('is that of RFC 8439, in one piece and in several', () => {
    expect(encrypt(plaintext, nonce, about, key)).toEqual(sealed)
    expect(decrypt(sealed, nonce, about, key)).toEqual(plaintext)
    for (const at of [0, 1, 64, plaintext.length]) {
      expect(encrypt(pieces(plaintext, at), nonce, about, key)).toEqual(sealed)
      expect(decrypt(pieces(sealed, at), nonce, about, key)).toEqual(plaintext)
    }
  })

  test('opens nothing of which a bit is another, or that is cut', () => {
    for (const other of flips(sealed)) expect(() => decrypt(other, nonce, about, key)).toThrow()
    for (const other of flips(about)) expect(() => decrypt(sealed, nonce, other, key)).toThrow()
    for (const other of flips(nonce)) expect(() => decrypt(sealed, other, about, key)).toThrow()
    for (const other of flips(key)) expect(() => decrypt(sealed, nonce, about, other)).toThrow()
    for (let length = 0; length < sealed.length; length++) {
      expect(() => decrypt(sealed.subarray(0, length), nonce, about, key)).toThrow()
    }
  })

  test('seals nothing as its tag alone', () => {
    const empty = encrypt(new Uint8Array(), nonce, about, key)
    expect(empty).toHaveLength(16)
    expect(decrypt(empty, nonce, about, key)).toEqual(new Uint8Array())
  })
})

test('A length is read once it is whole, and until then nothing is thrown, which would take longer than to read it.', () => {
  /** As libp2p's lists are: it throws for what lies beyond its end. */
  const list = (...bytes: number[]) => ({
    byteLength: bytes.length,
    subarray: (start = 0, end = bytes.length) => {
      if (end > bytes.length) throw new RangeError('index is out of bounds')
      return Uint8Array.from(bytes.slice(start, end))
    },
  })
  expect(lengthAt(list())).toBeNaN()
  expect(lengthAt(list(1))).toBeNaN()
  expect(lengthAt(list(1, 2))).toBe(258)
  expect(lengthAt(list(255, 255, 0))).toBe(65_535)
})
