/** What libp2p runs on in browsers: WebSockets to relays and servers, WebRTC between tabs, relayed circuits. */

import { webSockets } from '@libp2p/websockets'
import type { IceServer } from './ice-server.ts'
import type { TransportFactory } from './node.ts'
import { withJoinedWrites } from './socket-writes.ts'
import { webRTC } from './webrtc.browser.ts'

/** Transports of this platform. */
export function platformTransports(iceServers: readonly IceServer[]): TransportFactory[] {
  return [
    withJoinedWrites(webSockets() as TransportFactory),
    webRTC({ rtcConfiguration: { iceServers: [...iceServers] } }) as TransportFactory,
  ]
}

/** Tabs are reached through WebRTC, signalled over a relay. */
export const DEFAULT_LISTEN: readonly string[] = ['/webrtc']

/** Which kinds of address this platform can dial. Pages on https may not open plain WebSockets, but to themselves. */
export const DIALS = { tcp: false, webrtc: true, insecureWebSocket: globalThis.location?.protocol !== 'https:' }
