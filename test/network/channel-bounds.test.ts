/** What the other side of a WebRTC connection makes a node hold. */

import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import type { Relay } from '../../relay/index.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { peerOf } from '../../src/network/addresses.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { createNode, type Node, type TransportFactory } from '../../src/network/node.ts'
import { webrtc } from '../../src/network/webrtc-node.ts'
import { turn } from '../contracts/waiting.ts'
import { addressOf, hasSlot, testRelay, until } from '../relay/support.ts'

/** Setting up WebRTC takes its time. */
const WITHIN = { timeout: 60_000 }

/** Sooner than libp2p gives up streams on which nothing comes, ms. */
const SOON = 8_000

interface Muxer {
  readonly peerConnection: RTCPeerConnection
  readonly streams: readonly (Stream & { readonly channel: RTCDataChannel })[]
}
const muxerOf = (connection: Connection): Muxer => (connection as unknown as { muxer: Muxer }).muxer

async function peer(relay: Relay): Promise<Node> {
  const { seed } = await createIdentity()
  const address = addressOf(relay, 'tcp')
  const node = await createNode({
    seed,
    transports: [...platformTransports([]), webrtc().factory as TransportFactory],
    listen: ['/p2p-circuit', '/webrtc'],
    relays: new Set([peerOf(address) as string]),
  })
  onTestFinished(() => Promise.resolve(node.stop()))
  await node.start()
  await node.dial(multiaddr(address))
  return node
}

/**
 * Where processors are busy libdatachannel ends a handshake of WebRTC at times, see `webrtc-init-channel.ts`: then it is made
 * again, as agents do.
 */
async function dial(node: Node, address: ReturnType<typeof multiaddr>): Promise<Connection> {
  for (;;) {
    const connection = await node.dial(address, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
    if (connection !== undefined) return connection
  }
}

/** A stranger's WebRTC connection to a node, and the node's end of it. */
async function strangers(dialled: 'the node' | 'the stranger' = 'the node') {
  const relay = await testRelay()
  const [node, stranger] = [await peer(relay), await peer(relay)]
  const [from, to] = dialled === 'the node' ? [stranger, node] : [node, stranger]
  await hasSlot({ node: to } as never)
  const address = multiaddr(`${addressOf(relay, 'tcp')}/p2p-circuit/webrtc/p2p/${to.peerId}`)
  const made = await dial(from, address)
  const direct = (): Connection | undefined => to.getConnections(from.peerId).find(({ limits }) => limits === undefined)
  await until(() => direct() !== undefined, [to, 'connection:open'])
  const taken = direct() as Connection
  const [connection, into] = dialled === 'the node' ? [made, taken] : [taken, made]
  return { node, stranger, connection, into, goesOn: await pulse(node, connection) }
}

/**
 * Whether a connection goes on is asked on a stream that is older than what is done to it: where a channel was ended while it
 * was written to, the next one that is opened ends at once now and then (5 of 1,620 between busy processes), which says
 * nothing about the connection.
 */
async function pulse(node: Node, connection: Connection): Promise<() => Promise<void>> {
  await node.handle('/test/pulse', stream => {
    stream.addEventListener('message', ({ data }) => stream.send(data))
  })
  const stream = await connection.newStream('/test/pulse')
  return async () => {
    const answered = new Promise(resolve => stream.addEventListener('message', resolve, { once: true }))
    stream.send(Uint8Array.of(1))
    await answered
  }
}

/** A stream of the stranger's to the node, and what of it the node has read. */
async function streamOf(node: Node, connection: Connection) {
  const opened = Promise.withResolvers<Stream>()
  await node.handle('/test/data', stream => opened.resolve(stream))
  const theirs = await connection.newStream('/test/data')
  const mine = await opened.promise
  const bytes: number[] = []
  mine.addEventListener('message', ({ data }) => {
    for (const byte of data.subarray()) bytes.push(byte)
  })
  return { theirs, mine, bytes }
}

/** Opens a data channel with nothing of libp2p's above it. */
async function openChannel({ peerConnection }: Muxer): Promise<RTCDataChannel> {
  const channel = peerConnection.createDataChannel('')
  if (channel.readyState !== 'open') await new Promise(resolve => channel.addEventListener('open', resolve))
  return channel
}

const closed = (channel: RTCDataChannel): Promise<void> =>
  new Promise(resolve => {
    if (channel.readyState === 'closed') resolve()
    channel.addEventListener('close', () => resolve())
  })

test.each(['the node', 'the stranger'] as const)(
  'A message on a data channel that says it is longer than any ends its stream, and the connection goes on',
  WITHIN,
  async dialled => {
    const { connection, into, goesOn } = await strangers(dialled)
    const started = performance.now()
    const channel = await openChannel(muxerOf(connection))
    const gone = closed(channel)
    const opened = () => muxerOf(into).streams.find(stream => stream.channel.id === channel.id)
    while (opened() === undefined) await turn()
    const stream = opened() as Stream
    // Four MiB are to come.
    channel.send(Uint8Array.of(0xff, 0xff, 0xff, 0x01))
    channel.send(new Uint8Array(1_000))
    await gone
    expect(performance.now() - started).toBeLessThan(SOON)
    expect(stream.status).not.toBe('open')
    await goesOn()
    expect(into.status).toBe('open')
  },
)

test.each([
  ['is a byte longer than the longest', [0x81, 0xa0, 0x01]],
  ['has a length that does not end', [0x80, 0x80, 0x80, 0x80]],
])('A message that %s ends its stream before anything of it has come', WITHIN, async (_, length) => {
  const { connection, into, goesOn } = await strangers()
  const channel = await openChannel(muxerOf(connection))
  const gone = closed(channel)
  await endOf(into, channel)
  channel.send(Uint8Array.from(length))
  await gone
  await goesOn()
})

test('What comes on a data channel before its connection is taken over is not lost', WITHIN, async () => {
  const { node, connection, into } = await strangers()
  const muxer = muxerOf(into) as Muxer & {
    onDataChannel(channel: RTCDataChannel, early: readonly MessageEvent[]): void
  }
  // As @libp2p/webrtc keeps it until there is a muxer; of each channel its own, as libp2p itself may open another meanwhile.
  const kept = new Map<RTCDataChannel, MessageEvent[]>()
  const { ondatachannel } = muxer.peerConnection
  const came = new Promise<void>(resolve => {
    muxer.peerConnection.ondatachannel = ({ channel }) => {
      const early: MessageEvent[] = []
      kept.set(channel, early)
      channel.binaryType = 'arraybuffer'
      channel.onmessage = message => {
        early.push(message)
        resolve()
      }
    }
  })
  const handled = new Promise<Stream>(resolve => void node.handle('/test/early', resolve))
  const opening = connection.newStream('/test/early')
  await came
  muxer.peerConnection.ondatachannel = ondatachannel
  for (const [channel, early] of kept) muxer.onDataChannel(channel, early)
  await Promise.all([opening, handled])
})

test.each(['the node', 'the stranger'] as const)(
  'The other side has 32 data channels open at a time, and the connection goes on',
  WITHIN,
  async dialled => {
    const { connection, into, goesOn } = await strangers(dialled)
    const started = performance.now()
    const channels = await Promise.all(Array.from({ length: 40 }, () => openChannel(muxerOf(connection))))
    const over = (): number => channels.filter(({ readyState }) => readyState === 'closed').length
    while (over() < 8) await turn()
    expect(performance.now() - started).toBeLessThan(SOON)
    const inbound = muxerOf(into).streams.filter(({ direction }) => direction === 'inbound')
    expect(inbound.length).toBeLessThanOrEqual(32)
    for (const channel of channels) channel.close()
    while (muxerOf(into).streams.filter(({ direction }) => direction === 'inbound').length > 24) await turn()
    await goesOn()
  },
)

/** The node's end of a channel. */
async function endOf(into: Connection, { id }: RTCDataChannel): Promise<Muxer['streams'][number]> {
  for (;;) {
    const found = muxerOf(into).streams.find(stream => stream.channel.id === id)
    if (found !== undefined) return found
    await turn()
  }
}

test.each(['-1', '3000000'])(
  'Text on a data channel ends its stream, and no byte is made of it: %j',
  WITHIN,
  async text => {
    const { connection, into, goesOn } = await strangers()
    const channel = await openChannel(muxerOf(connection))
    const gone = closed(channel)
    const { incomingData } = (await endOf(into, channel)) as unknown as {
      incomingData: { push(data: unknown): unknown }
    }
    const pushed: unknown[] = []
    incomingData.push = data => pushed.push(data)
    channel.send(text)
    await gone
    expect(pushed).toEqual([])
    await goesOn()
    expect(into.status).toBe('open')
  },
)

test('Text on a data channel that the node has opened ends its stream as well', WITHIN, async () => {
  const { stranger, into, goesOn } = await strangers()
  const opened = Promise.withResolvers<Stream>()
  await stranger.handle('/test/text', stream => opened.resolve(stream))
  const mine = await into.newStream('/test/text')
  const gone = until(() => mine.status !== 'open', [mine, 'close'])
  const { channel } = (await opened.promise) as Muxer['streams'][number]
  channel.send('-1')
  await gone
  await goesOn()
})

test('Flags on a data channel are answered no more often than an honest one sends them', WITHIN, async () => {
  const { connection, into, goesOn } = await strangers()
  const channel = await openChannel(muxerOf(connection))
  const gone = closed(channel)
  const mine = await endOf(into, channel)
  const send = mine.channel.send.bind(mine.channel)
  let answers = 0
  mine.channel.send = ((data: Uint8Array<ArrayBuffer>) => {
    answers++
    send(data)
  }) as RTCDataChannel['send']
  // The length, the flag that nothing more comes, and data of 20 bytes: no crumb.
  const one = [24, 8, 0, 18, 20, ...new Uint8Array(20)]
  channel.send(Uint8Array.from(Array.from({ length: 2_000 }, () => one).flat()))
  await gone
  expect(answers).toBeLessThanOrEqual(16)
  await goesOn()
})

test('Messages of nothing end their data channel', WITHIN, async () => {
  const { connection, into, goesOn } = await strangers()
  const channel = await openChannel(muxerOf(connection))
  const gone = closed(channel)
  const mine = (await endOf(into, channel)) as unknown as { processIncomingProtobuf(data: unknown): void }
  const process = mine.processIncomingProtobuf.bind(mine)
  let processed = 0
  mine.processIncomingProtobuf = data => {
    processed++
    process(data)
  }
  channel.send(new Uint8Array(60_000))
  await gone
  expect(processed).toBeLessThan(1_500)
  await goesOn()
})

test('Each message of a stream leaves in one call of its data channel', WITHIN, async () => {
  const { node, connection } = await strangers()
  const { theirs, bytes } = await streamOf(node, connection)
  const { channel } = muxerOf(connection).streams.find(({ id }) => id === theirs.id) as Muxer['streams'][number]
  const send = channel.send.bind(channel)
  const calls: number[] = []
  channel.send = ((data: Uint8Array<ArrayBuffer>) => {
    calls.push(data.byteLength)
    send(data)
  }) as RTCDataChannel['send']
  for (const size of [1, 1_000, 10_000]) {
    const before = bytes.length
    theirs.send(new Uint8Array(size))
    while (bytes.length < before + size) await turn()
  }
  // Its length before it, and the tag and length of its one field.
  expect(calls).toEqual([1 + 2 + 1, 2 + 3 + 1_000, 2 + 3 + 10_000])
})

test('A request that is never whole is given up on a data channel too', WITHIN, async () => {
  const { connection, goesOn } = await strangers()
  const started = performance.now()
  const stream = await connection.newStream('/libp2p/circuit/relay/0.2.0/stop')
  const gone = until(() => stream.status !== 'open', [stream, 'close'])
  stream.send(Uint8Array.of(0xff, 0xff, 0xff, 0x01))
  stream.send(new Uint8Array(20_000))
  await gone
  expect(performance.now() - started).toBeLessThan(SOON)
  await goesOn()
})

test('Data in crumbs ends its stream on a data channel, and the connection goes on', WITHIN, async () => {
  const { node, connection, goesOn } = await strangers()
  const { theirs, mine, bytes } = await streamOf(node, connection)
  const gone = until(() => mine.status !== 'open', [mine, 'close'])
  for (let i = 0; i < 4_000 && theirs.status === 'open'; i++) {
    theirs.send(Uint8Array.of(7))
    if (i % 100 === 0) await turn()
  }
  await gone
  expect(bytes.length).toBeLessThan(1_500)
  await goesOn()
})

test(
  'A message that comes byte by byte on a data channel is held in one piece, and is whole in the end',
  WITHIN,
  async () => {
    const { node, connection } = await strangers()
    const { theirs, mine, bytes } = await streamOf(node, connection)
    const { channel } = theirs as Stream & { channel: RTCDataChannel }
    const { incomingData } = mine as Stream & { incomingData: { readableLength: number } }
    // As libp2p writes it: the length of all, field 2, the length of the data, the data.
    const data = Array.from({ length: 200 }, (_, i) => i)
    const message = [203, 1, 18, 200, 1, ...data]
    const all = until(() => bytes.length === 2 * data.length, [mine, 'message'])
    for (const byte of [...message, ...message]) {
      channel.send(Uint8Array.of(byte))
      expect(incomingData.readableLength).toBeLessThanOrEqual(message.length)
    }
    await all
    expect(bytes).toEqual([...data, ...data])
  },
)

test('Much data goes over a data channel as before', WITHIN, async () => {
  const { node, connection } = await strangers()
  const { theirs, mine, bytes } = await streamOf(node, connection)
  const all = until(() => bytes.length === 1_048_576, [mine, 'message'])
  theirs.send(new Uint8Array(1_048_576))
  await all
})
