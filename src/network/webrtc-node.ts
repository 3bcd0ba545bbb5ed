/** WebRTC in Node, from the optional package. */

import { webRTC } from '@libp2p/webrtc'
import type { ExtraTransport } from './libp2p.ts'

/** Options of {@link webrtc}. */
export interface WebRtcOptions {
  /** ICE servers. Default: none. */
  iceServers?: readonly { urls: string | string[]; username?: string; credential?: string }[] | undefined
}

/**
 * WebRTC as a transport for an agent in Node; signalling goes over its relays.
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
  const iceServers = [...(options.iceServers ?? [])]
  return { name: 'webrtc', listen: ['/webrtc'], factory: webRTC({ rtcConfiguration: { iceServers } }) }
}
