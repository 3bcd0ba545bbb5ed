import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { createNode, type Node, type TransportFactory } from '../../src/network/node.ts'
import { webrtc } from '../../src/network/webrtc-node.ts'
import { until } from '../relay/support.ts'

const SIGNALLING = '/webrtc-signaling/0.0.1'

async function startNode(listen: readonly string[], extra: readonly TransportFactory[] = []): Promise<Node> {
  const { seed } = await createIdentity()
  const node = await createNode({ seed, transports: [...platformTransports([]), ...extra], listen })
  onTestFinished(() => Promise.resolve(node.stop()))
  await node.start()
  return node
}

const host = (): Promise<Node> => startNode(['/ip4/127.0.0.1/tcp/0'], [webrtc().factory as TransportFactory])

/** What a stranger opens on `connections` new connections, and says nothing on. */
async function silence(stranger: Node, to: Node, connections: number, streams: number): Promise<Stream[]> {
  const address = multiaddr(to.getMultiaddrs()[0]?.toString())
  const opened: Stream[] = []
  for (let i = 0; i < connections; i++) {
    const before = to.getConnections(stranger.peerId).length
    const connection = await stranger.dial(address, { force: true } as object)
    // libp2p ends a connection of which more than ten streams come before it is open at their end too.
    await until(() => to.getConnections(stranger.peerId).length > before, [to, 'connection:open'])
    opened.push(...(await Promise.all(Array.from({ length: streams }, () => connection.newStream(SIGNALLING)))))
  }
  return opened
}

/** Resolves when only `left` of the streams are open. */
const leaves = (streams: readonly Stream[], left: number): Promise<void> =>
  until(
    () => streams.filter(({ status }) => status === 'open').length === left,
    ...streams.map(stream => [stream, 'close'] as const),
  )

/** Signalling streams that came in. */
const held = (node: Node): number =>
  node.getConnections().flatMap(({ streams }) => streams.filter(({ protocol }) => protocol === SIGNALLING)).length

test('Of one connection four handshakes of WebRTC are under way at a time', async () => {
  const [ada, stranger] = [await host(), await startNode([])]
  await leaves(await silence(stranger, ada, 1, 20), 4)
  expect(held(ada)).toBe(4)
})

test('Of all connections 128 are, and as they end there is room for others', async () => {
  const ada = await host()
  const strangers = await Promise.all([startNode([]), startNode([]), startNode([])])
  const streams = (await Promise.all(strangers.map(stranger => silence(stranger, ada, 15, 4)))).flat()
  await leaves(streams, 128)
  expect(held(ada)).toBe(128)
  const gone = until(() => held(ada) === 0, [ada, 'connection:close'])
  await Promise.all(strangers.map(stranger => stranger.stop()))
  await gone
  await leaves(await silence(await startNode([]), ada, 1, 5), 4)
})
