/**
 * Mends a race in @libp2p/webrtc 6.0: the dialling side waits for its `init` data channel to open, but the other side
 * closes that channel as soon as it sees it. Where the close is handled before the dialler looks, it waits for an `open`
 * that has passed, and the dial fails after 6 s (13 of 50 dials between two tabs). Here a listener that is added to
 * `init` after the fact is called at once; other channels are untouched.
 *
 * It waits for that `open` as long where the connection has closed or failed in its handshake, of which it takes no
 * notice. In Node that happens on busy machines (2 of 60 dials): libdatachannel closes where the other side begins to
 * encrypt before it has been told with what. Here `init` has an `error` then, which ends the dial, so that it is made again.
 */

const MENDED = Symbol.for('agent-flow-protocol.init-channel')

/** Puts the cure in place, once; to be called before the first dial. In Node the prototype is that of the package used. */
export function mendInitChannel(
  prototype: RTCPeerConnection | undefined = globalThis.RTCPeerConnection?.prototype,
): void {
  if (prototype === undefined || MENDED in prototype) return
  Object.defineProperty(prototype, MENDED, { value: true })
  const createDataChannel = prototype.createDataChannel
  prototype.createDataChannel = function (this: RTCPeerConnection, label, options) {
    const channel = createDataChannel.call(this, label, options)
    if (label !== 'init') return channel
    const isOver = (): boolean => this.connectionState === 'closed' || this.connectionState === 'failed'
    callLateListeners(channel, isOver)
    this.addEventListener('connectionstatechange', () => {
      if (isOver()) channel.dispatchEvent(failure())
    })
    return channel
  }
}

const failure = (): Event =>
  Object.assign(new Event('error'), { message: 'the WebRTC connection ended in its handshake' })

/**
 * Calls listeners for `open` and `close` that are added when the event has already been, and for `error` where the
 * connection is over before the channel was open.
 */
export function callLateListeners(channel: RTCDataChannel, isOver: () => boolean = () => false): void {
  const add = channel.addEventListener.bind(channel) as (
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ) => void
  channel.addEventListener = (
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void => {
    add(type, listener, options)
    const passed =
      (type === 'open' && channel.readyState !== 'connecting' && !isOver()) ||
      (type === 'close' && channel.readyState === 'closed')
    if (type === 'error' && isOver()) {
      queueMicrotask(() => channel.dispatchEvent(failure()))
    }
    if (passed) queueMicrotask(() => channel.dispatchEvent(new Event(type)))
  }
}
