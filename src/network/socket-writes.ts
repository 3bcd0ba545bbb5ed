/**
 * Has connections of @libp2p/tcp 11 and @libp2p/websockets 10 write a message as one piece. libp2p hands the pieces that a
 * message is in to the socket one by one, with Noise and yamux four: four system calls, or messages of the WebSocket, of
 * which the first wakes the other side for two bytes.
 */

import type { MultiaddrConnection } from '@libp2p/interface'
import { mended } from './mended.ts'
import type { TransportFactory } from './node.ts'
import type { Bytes } from './yamux.ts'

/** What is copied into one piece, bytes: beyond it a write more costs less than the copy. */
const MAX_JOINED = 65_536

/** What libp2p's connections on sockets keep to themselves. */
interface Inside extends MultiaddrConnection {
  sendData(data: Pieces): unknown
}

/** What is to be written, in its pieces. */
interface Pieces extends Pick<Bytes, 'byteLength'>, Iterable<Uint8Array> {
  subarray(): Uint8Array
}

/** A transport whose connections write as told above. */
export const withJoinedWrites = (factory: TransportFactory): TransportFactory =>
  mended(factory, connection => {
    const inside = connection as Inside
    const sendData = inside.sendData.bind(inside)
    inside.sendData = data => {
      const { byteLength } = data
      if (byteLength > MAX_JOINED) return sendData(data)
      const whole = data.subarray()
      return sendData(Object.assign([whole], { byteLength, subarray: () => whole }))
    }
  })
