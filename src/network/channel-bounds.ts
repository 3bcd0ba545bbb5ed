/**
 * Bounds what the other side of a WebRTC connection makes a node hold before it is whole. @libp2p/webrtc 6.0 takes any
 * number of data channels, and on each of them messages of four MiB, where the most that libp2p's specification knows is
 * 16 KiB.
 */

import type { Stream, StreamMuxer, Transport } from '@libp2p/interface'
import { boundCrumbs, boundRequest } from './begun-input.ts'
import { type ChannelWrites, writeWhole } from './channel-writes.ts'
import type { TransportFactory } from './node.ts'
import type { Inbound } from './yamux.ts'

/** The longest message: 16 KiB, its wrapping, and some more. */
const MAX_MESSAGE = 20_480
/** Bytes of a length. */
const LENGTH_BYTES = 3
/** Data channels that the other side may have open at a time: some five are used. */
const MAX_CHANNELS = 32

/** What a stream keeps to itself. */
interface ChannelStream extends Inbound, ChannelWrites {
  readonly incomingData: { push(data: Uint8Array): unknown }
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

/**
 * Ends a stream on which a message says that it is longer than any: each has its length before it, seven bits a byte. What
 * is not whole is held in one piece, in however many it comes.
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
      push(held.slice(0, size))
      left = undefined
      length = shift = size = 0
    }
    return undefined
  }
}
