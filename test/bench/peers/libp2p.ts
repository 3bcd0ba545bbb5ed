/** What agents stand on, bare: one stream between two nodes of libp2p over TCP, Noise and yamux, as libp2p sets them up. */

import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Libp2pChannel, Libp2pLink } from '../../../src/network/libp2p-channel.ts'
import type { Adapter } from './adapter.ts'
import { framesOf, framesTo } from './frames.ts'

const PROTOCOL = '/bench/1'

/** What every bare node here is made of. */
export const bare = (listen: readonly string[]) => ({
  addresses: { listen: [...listen] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
})

/** See the head of this file. */
export const libp2p: Adapter = {
  receive: async (_place, arrived) => {
    const node = await createLibp2p(bare(['/ip4/127.0.0.1/tcp/0']))
    const over = framesOf(arrived)
    await node.handle(PROTOCOL, (stream, connection) => {
      const channel = new Libp2pChannel(new Libp2pLink(connection), stream)
      const data = over.reader(bytes => void channel.send(bytes))
      channel.attach({ data, closed: () => {} })
    })
    return { address: String(node.getMultiaddrs()[0]), begin: over.begin }
  },
  send: async (_place, address, window) => {
    const node = await createLibp2p(bare([]))
    const channel = await new Libp2pLink(await node.dial(multiaddr(address as string))).open(PROTOCOL)
    return framesTo(window, {
      write: bytes => (channel.send(bytes) ? undefined : channel.drained()),
      listen: data => channel.attach({ data, closed: () => {} }),
    })
  },
}
