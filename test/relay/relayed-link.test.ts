import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, test } from 'vitest'
import { addressOf, hasSlot, testPeer, testRelay } from './support.ts'

const PROTOCOL = '/test/bytes'
const CHUNK = 16_384

/** Two peers with a link through a relay that lets `maxRelayedBytes` pass. */
async function relayedLink(maxRelayedBytes: number) {
  const relay = await testRelay({ limits: { maxRelayedBytes } })
  const [receiver, sender] = await Promise.all([testPeer([relay], { reserve: true }), testPeer([relay])])
  await hasSlot(receiver)
  let received = 0
  let onBytes = (_total: number): void => {}
  await receiver.node.handle(
    PROTOCOL,
    stream => {
      stream.addEventListener('message', event => {
        received += (event as StreamMessageEvent).data.byteLength
        onBytes(received)
      })
    },
    { runOnLimitedConnection: true },
  )
  const connection = await sender.node.dial(multiaddr(`${addressOf(relay, 'tcp')}/p2p-circuit/p2p/${receiver.id}`))
  const stream = await connection.newStream(PROTOCOL, { runOnLimitedConnection: true })
  return {
    connection,
    stream,
    received: () => received,
    whenReceived: (bytes: number) =>
      new Promise<void>(resolve => {
        onBytes = total => {
          if (total >= bytes) resolve()
        }
        onBytes(received)
      }),
  }
}

/** Sends `bytes` zeros, heeding back-pressure; false when the stream closed before all were taken. */
async function send(stream: Stream, bytes: number): Promise<boolean> {
  for (let sent = 0; sent < bytes; sent += CHUNK) {
    if (stream.status !== 'open') return false
    if (stream.send(new Uint8Array(Math.min(CHUNK, bytes - sent)))) continue
    await new Promise(resolve => {
      stream.addEventListener('drain', resolve, { once: true })
      stream.addEventListener('close', resolve, { once: true })
    })
  }
  return stream.status === 'open'
}

describe('a link through the relay', () => {
  test('far more than libp2p’s own limit of 128 KiB passes where the relay allows it', async () => {
    const link = await relayedLink(8 * 1_048_576)
    const arrived = link.whenReceived(2 * 1_048_576)
    expect(await send(link.stream, 2 * 1_048_576)).toBe(true)
    await arrived
    expect(link.connection.status).toBe('open')
  })

  test('it is cut once it has carried what the relay allows', async () => {
    const link = await relayedLink(262_144)
    const closed = new Promise<Error | undefined>(resolve => {
      link.stream.addEventListener('close', event => resolve((event as StreamCloseEvent).error))
    })
    // What is under way when the link is cut may be lost, so the first part is waited for.
    const arrived = link.whenReceived(65_536)
    expect(await send(link.stream, 65_536)).toBe(true)
    await arrived
    await send(link.stream, 1_048_576)
    await closed
    expect(link.received()).toBeLessThan(262_144)
  })
})
