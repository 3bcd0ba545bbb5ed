import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { Libp2pChannel, Libp2pLink } from '../../src/network/libp2p-channel.ts'
import { createNode, type Node } from '../../src/network/node.ts'
import { Reader } from '../contracts/carrier-ends.ts'
import { turn } from '../contracts/waiting.ts'

type Libp2pConnection = ConstructorParameters<typeof Libp2pLink>[0]
type Stream = Awaited<ReturnType<Libp2pConnection['newStream']>>

/** What libp2p's connections keep to themselves: where streams of the other side come in. */
interface Inside {
  readonly muxer: { addEventListener(type: 'stream', listener: (event: CustomEvent<Stream>) => void): void }
}

const PROTOCOL = '/test/1'

const node = async (...listen: string[]): Promise<Node> =>
  createNode({ seed: (await createIdentity()).seed, transports: platformTransports([]), listen })

let dialler: Node
let listener: Node
let connection: Libp2pConnection
let inbound: Libp2pConnection
let taken: Stream[]
beforeEach(async () => {
  taken = []
  const nodes = await Promise.all([node('/ip4/127.0.0.1/tcp/0'), node()])
  ;[listener, dialler] = nodes
  await Promise.all(nodes.map(each => each.start()))
  await listener.handle(PROTOCOL, stream => void taken.push(stream))
  const opened = new Promise<Libp2pConnection>(resolve => {
    listener.addEventListener('connection:open', ({ detail }) => resolve(detail), { once: true })
  })
  // Streams of libp2p's own services come first and are not to be taken for those of a test.
  const known = nodes.map(
    each => new Promise(resolve => each.addEventListener('peer:identify', resolve, { once: true })),
  )
  connection = await dialler.dial(listener.getMultiaddrs())
  inbound = await opened
  await Promise.all(known)
  await dialler.services.ping.ping(connection.remotePeer)
})
afterEach(() => Promise.all([dialler.stop(), listener.stop()]))

/** The other side's end of the stream that was opened as number `index`. */
async function theirEnd(index: number): Promise<Stream> {
  while (taken.length <= index) await turn()
  return taken[index] as Stream
}

/** A connection whose next streams the other side ends, in this way, before they have begun. */
function ending(
  count: number,
  end: (stream: Stream) => void,
  status: () => string = () => connection.status,
): { link: Libp2pLink; attempts: () => number } {
  let attempts = 0
  let next = false
  ;(inbound as unknown as Inside).muxer.addEventListener('stream', ({ detail }) => {
    if (next) end(detail)
    next = false
  })
  const newStream: Libp2pConnection['newStream'] = (...args) => {
    next = ++attempts <= count
    return connection.newStream(...args)
  }
  const wrapped = new Proxy(connection, {
    get: (target, key) => {
      if (key === 'newStream') return newStream
      return key === 'status' && attempts > 0 ? status() : Reflect.get(target, key, target)
    },
  })
  return { link: new Libp2pLink(wrapped), attempts: () => attempts }
}

const close = (stream: Stream): void => void stream.close().catch(() => {})
const reset = (stream: Stream): void => stream.abort(new Error('not yet'))

describe('A stream that ends before it has begun', () => {
  test.each([
    ['closed', close],
    ['reset', reset],
  ])('because the other side %s it is opened again, and works then', async (_, end) => {
    const { link, attempts } = ending(2, end)
    const mine = new Reader(await link.open(PROTOCOL))
    expect(attempts()).toBe(3)
    mine.channel.send(utf8('hello'))
    const theirs = new Reader(new Libp2pChannel(link, await theirEnd(0)))
    expect(await theirs.take(5)).toEqual(utf8('hello'))
  })

  test('three times is given up', async () => {
    const { link, attempts } = ending(9, close)
    await expect(link.open(PROTOCOL)).rejects.toMatchObject({ name: 'UnexpectedEOFError' })
    expect(attempts()).toBe(3)
  })

  test('for another reason is not opened again', async () => {
    const { link, attempts } = ending(0, close)
    await expect(link.open('/nobody/speaks/this')).rejects.toMatchObject({ name: 'UnsupportedProtocolError' })
    expect(attempts()).toBe(1)
  })

  test('is not opened again on a connection that has closed meanwhile', async () => {
    const { link, attempts } = ending(9, close, () => 'closing')
    await expect(link.open(PROTOCOL)).rejects.toMatchObject({ name: 'UnexpectedEOFError' })
    expect(attempts()).toBe(1)
  })
})

describe('A stream that is over when it is handed on', () => {
  test('tells it, be it closed, reset or dropped', async () => {
    const streams = [await connection.newStream(PROTOCOL), await connection.newStream(PROTOCOL)] as const
    streams[0].abort(new Error('dropped'))
    const gone = new Promise(resolve => streams[1].addEventListener('close', resolve, { once: true }))

    const theirs = await theirEnd(1)
    theirs.abort(new Error('not wanted'))
    await gone
    for (const stream of streams) {
      const reader = new Reader(new Libp2pChannel(new Libp2pLink(connection), stream))
      expect(await reader.closed).toBeInstanceOf(Error)
      expect(reader.closings).toBe(1)
    }
    const unread = await connection.newStream(PROTOCOL)
    const cut = new Promise(resolve => unread.addEventListener('close', resolve, { once: true }))
    const sender = await theirEnd(2)
    sender.send(utf8('never mind'))
    while (unread.readBufferLength === 0) await turn()
    sender.abort(new Error('not wanted'))
    await cut
    const channel = new Libp2pChannel(new Libp2pLink(connection), unread)
    expect(await new Reader(channel).closed).toBeInstanceOf(Error)
    const last = await connection.newStream(PROTOCOL)
    const ended = new Promise(resolve => last.addEventListener('close', resolve, { once: true }))
    await inbound.close()
    await ended
    expect(last.status).toBe('closed')
    expect(await new Reader(new Libp2pChannel(new Libp2pLink(connection), last)).closed).toBeUndefined()
  })
})

test('closing a channel ends when it is dropped while the other side reads nothing', async () => {
  const channel = new Libp2pChannel(new Libp2pLink(connection), await connection.newStream(PROTOCOL))
  const theirs = await theirEnd(0)
  theirs.addEventListener('message', () => {})
  theirs.pause()
  while (channel.send(new Uint8Array(65_536)));
  const closing = channel.close()
  channel.abort(new Error('enough'))
  await closing
})
