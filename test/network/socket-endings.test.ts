import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { equal, utf8 } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { Libp2pChannel, Libp2pLink } from '../../src/network/libp2p-channel.ts'
import { createNode, type Node } from '../../src/network/node.ts'
import { Reader } from '../contracts/carrier-ends.ts'
import { turn } from '../contracts/waiting.ts'

type Libp2pConnection = ConstructorParameters<typeof Libp2pLink>[0]

/** What libp2p's connections keep to themselves: the socket they are on. */
interface Inside {
  readonly maConn: { readonly socket?: Pausable; readonly websocket?: Pausable }
}
interface Pausable {
  /** Of TCP sockets alone: a WebSocket that was dialled cannot be dropped. */
  readonly destroyed?: boolean
  pause(): void
  resume(): void
}
const socketOf = (connection: Libp2pConnection): Pausable => {
  const { socket, websocket } = (connection as unknown as Inside).maConn
  return (socket ?? websocket) as Pausable
}

const PROTOCOL = '/test/1'

const node = async (...listen: string[]): Promise<Node> =>
  createNode({ seed: (await createIdentity()).seed, transports: platformTransports([]), listen })

const TRANSPORTS = [
  ['TCP', '/ip4/127.0.0.1/tcp/0'],
  ['a WebSocket', '/ip4/127.0.0.1/tcp/0/ws'],
] as const

/** Two nodes, the connection of theirs as each has it, and the ends of a channel on it. */
interface Connected extends AsyncDisposable {
  readonly listener: Node
  readonly out: Libp2pConnection
  readonly into: Libp2pConnection
  readonly mine: Reader
  readonly theirs: Reader
}

async function connected(address: string): Promise<Connected> {
  const listener = await node(address)
  const dialler = await node()
  await Promise.all([listener.start(), dialler.start()])
  const opened = Promise.withResolvers<Libp2pConnection>()
  listener.addEventListener('connection:open', ({ detail }) => opened.resolve(detail), { once: true })
  const taken = Promise.withResolvers<Reader>()
  await listener.handle(PROTOCOL, (stream, connection) => {
    taken.resolve(new Reader(new Libp2pChannel(new Libp2pLink(connection), stream)))
  })
  const out = await dialler.dial(listener.getMultiaddrs())
  const into = await opened.promise
  const mine = new Reader(await new Libp2pLink(out).open(PROTOCOL))
  mine.channel.send(utf8('hello'))
  const theirs = await taken.promise
  await theirs.take(5)
  const end = async (): Promise<void> => void (await Promise.all([dialler.stop(), listener.stop()]))
  return { listener, out, into, mine, theirs, [Symbol.asyncDispose]: end }
}

describe.each(TRANSPORTS)('A connection over %s', (_, address) => {
  let ends: Connected
  let { listener, out, into, mine, theirs } = {} as Connected
  beforeEach(async () => {
    ends = await connected(address)
    ;({ listener, out, into, mine, theirs } = ends)
  })
  afterEach(() => ends[Symbol.asyncDispose]())

  test('that is closed brings what was sent before, even to a side that reads late and goes on writing', async () => {
    socketOf(into).pause()
    mine.channel.send(utf8('goodbye'))
    const closing = mine.channel.connection.close()
    for (let i = 0; i < 20; i++) {
      theirs.channel.send(utf8('are you there?'))
      await turn()
    }
    socketOf(into).resume()
    expect(await theirs.take(7)).toEqual(utf8('goodbye'))
    expect(await theirs.closed).toBeUndefined()
    await closing
    expect(out.status).toBe('closed')
  })

  test('that is closed with much still waiting for the socket brings all of it', async () => {
    const bytes = seededRandom(1).bytes(4 * 1_048_576)
    for (let at = 0; at < bytes.length; at += 65_536) mine.channel.send(bytes.subarray(at, at + 65_536))
    const closing = mine.channel.connection.close()
    expect(equal(await theirs.take(bytes.length), bytes)).toBe(true)
    expect(await theirs.closed).toBeUndefined()
    await closing
    expect(out.status).toBe('closed')
  })

  test('that is closed waits for every channel, also when one of them fails meanwhile', async () => {
    const taken = Promise.withResolvers<Libp2pChannel>()
    await listener.handle('/test/2', stream => taken.resolve(new Libp2pChannel(new Libp2pLink(into), stream)))
    const other = new Reader(await new Libp2pLink(out).open('/test/2'))
    const unread = await taken.promise
    while (other.channel.send(new Uint8Array(65_536)));
    mine.channel.send(utf8('goodbye'))
    const closing = mine.channel.connection.close()
    unread.abort(new Error('not wanted'))
    expect(await theirs.take(7)).toEqual(utf8('goodbye'))
    expect(await theirs.closed).toBeUndefined()
    await closing
    expect(out.status).toBe('closed')
  })

  test.each([
    ['dialled', () => [mine, theirs] as const],
    ['was dialled', () => [theirs, mine] as const],
  ])('has closed for the side which %s once the other has read everything', async (_which, ends) => {
    const [closing, reading] = ends()
    const before = reading.received
    closing.channel.send(utf8('goodbye'))
    await closing.channel.connection.close()
    expect(reading.received).toBe(before + 7)
  })

  test.each([
    ['dialled', () => [out, into] as const],
    ['was dialled', () => [into, out] as const],
  ])('that the side which %s aborts is gone at both ends at once', { timeout: 5_000 }, async (_which, ends) => {
    const [aborting, other] = ends()
    const gone = new Promise(resolve => other.addEventListener('close', resolve, { once: true }))
    aborting.abort(new Error('enough'))
    expect(aborting.status).toBe('aborted')
    await gone
    await Promise.all([mine.closed, theirs.closed])
  })
})

// Each waits for as long as a connection may take to close, so all of them wait at once.
describe.concurrent('A connection', () => {
  test.each(TRANSPORTS)(
    'over %s that is closed while the other side reads nothing is dropped in the end',
    async (_, address) => {
      await using ends = await connected(address)
      const { out, into, mine, theirs } = ends
      socketOf(into).pause()
      await mine.channel.connection.close()
      expect(out.status).toBe('closed')
      expect(socketOf(out).destroyed).not.toBe(false)
      socketOf(into).resume()
      await theirs.closed
    },
  )

  test.each(TRANSPORTS)(
    'over %s that is closed while the other side lets a channel fill is dropped in the end',
    async (_, address) => {
      await using ends = await connected(address)
      const { out, mine, theirs } = ends
      theirs.channel.pause()
      mine.channel.send(new Uint8Array(1_048_576))
      await mine.channel.connection.close()
      expect(out.status).toBe('aborted')
      theirs.channel.resume()
      await theirs.closed
    },
  )
})
