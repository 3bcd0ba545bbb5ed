/**
 * Bounds what strangers take of a page's WebRTC connections. @libp2p/webrtc makes one for each signalling stream that
 * comes in, before it has read anything; browsers give a page 500 or so, and then none for anybody.
 */

import type { Stream, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import { systemClock } from '../common/clock.ts'
import type { TransportFactory } from './node.ts'

/** Signalling streams of one connection: one is used. */
const MAX_PER_CONNECTION = 4
/** Signalling streams of all: beside the connections that a node has at the most, its own dials have room. */
const MAX_STREAMS = 128
/** How long a handshake may take before libp2p ends it, ms; its stream may stay half open, and counts no more. */
const HANDSHAKE_TIMEOUT = 10_000

/** The part of libp2p's registrar that is changed here. */
interface Registrar {
  handle(protocol: string, handler: StreamHandler, options?: StreamHandlerOptions): Promise<void>
}

/** WebRTC with these bounds. */
export const withSignallingBounds =
  (factory: TransportFactory): TransportFactory =>
  components => {
    const { registrar } = components as { registrar: Registrar }
    const signalling = new Set<Stream>()
    const handle: Registrar['handle'] = (protocol, handler, options) =>
      registrar.handle(
        protocol,
        (stream, connection) => {
          // One that is over already has no event that would tell it.
          if (stream.status !== 'open' || signalling.size >= MAX_STREAMS) return stream.abort(new Error('too many'))
          signalling.add(stream)
          const over = (): void => {
            timer.cancel()
            signalling.delete(stream)
          }
          const timer = systemClock.after(HANDSHAKE_TIMEOUT, over)
          stream.addEventListener('close', over)
          return handler(stream, connection)
        },
        { ...options, maxInboundStreams: MAX_PER_CONNECTION },
      )
    const own = { registrar: { value: Object.create(registrar, { handle: { value: handle } }) } }
    return factory(Object.create(components, own) as never)
  }
