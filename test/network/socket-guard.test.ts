import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { createAgent } from '../../src/index.ts'
import { placeOfSocket } from '../../src/network/address-share.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { createNode, type Node, type TransportFactory } from '../../src/network/node.ts'
import { SocketGuard } from '../../src/network/socket-guard.ts'
import { until } from '../relay/support.ts'

const LISTEN = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']
type Kind = 'tcp' | 'ws'

async function nodeOf(transports: readonly TransportFactory[], listen: readonly string[] = []): Promise<Node> {
  const { seed } = await createIdentity()
  const node = await createNode({ seed, transports, listen })
  onTestFinished(() => Promise.resolve(node.stop()))
  await node.start()
  return node
}

/** A node with so many sockets, on a clock that is driven. */
async function listening(limit: number) {
  const clock = new DrivenClock()
  const node = await nodeOf(platformTransports([], new SocketGuard(clock, limit)), LISTEN)
  return { clock, node }
}

const addressOf = (addresses: readonly unknown[], kind: Kind): string =>
  addresses.map(String).find(address => address.includes('/ws') === (kind === 'ws')) as string

/** Sockets at a listener, all from one address, each of which says the same. Those that it drops leave the set. */
async function sockets(address: string, count: number, from: string, words = ''): Promise<Set<Socket>> {
  const open = new Set<Socket>()
  const port = Number(address.split('/')[4])
  for (let i = 0; i < count; i++) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from })
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    open.add(socket)
    await once(socket, 'connect')
    if (words !== '') socket.write(words)
  }
  return open
}

const closes = (open: Set<Socket>, left: number): Promise<void> =>
  until(() => open.size === left, ...[...open].map(socket => [asTarget(socket), 'close'] as const))

const asTarget = (socket: Socket) => ({
  addEventListener: (type: string, listener: () => void) => void socket.on(type, listener),
})

const dials = async (to: Node, kind: Kind, from: string) => {
  const transport = (kind === 'tcp' ? tcp({ dialOpts: { localAddress: from } } as object) : webSockets()) as never
  return (await nodeOf([transport])).dial(multiaddr(addressOf(to.getMultiaddrs(), kind)))
}

// Elsewhere loopback has one address.
describe.skipIf(process.platform !== 'linux')('Sockets that say nothing', () => {
  test('from one address, a hundred of them, keep nobody from connecting', async () => {
    const { node } = await listening(1_000)
    await sockets(addressOf(node.getMultiaddrs(), 'tcp'), 100, '127.0.0.2')
    expect((await dials(node, 'tcp', '127.0.0.3')).status).toBe('open')
    expect((await dials(node, 'ws', '127.0.0.1')).status).toBe('open')
  })

  test.each(['tcp', 'ws'] as const)('over %s have no more places than they leave to others', async kind => {
    const { node } = await listening(20)
    const open = await sockets(addressOf(node.getMultiaddrs(), kind), 30, '127.0.0.2')
    await closes(open, 10)
    const others = await sockets(addressOf(node.getMultiaddrs(), 'tcp'), 10, '127.0.0.3')
    await closes(others, 5)
    expect((await dials(node, 'tcp', '127.0.0.4')).status).toBe('open')
    expect([open.size, others.size]).toEqual([10, 5])
  })

  test.each(['tcp', 'ws'] as const)('over %s are dropped after five seconds', async kind => {
    const { node, clock } = await listening(100)
    const open = await sockets(addressOf(node.getMultiaddrs(), kind), 10, '127.0.0.2')
    const dialled = await dials(node, kind, '127.0.0.3')
    await clock.advance(5_000)
    await closes(open, 0)
    expect(dialled.status).toBe('open')
  })

  test('do not keep an agent from closing, which has no more of them from one address than for all others', async () => {
    const agent = await createAgent({ name: 'ada', mesh: 'test', listen: LISTEN })
    const open = await sockets(addressOf(agent.addresses, 'ws'), 300, '127.0.0.2')
    await closes(open, 214)
    await agent.close()
    await closes(open, 0)
  })
})

describe('A request to become a WebSocket', () => {
  test('has ten seconds to be whole, and what is one by then stays', async () => {
    const { node, clock } = await listening(100)
    const address = addressOf(node.getMultiaddrs(), 'ws')
    const begun = await sockets(address, 5, '127.0.0.1', 'G')
    const halfway = await sockets(address, 5, '127.0.0.1', 'GET / HTTP/1.1\r\nX: ')
    const client = await nodeOf([webSockets() as TransportFactory])
    const dialled = await client.dial(multiaddr(address))
    await clock.advance(5_000)
    await client.services.ping.ping(node.peerId)
    expect([begun.size, halfway.size]).toEqual([5, 5])
    await clock.advance(5_000)
    await Promise.all([closes(begun, 0), closes(halfway, 0)])
    await client.services.ping.ping(node.peerId)
    expect(dialled.status).toBe('open')
  })
})

const UPGRADE = [
  'GET / HTTP/1.1',
  'Host: x',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${btoa('sixteen bytes...')}`,
]
const MAX_MESSAGE = 262_144

/** The beginning of a frame of so many bytes; the last one of its message or not. Its mask changes nothing. */
function frame(length: number, opcode: number): Buffer {
  const head = Buffer.alloc(14)
  head.set([opcode, 0xff])
  head.writeBigUInt64BE(BigInt(length), 2)
  return head
}
const [LAST, FIRST, NEXT] = [0x82, 0x02, 0x00]

/** A socket that has become a WebSocket, on which libp2p has not begun, and what it hears: a close frame has a code. */
async function upgraded() {
  const { node } = await listening(100)
  const [socket] = await sockets(addressOf(node.getMultiaddrs(), 'ws'), 1, '127.0.0.1', UPGRADE.join('\r\n'))
  if (socket === undefined) throw new Error('there is none')
  let heard = Buffer.alloc(0)
  socket.on('data', (data: Buffer) => {
    heard = Buffer.concat([heard, data])
  })
  socket.write('\r\n\r\n')
  const closeCode = (): number | undefined => {
    const at = heard.indexOf(Uint8Array.of(0x88))
    return at < 0 || heard.length < at + 4 ? undefined : heard.readUInt16BE(at + 2)
  }
  return {
    node,
    socket,
    code: () => until(() => closeCode() !== undefined, [asTarget(socket), 'data']).then(closeCode),
  }
}
const NO_FRAME = 1002
const TOO_LONG = 1009
const TOO_MANY = 1008

test('What is no frame of a WebSocket ends that one alone, and nothing else', async () => {
  const { node, socket, code } = await upgraded()
  const failed: unknown[] = []
  const fails = (error: unknown): void => void failed.push(error)
  process.on('uncaughtException', fails)
  onTestFinished(() => void process.off('uncaughtException', fails))
  socket.write(Buffer.alloc(6, 0xff))
  expect(await code()).toBe(NO_FRAME)
  expect((await dials(node, 'ws', '127.0.0.1')).status).toBe('open')
  expect(failed).toEqual([])
})

describe('A message of a WebSocket', { timeout: 5_000 }, () => {
  test('that says it is longer than 256 KiB is refused before any of it is read, and before any handshake', async () => {
    const { socket, code } = await upgraded()
    socket.write(frame(MAX_MESSAGE + 1, LAST))
    expect(await code()).toBe(TOO_LONG)
  })

  test('that becomes longer, piece by piece, is refused', async () => {
    const { socket, code } = await upgraded()
    socket.write(Buffer.concat([frame(MAX_MESSAGE, FIRST), Buffer.alloc(MAX_MESSAGE), frame(1, NEXT)]))
    expect(await code()).toBe(TOO_LONG)
  })

  test('that comes byte by byte is refused before they take more than it', async () => {
    const { socket, code } = await upgraded()
    const refused = code()
    let over = false
    void refused.then(() => {
      over = true
    })
    socket.setNoDelay()
    socket.write(frame(MAX_MESSAGE, LAST))
    // Each in a turn of its own, so that they are read one by one.
    for (let i = 0; i < 20_000 && !over; i++) {
      socket.write(Uint8Array.of(0))
      await new Promise(setImmediate)
    }
    expect(await refused).toBe(TOO_MANY)
  })

  test('that is too long ends a connection on which all went well', async () => {
    const { node } = await listening(100)
    const client = await nodeOf([webSockets() as TransportFactory])
    const connection = await client.dial(multiaddr(addressOf(node.getMultiaddrs(), 'ws')))
    await client.services.ping.ping(node.peerId)
    const { websocket } = (connection as unknown as { maConn: { websocket: WebSocket } }).maConn
    websocket.send(new Uint8Array(MAX_MESSAGE + 1))
    await until(() => connection.status !== 'open', [connection, 'close'])
    await until(() => node.getConnections().length === 0, [node, 'connection:close'])
  })
})

test.each([
  ['192.0.2.1', '::ffff:192.0.2.1', true],
  ['192.0.2.1', '192.0.2.2', false],
  ['fe80::1%eth0', 'fe80::2%eth0', true],
  ['2001:db8::1', '2001:db8:0:1::1', false],
])('%s is one place with %s: %j', (host, other, together) => {
  expect(placeOfSocket(host) === placeOfSocket(other)).toBe(together)
})
