/** What libp2p runs on in Node: TCP and WebSockets, relayed circuits; WebRTC is an extra transport. */

import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { systemClock } from '../common/clock.ts'
import type { IceServer } from './ice-server.ts'
import { MAX_CONNECTIONS, type TransportFactory } from './node.ts'
import { withSocketEndings } from './socket-endings.ts'
import { SocketGuard, SPARE_SOCKETS } from './socket-guard.ts'
import { withJoinedWrites } from './socket-writes.ts'

/**
 * What a WebSocket may hold that is not written yet, bytes. In small answers each byte takes some twenty of memory; less
 * would slow down large transfers, as libp2p looks only every 10 ms whether there is room.
 */
const MAX_UNWRITTEN = 1_048_576

/** Transports of this platform, for one node. */
export function platformTransports(
  _iceServers: readonly IceServer[],
  // Sockets do not wait for a clock that is driven.
  guard = new SocketGuard(systemClock, MAX_CONNECTIONS + SPARE_SOCKETS),
): TransportFactory[] {
  const ofWebSockets = webSockets({ maxBufferedAmount: MAX_UNWRITTEN }) as TransportFactory
  return [tcp() as TransportFactory, ofWebSockets].map(factory =>
    guard.guarded(withJoinedWrites(withSocketEndings(factory))),
  )
}

/** Where to listen when the application does not say: free ports on every interface. */
export const DEFAULT_LISTEN: readonly string[] = ['/ip4/0.0.0.0/tcp/0', '/ip4/0.0.0.0/tcp/0/ws']

/** Which kinds of address this platform can dial. */
export const DIALS = { tcp: true, webrtc: false, insecureWebSocket: true }
