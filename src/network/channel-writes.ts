/**
 * Has each message of a WebRTC stream leave in one call of its data channel. @libp2p/webrtc 6.0 makes two of it, one for its
 * length alone, and in a browser each call is handed to another thread, and wakes whoever reads in a task of its own. Who
 * reads lengths and messages one after the other, as libp2p's specification has it, sees no difference. It costs a copy.
 */

import { concat } from '../common/bytes.ts'

/** What a stream keeps to itself. */
export interface ChannelWrites {
  _sendMessage(data: Iterable<Uint8Array>): void
}

/** See the head of this file. */
export function writeWhole(stream: ChannelWrites): void {
  const send = stream._sendMessage.bind(stream)
  stream._sendMessage = data => send([concat([...data])])
}
