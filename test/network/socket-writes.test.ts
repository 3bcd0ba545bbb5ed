/** How much of a message a socket is handed at once, and that all of it arrives, also at a side that reads nothing for a while. */

import type { Connection, Stream } from '@libp2p/interface'
import { describe, expect, test } from 'vitest'
import { concat } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { turn } from '../contracts/waiting.ts'
import { startNode } from './bare-node.ts'

const PROTOCOL = '/test/writes'

/** What libp2p's connections keep to themselves: the socket they are on. */
interface Inside {
  readonly maConn: {
    readonly writableNeedsDrain: boolean
    readonly socket?: Pausable & { write(data: Uint8Array): boolean }
    readonly websocket?: Pausable & { send(data: Uint8Array | ArrayBuffer): void }
  }
}
interface Pausable {
  pause(): void
  resume(): void
}
const inside = (connection: Connection): Inside['maConn'] => (connection as unknown as Inside).maConn

/** The lengths of what a socket is handed from now on. */
function writesOf(connection: Connection): number[] {
  const lengths: number[] = []
  const { socket, websocket } = inside(connection)
  if (socket !== undefined) {
    const write = socket.write.bind(socket)
    socket.write = data => {
      lengths.push(data.byteLength)
      return write(data)
    }
  } else if (websocket !== undefined) {
    const send = websocket.send.bind(websocket)
    websocket.send = data => {
      lengths.push(data.byteLength)
      send(data)
    }
  }
  return lengths
}

/** What comes over a stream. */
class Received {
  readonly #chunks: Uint8Array[] = []
  #count = 0
  #wake = (): void => {}

  constructor(stream: Stream) {
    stream.addEventListener('message', ({ data }) => {
      this.#chunks.push(data.subarray())
      this.#count += data.byteLength
      this.#wake()
    })
  }

  async whole(length: number): Promise<Uint8Array> {
    while (this.#count < length) await new Promise<void>(resolve => (this.#wake = resolve))
    return concat(this.#chunks)
  }
}

describe.each([
  ['TCP', '/ip4/127.0.0.1/tcp/0'],
  ['a WebSocket', '/ip4/127.0.0.1/tcp/0/ws'],
])('Over %s', (_, address) => {
  /** Two nodes, the connection of theirs as each has it, and streams with both their ends. */
  async function connected(count = 1) {
    const [listener, dialler] = [await startNode([address]), await startNode([])]
    const ends: Stream[] = []
    const opened = Promise.withResolvers<Connection>()
    const taken = (end: Stream, into: Connection): void => {
      ends.push(end)
      opened.resolve(into)
    }
    await listener.handle(PROTOCOL, taken, { maxInboundStreams: count })
    const out = await dialler.dial(listener.getMultiaddrs())
    const streams: Stream[] = []
    while (streams.length < count) {
      streams.push(await out.newStream(PROTOCOL, { maxOutboundStreams: count }))
      while (ends.length < streams.length) await turn()
    }
    // What libp2p says by itself at first is over.
    await dialler.services.ping.ping(listener.peerId)
    return { out, into: await opened.promise, streams, ends }
  }

  test.each([1, 100, 5_000, 60_000])('a message of %i bytes is one write', async size => {
    const { out, streams, ends } = await connected()
    const [stream, end] = [streams[0] as Stream, ends[0] as Stream]
    const [received, writes] = [new Received(end), writesOf(out)]
    const bytes = seededRandom(size).bytes(size)
    stream.send(bytes)
    expect(writes).toHaveLength(1)
    expect(writes[0]).toBeGreaterThan(size)
    expect(Buffer.compare(await received.whole(size), bytes)).toBe(0)
  })

  test('so it is for the side that was dialled', async () => {
    const { into, streams, ends } = await connected()
    const [received, writes] = [new Received(streams[0] as Stream), writesOf(into)]
    ;(ends[0] as Stream).send(new Uint8Array(100))
    expect(writes).toHaveLength(1)
    await received.whole(100)
  })

  test('more than 64 KiB is not copied into one piece, and arrives whole', async () => {
    const { out, streams, ends } = await connected()
    const [received, writes] = [new Received(ends[0] as Stream), writesOf(out)]
    const bytes = seededRandom(1).bytes(200_000)
    ;(streams[0] as Stream).send(bytes)
    expect(Buffer.compare(await received.whole(bytes.length), bytes)).toBe(0)
    expect(writes.length).toBeGreaterThan(1)
    expect(Math.max(...writes)).toBeLessThanOrEqual(65_536)
  })

  test('what a side that reads nothing for a while has no room for arrives in order once it reads on', async () => {
    const count = 60
    const { out, into, streams, ends } = await connected(count)
    const received = ends.map(end => new Received(end))
    const reader = inside(into).socket ?? inside(into).websocket
    reader?.pause()
    // Short and long in turns, to each stream as much as may be under way.
    const pool = seededRandom(1).bytes(250_000)
    const sent = streams.map((stream, i) => {
      const bytes = pool.subarray(i, 240_000 + i)
      for (let at = 0, piece = 100; at < bytes.length; at += piece, piece = piece === 100 ? 90_000 : 100) {
        stream.send(bytes.subarray(at, at + piece))
      }
      return bytes
    })
    for (let i = 0; i < 20; i++) await turn()
    expect(inside(out).writableNeedsDrain).toBe(true)
    reader?.resume()
    for (const [i, bytes] of sent.entries()) {
      expect(Buffer.compare((await received[i]?.whole(bytes.length)) as Uint8Array, bytes)).toBe(0)
    }
    expect(out.status).toBe('open')
  })
})
