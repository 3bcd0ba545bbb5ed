/** What libp2p runs on in Node: TCP and WebSockets, relayed circuits; WebRTC is an extra transport. */

import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import type { IceServer } from './ice-server.ts'
import type { TransportFactory } from './node.ts'
import { withSocketEndings } from './socket-endings.ts'

/** Transports of this platform. */
export function platformTransports(_iceServers: readonly IceServer[]): TransportFactory[] {
  return [tcp() as TransportFactory, webSockets() as TransportFactory].map(withSocketEndings)
}

/** Where to listen when the application does not say: free ports on every interface. */
export const DEFAULT_LISTEN: readonly string[] = ['/ip4/0.0.0.0/tcp/0', '/ip4/0.0.0.0/tcp/0/ws']

/** Which kinds of address this platform can dial. */
export const DIALS = { tcp: true, webrtc: false, insecureWebSocket: true }
