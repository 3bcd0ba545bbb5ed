/**
 * Bounds what strangers take of a page's WebRTC connections. @libp2p/webrtc 6.0 makes one for each signalling stream that
 * comes in, before it has read anything; browsers give a page 500 or so, and then none for anybody.
 */

import type { Connection, Stream, Transport } from '@libp2p/interface'
import type { TransportFactory } from './node.ts'

/** Handshakes that are under way on one connection: one is used. */
const MAX_PER_CONNECTION = 4
/** Handshakes of all: beside the connections that a node has at the most, its own dials have room. */
const MAX_HANDSHAKES = 128

/** What libp2p's transport keeps to itself. */
interface Inside extends Transport {
  /** Takes part in a handshake, for ten seconds at most. */
  _onProtocol(stream: Stream, connection: Connection, signal: AbortSignal): Promise<void>
}

/** WebRTC with these bounds. */
export const withSignallingBounds =
  (factory: TransportFactory): TransportFactory =>
  components => {
    const transport = factory(components) as Inside
    const answer = transport._onProtocol.bind(transport)
    const busy: Connection[] = []
    transport._onProtocol = async (stream, connection, signal) => {
      const own = busy.filter(other => other === connection).length
      if (own >= MAX_PER_CONNECTION || busy.length >= MAX_HANDSHAKES) return stream.abort(new Error('too many'))
      busy.push(connection)
      try {
        await answer(stream, connection, signal)
      } finally {
        busy.splice(busy.indexOf(connection), 1)
      }
    }
    return transport
  }
