/**
 * Bounds what the other side of a WebRTC connection makes a node hold and do. @libp2p/webrtc 6.0 takes any number of data
 * channels, and on each of them messages of four MiB, where the most that libp2p's specification knows is 16 KiB; messages
 * of nothing, however many; flags, each of which is answered; and text, for which it makes as many bytes as the number in it
 * says, or throws where nobody catches it.
 */

import type { Stream, StreamMuxer, Transport } from '@libp2p/interface'
import { boundCrumbs, boundRequest, countCrumbs } from './begun-input.ts'
import { type ChannelWrites, writeWhole } from './channel-writes.ts'
import type { TransportFactory } from './node.ts'
import type { Inbound } from './yamux.ts'

/** The longest message: 16 KiB, its wrapping, and some more. */
const MAX_MESSAGE = 20_480
/** Bytes of a length. */
const LENGTH_BYTES = 3
/** Data channels that the other side may have open at a time: some five are used. */
const MAX_CHANNELS = 32
/** Flags that a stream sends: honest ones send up to four, and answer what the other side sends, which is no more. */
const MAX_FLAGS = 16

/** What a stream keeps to itself. */
interface ChannelStream extends Inbound, ChannelWrites {
  readonly channel: Pick<RTCDataChannel, 'onmessage'>
  readonly incomingData: { push(data: Uint8Array): unknown }
  _sendFlag(flag: unknown): boolean
}

/** What the muxer keeps to itself. */
interface ChannelMuxer extends StreamMuxer {
  readonly streams: Stream[]
  onDataChannel(channel: RTCDataChannel, early?: readonly MessageEvent[]): void
  onCreateStream(options: unknown): Promise<Stream>
}

interface MuxerFactory {
  createStreamMuxer(connection: unknown): StreamMuxer
}
/** The part of libp2p's upgrader that makes a connection of a WebRTC's. */
type Upgrade = (connection: unknown, options: { readonly muxerFactory: MuxerFactory }) => unknown
interface Upgrading {
  upgradeInbound: Upgrade
  upgradeOutbound: Upgrade
}

/** WebRTC with these bounds, and with streams that write each message in one piece. */
export const withChannelBounds =
  (factory: TransportFactory): TransportFactory =>
  (components: { readonly upgrader: Upgrading }): Transport => {
    const upgrader = bounding(components.upgrader)
    const transport = factory(
      new Proxy(components, {
        get: (target, name) => (name === 'upgrader' ? upgrader : Reflect.get(target, name)),
      }) as never,
    )
    // What is dialled is upgraded by what comes with the dial.
    const dial = transport.dial.bind(transport)
    transport.dial = (address, options) =>
      dial(address, { ...options, upgrader: bounding(options.upgrader as unknown as Upgrading) as never })
    return transport
  }

/** An upgrader that bounds the connections that it makes. */
function bounding(upgrader: Upgrading): Upgrading {
  const bounded =
    (upgrade: keyof Upgrading): Upgrade =>
    (connection, options) => {
      const { muxerFactory } = options
      const create = muxerFactory.createStreamMuxer.bind(muxerFactory)
      muxerFactory.createStreamMuxer = of => bound(create(of) as ChannelMuxer)
      return upgrader[upgrade](connection, options)
    }
  const upgrades = { upgradeInbound: bounded('upgradeInbound'), upgradeOutbound: bounded('upgradeOutbound') }
  return Object.assign(Object.create(upgrader), upgrades)
}

function bound(muxer: ChannelMuxer): StreamMuxer {
  const boundStream = (stream: Stream): void => {
    boundCrumbs(stream as ChannelStream)
    boundMessages(stream as ChannelStream)
    boundFlags(stream as ChannelStream)
    refuseText(stream as ChannelStream)
    writeWhole(stream as ChannelStream)
  }
  const onDataChannel = muxer.onDataChannel.bind(muxer)
  muxer.onDataChannel = (channel, early) => {
    const { streams } = muxer
    const before = streams.length
    if (streams.filter(({ direction }) => direction === 'inbound').length >= MAX_CHANNELS) return channel.close()
    onDataChannel(channel)
    const stream = streams.at(-1)
    if (stream === undefined || streams.length === before) return
    boundStream(stream)
    boundRequest(stream as ChannelStream)
    for (const message of early ?? []) channel.onmessage?.(message)
  }
  const onCreateStream = muxer.onCreateStream.bind(muxer)
  muxer.onCreateStream = async options => {
    const stream = await onCreateStream(options)
    boundStream(stream)
    return stream
  }
  return muxer
}

/** Ends a stream on which text comes: the specification of libp2p has none. */
function refuseText(stream: ChannelStream): void {
  const { channel } = stream
  const onmessage = channel.onmessage as (event: MessageEvent) => unknown
  channel.onmessage = event =>
    event.data instanceof ArrayBuffer ? onmessage.call(channel, event) : stream.abort(new Error('text came'))
}

/** Ends a stream that has flags answered without end. */
function boundFlags(stream: ChannelStream): void {
  const sendFlag = stream._sendFlag.bind(stream)
  let left = MAX_FLAGS
  stream._sendFlag = flag => {
    if (left-- > 0) return sendFlag(flag)
    // Which would send a flag itself.
    if (left === -1) stream.abort(new Error('flags come without end'))
    return false
  }
}

/**
 * Ends a stream on which a message says that it is longer than any: each has its length before it, seven bits a byte; and
 * one on which nearly all are next to nothing. What is not whole is held in one piece, in however many it comes.
 */
function boundMessages(stream: ChannelStream): void {
  const { incomingData } = stream
  const push = incomingData.push.bind(incomingData)
  let held: Uint8Array | undefined
  let size = 0
  let shift = 0
  let length = 0
  /** What is still to come of the message; undefined while its length is. */
  let left: number | undefined
  const isTooMuch = countCrumbs()
  incomingData.push = data => {
    held ??= new Uint8Array(LENGTH_BYTES + MAX_MESSAGE)
    for (let at = 0; at < data.length; ) {
      if (left === undefined) {
        const byte = data[at++] as number
        length |= (byte & 127) << shift
        shift += 7
        if (length > MAX_MESSAGE || shift > 7 * LENGTH_BYTES) return stream.abort(new Error('a message is too long'))
        held[size++] = byte
        if (byte <= 127) left = length
      } else {
        const end = Math.min(at + left, data.length)
        held.set(data.subarray(at, end), size)
        size += end - at
        left -= end - at
        at = end
      }
      if (left !== 0) continue
      if (isTooMuch(length)) return stream.abort(new Error('messages are crumbs'))
      push(held.slice(0, size))
      left = undefined
      length = shift = size = 0
    }
    return undefined
  }
}
