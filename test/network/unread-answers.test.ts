import { once } from 'node:events'
import { createServer, connect as dialSocket, type Socket } from 'node:net'
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, onTestFinished, test } from 'vitest'
import { turn } from '../contracts/waiting.ts'
import { addressOf, hasSlot, LOOPBACK, testPeer, testRelay, until } from '../relay/support.ts'
import { startNode } from './bare-node.ts'

/** What a connection may hold that nobody reads, bytes. */
const UNREAD = 524_288
/** Bytes of a ping of yamux's, and how many are sent at once and in all. */
const PING = 12
const PINGS = 5_000
const ALL_PINGS = 4 * 1_048_576
/** More than sockets take on their way to one that reads nothing. */
const MUCH = 24 * 1_048_576

/** Sooner than libp2p sees that its own pings are not answered. */
const WITHIN = { timeout: 10_000 }

/** What libp2p's connections and the layers below keep to themselves. */
interface Layer extends EventTarget {
  readonly writableNeedsDrain: boolean
  readonly writeBufferLength: number
  readonly stream?: Layer
  pause(): void
}
interface Muxer {
  readonly maConn: Layer
  streamOptions?: object
  send(data: Uint8Array): boolean
}
interface YamuxStream extends Stream {
  readonly streamId: number
  recvWindowCapacity: number
}
const muxerOf = (connection: Connection | undefined): Muxer => (connection as unknown as { muxer: Muxer }).muxer

const socketOf = (connection: Connection): WebSocket | undefined =>
  (connection as unknown as { maConn: { websocket?: WebSocket } }).maConn.websocket

/** What waits in all layers of a connection, bytes. */
const waiting = (layer: Layer | undefined): number =>
  layer === undefined ? 0 : layer.writeBufferLength + waiting(layer.stream)

/** What is between a node and whoever comes through it: once it is wedged, nothing of what the node says is read. */
async function between(address: string) {
  const ends: Socket[] = []
  const server = createServer(near => {
    const far = dialSocket(Number(address.split('/')[4]), '127.0.0.1')
    for (const end of [near, far]) end.on('error', () => {})
    far.on('close', () => near.destroy())
    near.pipe(far)
    far.pipe(near)
    ends.push(near, far)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const end of ends) end.destroy()
  })
  const { port } = server.address() as { port: number }
  const [near, far] = [() => ends[0] as Socket, () => ends[1] as Socket]
  return {
    address: multiaddr(`/ip4/127.0.0.1/tcp/${port}${address.includes('/ws') ? '/ws' : ''}`),
    wedge: () => far().unpipe(near()).pause(),
    free: () => void far().pipe(near()),
  }
}

/** A stream on which a node has more to say than all buffers of the system take, to one that opens its window and reads nothing. */
async function unread(kind: 'tcp' | 'ws') {
  const [node, stranger] = [await startNode(LOOPBACK), await startNode()]
  const address = node
    .getMultiaddrs()
    .map(String)
    .find(candidate => candidate.includes('/ws') === (kind === 'ws'))
  const middle = await between(address as string)
  const opened = Promise.withResolvers<Stream>()
  await node.handle('/test/much', stream => opened.resolve(stream))
  const connection = await stranger.dial(middle.address)
  const theirs = (await connection.newStream('/test/much')) as YamuxStream
  theirs.send(Uint8Array.of(0))
  const mine = await opened.promise
  let heard = 0
  mine.addEventListener('message', () => void heard++)
  await until(() => heard > 0, [mine, 'message'])
  // A stream that is younger, on which there is hardly anything to say.
  const second = Promise.withResolvers<Stream>()
  await node.handle('/test/little', stream => second.resolve(stream))
  const little = await connection.newStream('/test/little')
  const answering = await second.promise
  middle.wedge()
  for (let at = 0; at < MUCH; at += 65_536) mine.send(new Uint8Array(65_536).fill(at >> 16))
  theirs.recvWindowCapacity = 2 * MUCH
  // Type 1 opens a window; the last four bytes say by how much: a quarter of a MiB.
  const update = Uint8Array.of(0, 1, 0, 0, 0, 0, 0, theirs.streamId, 0, 4, 0, 0)
  /** Lets the node send so much more than before, and resolves when it hears that. */
  const open = async (): Promise<void> => {
    const before = heard
    theirs.send(Uint8Array.of(0))
    // Last: the answer to what comes behind it would tell all streams that the connection is full.
    muxerOf(connection).send(update)
    await until(() => heard > before, [mine, 'message'])
  }
  const into = node.getConnections(stranger.peerId)[0] as Connection
  return { node, connection, into, mine, theirs, little, answering, open, free: middle.free }
}

/** Sends pings of yamux's, as fast as they are taken, until the connection has ended. */
async function pingOn(connection: Connection): Promise<void> {
  const frames = new Uint8Array(PING * PINGS)
  // Type 2 is a ping, flag 1 asks for its answer.
  for (let at = 0; at < frames.length; at += PING) frames.set([0, 2, 0, 1], at)
  const muxer = muxerOf(connection)
  for (let sent = 0; sent < ALL_PINGS && connection.status === 'open'; sent += frames.length) {
    if (!muxer.send(frames.slice())) {
      const free = () => !muxer.maConn.writableNeedsDrain || connection.status !== 'open'
      await until(free, [muxer.maConn, 'drain'], [muxer.maConn, 'close'])
    }
    await turn()
  }
}

describe('A connection on which nothing is read but pings come in', () => {
  test.each([
    ['TCP', 'tcp'],
    ['a WebSocket', 'ws'],
  ] as const)(
    'is dropped over %s when half a MiB of answers waits in it, and others go on',
    WITHIN,
    async (_, kind) => {
      const { node, connection, into, open } = await unread(kind)
      const other = await startNode()
      await other.dial(node.getMultiaddrs())
      for (let i = 0; i < 96; i++) await open()
      // What a WebSocket may hold itself, and one piece of a stream that goes beyond.
      expect(socketOf(into)?.bufferedAmount ?? 0).toBeLessThan(1_048_576 + UNREAD)
      const gone = until(() => into.status !== 'open', [into, 'close'])
      await pingOn(connection)
      await gone
      await other.services.ping.ping(node.peerId)
      expect(node.getConnections()).toHaveLength(1)
    },
  )

  test('is dropped over a circuit too', WITHIN, async () => {
    const relay = await testRelay()
    const [reached, stranger] = [await testPeer([relay], { reserve: true }), await testPeer([relay])]
    await hasSlot(reached)
    // Small enough that the circuit is soon full.
    muxerOf(stranger.node.getConnections()[0]).streamOptions = { maxStreamWindowSize: 262_144 }
    const connection = await stranger.node.dial(multiaddr(`${addressOf(relay, 'tcp')}/p2p-circuit/p2p/${reached.id}`))
    const { maConn } = muxerOf(connection)
    maConn.pause()
    const comes = () => reached.node.getConnections(stranger.node.peerId)
    await until(() => comes().length > 0, [reached.node, 'connection:open'])
    const into = comes()[0] as Connection
    const gone = until(() => into.status !== 'open', [into, 'close'])
    // A relay tells nobody that a circuit has ended who does not read: the stranger still waits to go on.
    await Promise.race([gone, pingOn(connection)])
    await gone
    expect(reached.node.getConnections()).toHaveLength(1)
  })
})

test(
  'A stream keeps what it has while its connection is full, whatever its window, until that is read',
  WITHIN,
  async () => {
    const { into, mine, theirs, open, free } = await unread('tcp')
    for (let i = 0; i < 96; i++) {
      await open()
      expect(waiting(muxerOf(into).maConn)).toBeLessThanOrEqual(UNREAD)
    }
    expect(into.status).toBe('open')
    expect(mine.writeBufferLength).toBeGreaterThan(1_048_576)
    let read = 0
    let wrong = 0
    theirs.addEventListener('message', ({ data }) => {
      for (const chunk of data instanceof Uint8Array ? [data] : data) {
        // The first byte says where it belongs; looking at each would take too long.
        if (chunk[0] !== ((read >> 16) & 255)) wrong++
        read += chunk.length
      }
    })
    free()
    await until(() => read === MUCH, [theirs, 'message'])
    expect(wrong).toBe(0)
  },
)

test('A stream with much to say does not keep its connection from one that has little', WITHIN, async () => {
  const { mine, theirs, little, answering, open, free } = await unread('tcp')
  for (let i = 0; i < 96; i++) await open()
  answering.send(Uint8Array.of(1))
  let read = 0
  theirs.addEventListener('message', ({ data }) => {
    read += data.byteLength
  })
  let readBefore: number | undefined
  little.addEventListener('message', () => {
    readBefore = read
  })
  expect(mine.writeBufferLength).toBeGreaterThan(4 * 1_048_576)
  free()
  await until(() => read === MUCH, [theirs, 'message'])
  // Before it comes what sockets hold, and may take at once.
  expect(readBefore).toBeLessThan(MUCH - 4 * 1_048_576)
})
