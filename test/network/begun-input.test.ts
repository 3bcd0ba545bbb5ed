/** What a connection makes a node hold of what is not whole. */

import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, test } from 'vitest'
import type { Node } from '../../src/network/node.ts'
import { turn } from '../contracts/waiting.ts'
import { addressOf, hasSlot, testPeer, testRelay, until } from '../relay/support.ts'
import { startNode } from './bare-node.ts'

/** The longest frame of yamux that is taken. */
const LONGEST = 262_144
const HEADER = 12
/** Sooner than libp2p sees that its own pings are not answered. */
const WITHIN = { timeout: 10_000 }

interface Muxer {
  readonly maConn: EventTarget & { readonly writableNeedsDrain: boolean }
  readonly decoder: { readonly buffer: { readonly byteLength: number; readonly bufs: readonly Uint8Array[] } }
  send(data: Uint8Array): boolean
}
const muxerOf = (connection: Connection): Muxer => (connection as unknown as { muxer: Muxer }).muxer

/** A frame of yamux with data, without it. */
function header(stream: number, length: number, flag = 0): Uint8Array {
  const bytes = new Uint8Array(HEADER)
  const view = new DataView(bytes.buffer)
  view.setUint16(2, flag)
  view.setUint32(4, stream)
  view.setUint32(8, length)
  return bytes
}

/** Writes as fast as it is taken; resolves when all of it is, or the connection has ended. */
async function write(connection: Connection, pieces: Iterable<Uint8Array>): Promise<void> {
  const muxer = muxerOf(connection)
  const open = (): boolean => connection.status === 'open'
  for (const piece of pieces) {
    if (!open()) return
    if (muxer.send(piece)) continue
    await until(() => !open() || !muxer.maConn.writableNeedsDrain, [muxer.maConn, 'drain'], [connection, 'close'])
  }
}

function* zeros(bytes: number, piece: number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes; at += piece) yield new Uint8Array(piece)
}

/** A node, a stranger's connection to it, and the node's end of that. */
async function strangers() {
  const [node, stranger] = [await startNode(), await startNode([])]
  const connection = await stranger.dial(node.getMultiaddrs())
  // Both ends know what the other speaks: nothing else is under way.
  await stranger.services.ping.ping(node.peerId)
  return { node, stranger, connection, into: node.getConnections(stranger.peerId)[0] as Connection }
}

/** A stream of the stranger's, and how much of it the node has read. */
async function stream(node: Node, connection: Connection) {
  const opened = Promise.withResolvers<Stream>()
  await node.handle('/test/data', end => opened.resolve(end))
  const theirs = (await connection.newStream('/test/data')) as Stream & { streamId: number }
  const mine = await opened.promise
  let bytes = 0
  mine.addEventListener('message', ({ data }) => {
    bytes += data.byteLength
  })
  return { theirs, mine, read: () => bytes }
}

describe('A frame of yamux', () => {
  test('that is longer than a window ends its connection before it is held, and others go on', WITHIN, async () => {
    const { node, connection, into } = await strangers()
    const other = await startNode([])
    await other.dial(node.getMultiaddrs())
    const gone = until(() => into.status !== 'open', [into, 'close'])
    await write(connection, [header(1_001, 2 ** 31), ...zeros(2 * LONGEST, 32_768)])
    await gone
    expect(muxerOf(into).decoder.buffer.byteLength).toBeLessThan(LONGEST + 65_536)
    await other.services.ping.ping(node.peerId)
  })

  test('is as short where it comes over a circuit', WITHIN, async () => {
    const relay = await testRelay()
    const [reached, stranger] = [await testPeer([relay], { reserve: true }), await testPeer([relay])]
    await hasSlot(reached)
    const connection = await stranger.node.dial(multiaddr(`${addressOf(relay, 'tcp')}/p2p-circuit/p2p/${reached.id}`))
    const comes = () => reached.node.getConnections(stranger.node.peerId)
    await until(() => comes().length > 0, [reached.node, 'connection:open'])
    const into = comes()[0] as Connection
    const gone = until(() => into.status !== 'open', [into, 'close'])
    void write(connection, [header(1_001, 2 ** 31), ...zeros(2 * LONGEST, 32_768)])
    await gone
    expect(reached.node.getConnections()).toHaveLength(1)
  })

  test('that comes in pieces is held in few of them, and is whole in the end', WITHIN, async () => {
    const { node, connection, into } = await strangers()
    const opened = Promise.withResolvers<Stream>()
    await node.handle('/test/pieces', stream => opened.resolve(stream))
    const stream = (await connection.newStream('/test/pieces')) as Stream & { streamId: number }
    const mine = await opened.promise
    let most = 0
    const { buffer } = muxerOf(into).decoder
    const { maConn } = muxerOf(into)
    maConn.addEventListener('message', () => {
      most = Math.max(most, buffer.bufs.length)
    })
    const length = 4_000
    const bytes = Uint8Array.from({ length }, (_, i) => i & 255)
    const got: number[] = []
    mine.addEventListener('message', ({ data }) => void got.push(...data.subarray()))
    const all = until(() => got.length === length, [mine, 'message'])
    await write(connection, [header(stream.streamId, length), ...Array.from(bytes, byte => Uint8Array.of(byte))])
    await all
    expect(Uint8Array.from(got)).toEqual(bytes)
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThan(300)
  })

  // Data with any flag is data.
  test.each([0, 2])(
    'in crumbs with flag %d: so many end their stream and nothing else, and fewer do not',
    WITHIN,
    async flag => {
      const { node, stranger, connection, into } = await strangers()
      const { theirs, mine, read } = await stream(node, connection)
      const crumb = new Uint8Array([...header(theirs.streamId, 1, flag), 7])
      const crumbs = (count: number) => Array.from({ length: count }, () => crumb)
      const some = until(() => read() === 300, [mine, 'message'])
      await write(connection, crumbs(300))
      await some
      const gone = until(() => mine.status !== 'open', [mine, 'close'])
      await write(connection, crumbs(3_000))
      await gone
      expect(read()).toBeLessThan(1_000)
      await stranger.services.ping.ping(node.peerId)
      expect(into.status).toBe('open')
    },
  )

  test('in crumbs on a circuit costs nobody the connection to the relay', WITHIN, async () => {
    const relay = await testRelay()
    const reached = await testPeer([relay], { reserve: true })
    await hasSlot(reached)
    const [toRelay] = reached.node.getConnections()
    const address = multiaddr(`${addressOf(relay, 'tcp')}/p2p-circuit/p2p/${reached.id}`)
    const honest = await testPeer([relay])
    const circuit = await honest.node.dial(address)
    for (const stranger of await Promise.all([testPeer([relay]), testPeer([relay]), testPeer([relay])])) {
      await stranger.node.dial(address)
      // What carries the circuit, on the stranger's connection with the relay.
      const streams = stranger.node.getConnections().flatMap(connection => connection.streams)
      const carrier = streams.find(({ protocol }) => protocol.endsWith('/hop')) as Stream
      const gone = until(() => carrier.status !== 'open', [carrier, 'close'])
      for (let sent = 0; sent < 3_000 && carrier.status === 'open'; sent++) {
        carrier.send(Uint8Array.of(0xff))
        if (sent % 50 === 0) await turn()
      }
      await gone
    }
    expect(toRelay?.status).toBe('open')
    expect(circuit.status).toBe('open')
    await honest.node.services.ping.ping(address)
  })

  test('of little data that the end of a piece leaves behind is no crumb too many', { timeout: 20_000 }, async () => {
    const { node, connection } = await strangers()
    const { theirs, mine, read } = await stream(node, connection)
    // Streams hand on a quarter of a MiB at once: three bytes are left of each of these.
    const size = LONGEST + 3
    for (let sent = 1; sent <= 700; sent++) {
      theirs.send(new Uint8Array(size))
      await until(() => read() === sent * size || mine.status !== 'open', [mine, 'message'], [mine, 'close'])
    }
    expect(mine.status).toBe('open')
  })
})

describe('A request that is never whole', () => {
  test('to a relay is given up before it is long, and the connection goes on', WITHIN, async () => {
    const relay = await testRelay()
    const peer = await testPeer([relay])
    const [connection] = peer.node.getConnections()
    const stream = (await connection?.newStream('/libp2p/circuit/relay/0.2.0/hop')) as Stream
    const gone = until(() => stream.status !== 'open', [stream, 'close'])
    // It says that four MiB will come.
    stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0x01))
    stream.send(new Uint8Array(20_000))
    await gone
    expect(stream.status).toBe('reset')
    await peer.node.services.ping.ping(multiaddr(addressOf(relay, 'tcp')))
  })

  test('while it is not agreed what it is for is given up too', WITHIN, async () => {
    const { node, stranger, connection, into } = await strangers()
    const muxer = (connection as unknown as { muxer: { createStream(): Promise<Stream> } }).muxer
    const stream = await muxer.createStream()
    const gone = until(() => stream.status !== 'open', [stream, 'close'])
    stream.send(Uint8Array.of(0xff, 0x07))
    stream.send(new Uint8Array(20_000))
    await gone
    expect(into.status).toBe('open')
    await stranger.services.ping.ping(node.peerId)
  })

  test('is no stream on which much comes that was agreed on', WITHIN, async () => {
    const { node, connection } = await strangers()
    const { theirs, mine, read } = await stream(node, connection)
    const all = until(() => read() === 1_048_576, [mine, 'message'])
    theirs.send(new Uint8Array(1_048_576))
    await all
    expect(theirs.status).toBe('open')
  })
})
