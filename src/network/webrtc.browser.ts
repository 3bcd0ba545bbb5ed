/**
 * WebRTC between tabs. The package behind it depends on React Native, which nobody wants installed: the published build
 * carries its browser half inside this file.
 */

import type { Transport } from '@libp2p/interface'
import { webRTC as create } from '@libp2p/webrtc'
import { withChannelBounds } from './channel-bounds.ts'
import { withSignallingBounds } from './signalling-bounds.ts'
import { mendInitChannel } from './webrtc-init-channel.ts'

/** The transport's factory, as libp2p takes it. */
export const webRTC: (init: { rtcConfiguration: RTCConfiguration }) => (components: never) => Transport = init => {
  mendInitChannel()
  const factory = create(init)
  return withChannelBounds(withSignallingBounds(components => factory(components)))
}
