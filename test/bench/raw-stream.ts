/**
 * What agents stand on, bare: one stream between two libp2p nodes over TCP, Noise and yamux, with frames that have their
 * length in front. The first byte of a frame says whether it is to come back.
 */

import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { systemRandom } from '../../src/common/random.ts'
import type { Channel } from '../../src/network/carrier.ts'
import { encodeFrames, FrameReader } from '../../src/network/frames.ts'
import { Libp2pChannel, Libp2pLink } from '../../src/network/libp2p-channel.ts'
import { createNode, type TransportFactory } from '../../src/network/node.ts'

const PROTOCOL = '/bench/1'
const MAX_FRAME = 65_536
const LISTEN = '/ip4/127.0.0.1/tcp/0'

const bareNode = (listen: readonly string[]) =>
  createNode({ seed: systemRandom.bytes(32), transports: [tcp() as TransportFactory], listen, mustListen: true })

function read(channel: Channel, onFrame: (frame: Uint8Array) => void): void {
  const fault = (why: string): never => {
    throw new Error(`the raw stream: ${why}`)
  }
  const reader = new FrameReader(MAX_FRAME, onFrame, fault)
  channel.attach({ data: chunk => reader.push(chunk), closed: () => {} })
}

/** The side that takes frames and returns those that want it. Resolves with its address. */
export async function rawRecipient(onFrame: () => void): Promise<string> {
  const node = await bareNode([LISTEN])
  await node.handle(PROTOCOL, (stream, connection) => {
    const channel = new Libp2pChannel(new Libp2pLink(connection), stream)
    read(channel, frame => {
      if (frame[0] === 1) channel.send(encodeFrames([frame]))
      else onFrame()
    })
  })
  await node.start()
  return String(node.getMultiaddrs()[0])
}

/** The side that sends them. */
export interface RawSender {
  /** Hands over some in one write; resolves when the stream can take more. */
  write(frames: readonly Uint8Array[]): Promise<void>
  /** Sends one and waits for it to come back. */
  echo(frame: Uint8Array): Promise<void>
  stop(): Promise<void>
}

export async function rawSender(address: string): Promise<RawSender> {
  const node = await bareNode([])
  await node.start()
  const channel = await new Libp2pLink(await node.dial(multiaddr(address))).open(PROTOCOL)
  let answered = (): void => {}
  read(channel, () => answered())
  return {
    write: frames => {
      channel.send(encodeFrames(frames))
      return channel.drained()
    },
    echo: frame =>
      new Promise(resolve => {
        answered = resolve
        channel.send(encodeFrames([frame]))
      }),
    stop: async () => void (await node.stop()),
  }
}
