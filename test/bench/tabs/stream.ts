/** A stream of libp2p between two tabs, over WebRTC that a relay introduces, as libp2p sets it up. */

import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { Connection } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { webRTC } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Libp2pChannel, Libp2pLink } from '../../../src/network/libp2p-channel.ts'
import { mendInitChannel } from '../../../src/network/webrtc-init-channel.ts'
import type { SendWindow } from '../flow.ts'
import { framesOf, framesTo } from '../peers/frames.ts'
import { until } from '../until.ts'

const PROTOCOL = '/bench/1'

async function nodeAt(relay: string) {
  // Without it one dial in four fails.
  mendInitChannel()
  const node = await createLibp2p({
    addresses: { listen: ['/p2p-circuit', '/webrtc'] },
    transports: [webSockets(), webRTC({ rtcConfiguration: { iceServers: [] } }), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    services: { identify: identify() },
  })
  await node.dial(multiaddr(relay))
  return node
}

/** Either end. */
export class StreamEnd {
  readonly #window: SendWindow
  readonly #frames: ReturnType<typeof framesOf>

  constructor(window: SendWindow, arrived: () => void) {
    this.#window = window
    this.#frames = framesOf(arrived)
  }

  begin(window: number): void {
    this.#frames.begin(window)
  }

  /** Resolves with the address under which this tab is reached. */
  async take(relay: string): Promise<string> {
    const node = await nodeAt(relay)
    await node.handle(PROTOCOL, (stream, connection) => {
      const channel = new Libp2pChannel(new Libp2pLink(connection), stream)
      const data = this.#frames.reader(bytes => void channel.send(bytes))
      channel.attach({ data, closed: () => {} })
    })
    const own = (): string | undefined =>
      node
        .getMultiaddrs()
        .map(String)
        .find(address => address.includes('/webrtc/'))
    await until(() => own() !== undefined)
    return own() as string
  }

  async send(relay: string, address: string) {
    const node = await nodeAt(relay)
    const connection: Connection = await node.dial(multiaddr(address))
    if (connection.limits !== undefined) throw new Error('the connection is relayed')
    const channel = await new Libp2pLink(connection).open(PROTOCOL)
    return framesTo(this.#window, {
      write: bytes => (channel.send(bytes) ? undefined : channel.drained()),
      listen: data => channel.attach({ data, closed: () => {} }),
    })
  }
}
