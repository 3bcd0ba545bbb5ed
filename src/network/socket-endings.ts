/**
 * Mends how connections of @libp2p/tcp 11 and @libp2p/websockets 10 end.
 *
 * A connection that was closed has to bring what was sent before to the other side. libp2p closes the socket as soon as
 * it is written: whatever the other side writes in that moment is answered with a reset, its next write fails, and what
 * it has not read yet, a goodbye for one, is thrown away there. So this side stops writing first, and keeps reading
 * until the other side, which has read everything by then, stops as well.
 *
 * A WebSocket that is aborted has to be gone at both ends. libp2p closes it with a code that no WebSocket takes; that
 * throws, and the socket stays open until the other side's pings fail, ten seconds later.
 */

import type { MultiaddrConnection } from '@libp2p/interface'
import { type AbortOptions, abortable } from '../common/abort.ts'
import { CLOSE_TIMEOUT } from './libp2p-channel.ts'
import { mended } from './mended.ts'
import type { TransportFactory } from './node.ts'

/** How long the other side may take to read the rest of a connection that was closed, ms. */
const LINGER = CLOSE_TIMEOUT - 1_000

/** The part of Node's socket that is needed here. */
interface Socket {
  readonly destroyed: boolean
  end(): void
  destroy(): void
  once(type: 'close', listener: () => void): void
}

/** What libp2p's connections on sockets keep to themselves. */
interface Inside extends MultiaddrConnection {
  readonly socket?: Socket
  /** In Node one that came in can be dropped; the platforms' own cannot. */
  readonly websocket?: WebSocket & { terminate?(): void }
  onData(data: Uint8Array): void
  sendClose(options?: AbortOptions): Promise<void>
  sendReset(): void
}

/** A transport whose connections end as told above; those on no socket are left as they are. */
export const withSocketEndings = (factory: TransportFactory): TransportFactory => mended(factory, mend)

function mend(connection: MultiaddrConnection): void {
  const inside = connection as Inside
  const { socket, websocket } = inside
  if (socket !== undefined) {
    const closed = new Promise<void>(resolve => socket.once('close', resolve))
    inside.sendClose = options => {
      if (!socket.destroyed) socket.end()
      return lastRead(inside, closed, () => socket.destroy(), options)
    }
  } else if (websocket !== undefined) {
    const drop = (): void => (websocket.terminate === undefined ? websocket.close() : websocket.terminate())
    const closed = new Promise<void>(resolve => {
      websocket.addEventListener('close', () => resolve(), { once: true })
    })
    inside.sendReset = drop
    inside.sendClose = options => {
      websocket.close()
      return lastRead(inside, closed, drop, options)
    }
  }
}

/** Waits until the other side has ended its half too, and drops the connection when that takes too long. */
async function lastRead(
  connection: Inside,
  closed: Promise<void>,
  drop: () => void,
  { signal }: AbortOptions = {},
): Promise<void> {
  // What still comes is thrown away: an answer could not be written any more, and as a failure would cut off the rest.
  connection.onData = () => {}
  const late = AbortSignal.timeout(LINGER)
  await abortable(closed, signal ? AbortSignal.any([signal, late]) : late).catch(drop)
}
