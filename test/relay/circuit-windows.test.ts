import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import { describe, expect, test } from 'vitest'
import { concat } from '../../src/common/bytes.ts'
import { hasSlot, type TestPeer, testPeer, testRelay, until } from './support.ts'

const HOP = '/libp2p/circuit/relay/0.2.0/hop'
const STOP = '/libp2p/circuit/relay/0.2.0/stop'
const MUCH = 8 * 1_048_576

const withLength = (message: Uint8Array): Uint8Array => concat([Uint8Array.of(message.length), message])
/** "Connect me with this peer", and "yes", as circuit relay v2 writes them. */
const connectTo = (peer: TestPeer): Uint8Array => {
  const id = peer.node.peerId.toMultihash().bytes
  return withLength(concat([Uint8Array.of(8, 1, 18, id.length + 2, 10, id.length), id]))
}
const YES = withLength(Uint8Array.of(8, 1, 32, 100))

const firstMessage = (stream: Stream): Promise<unknown> =>
  new Promise(resolve => stream.addEventListener('message', resolve, { once: true }))

/** The two ends of a circuit as the relay has them, without a connection on it: each end reads as it likes. */
async function circuit() {
  const relay = await testRelay()
  const [reached, asking] = [await testPeer([relay], { reserve: true }), await testPeer([relay])]
  await hasSlot(reached)
  const { promise, resolve } = Promise.withResolvers<Stream>()
  await reached.node.unhandle(STOP)
  await reached.node.handle(STOP, async stream => {
    await firstMessage(stream)
    stream.pause()
    stream.send(YES)
    resolve(stream)
  })
  const toRelay = asking.node.getConnections()[0] as ReturnType<TestPeer['node']['getConnections']>[0]
  const near = await toRelay.newStream(HOP)
  const answered = firstMessage(near)
  near.send(connectTo(reached))
  const far = await promise
  await answered
  near.pause()
  return { asking, reached, near, far, relay: toRelay.remotePeer }
}

describe('A circuit whose one end reads nothing', () => {
  test.each(['asked', 'was reached'] as const)(
    'is held to some hundred kilobytes of what the end that %s sends, and brings all of it once it is read',
    { timeout: 30_000 },
    async which => {
      const ends = await circuit()
      const asked = which === 'asked'
      const [from, to] = asked ? [ends.near, ends.far] : [ends.far, ends.near]
      const sender = asked ? ends.asking : ends.reached
      for (let at = 0; at < MUCH; at += 65_536) from.send(new Uint8Array(65_536).fill(at >> 16))
      // By each answer the relay has said what more it takes: in so many windows it would have taken everything.
      for (let i = 0; i < 64; i++) await sender.node.services.ping.ping(ends.relay)
      expect(MUCH - from.writeBufferLength - to.readBufferLength).toBeLessThan(1_048_576)

      const parts: Uint8Array[] = []
      let read = 0
      to.addEventListener('message', event => {
        const data = (event as StreamMessageEvent).data.subarray()
        parts.push(data)
        read += data.length
      })
      to.resume()
      const written = from.close()
      await until(() => to.remoteWriteStatus === 'closed', [to, 'remoteCloseWrite'])
      await written
      expect(read).toBe(MUCH)
      const all = concat(parts)
      for (let at = 0; at < MUCH; at += 65_536) expect(all[at + 65_535]).toBe((at >> 16) & 255)
    },
  )
})
