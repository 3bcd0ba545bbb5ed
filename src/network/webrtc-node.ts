/** WebRTC in Node, from the optional package. */

import { webRTC } from '@libp2p/webrtc'
import { checkOptions, ICE_SERVERS } from '../common/check-options.ts'
import { withChannelBounds } from './channel-bounds.ts'
import type { ExtraTransport } from './libp2p.ts'
import type { TransportFactory } from './node.ts'
import { withSignallingBounds } from './signalling-bounds.ts'
import { mendInitChannel } from './webrtc-init-channel.ts'

/** Options of {@link webrtc}. */
export interface WebRtcOptions {
  /** ICE servers. Default: none. */
  iceServers?: readonly { urls: string | string[]; username?: string; credential?: string }[] | undefined
}

/**
 * WebRTC as a transport for an agent in Node; signalling goes over its relays.
 *
 * @throws AfpError INVALID_OPTION
 *
 * @example
 * ```ts
 * import { createAgent } from 'agent-flow-protocol'
 * import { webrtc } from 'agent-flow-protocol/webrtc'
 *
 * const agent = await createAgent({ name: 'node', mesh: 'demo', transports: [webrtc()] })
 * await agent.close()
 * ```
 */
export function webrtc(options: WebRtcOptions = {}): ExtraTransport {
  checkOptions('webrtc()', options, { iceServers: ICE_SERVERS })
  const iceServers = [...(options.iceServers ?? [])]
  // What the transport runs on in Node; loaded by then, so that this is done long before the first dial. An installer that
  // hides dependencies of dependencies keeps it out of reach: then some first dials fail and are made again.
  import('node-datachannel/polyfill').then(
    ({ RTCPeerConnection }) => mendInitChannel(RTCPeerConnection.prototype as unknown as globalThis.RTCPeerConnection),
    () => {},
  )
  const factory = withChannelBounds(
    withSignallingBounds(webRTC({ rtcConfiguration: { iceServers } }) as TransportFactory),
  )
  return { name: 'webrtc', listen: ['/webrtc'], factory }
}
