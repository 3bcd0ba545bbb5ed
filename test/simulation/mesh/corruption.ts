/**
 * Relays that change what they forward. What is sealed and signed from end to end, envelopes and openings, comes with a bit
 * flipped, as a copy that somebody kept would; gossip too. A change in anything else is seen by the encryption of the
 * circuit itself, which the network in memory has none of: there it ends the connection, as Noise does.
 */

import { AfpError } from '../../../src/common/errors.ts'
import type { Channel, Connection } from '../../../src/network/carrier.ts'
import type { MemoryCarrier } from '../../../src/network/memory.ts'
import { MemoryConnection } from '../../../src/network/memory-connection.ts'
import type { Run } from './state.ts'

/** Frames that prove themselves, whoever carries them. */
const ENVELOPE = 16
const OPENING = 17
/** How often a write is changed that has neither, of those that may be. */
const OTHERWISE = 0.1

/** Has a carrier get what the relays of the run make of it. */
export function behindRelays(run: Run, carrier: MemoryCarrier): void {
  const { counters } = run
  const channelBehind = (channel: Channel): Channel => {
    const { connection } = channel
    const attach = channel.attach.bind(channel)
    channel.attach = handler =>
      attach({
        data: chunk => {
          if (!isHit(run, connection)) return handler.data(chunk)
          const bytes = chunk.slice()
          if (flipSealed(run, bytes)) {
            counters.corrupted++
            handler.data(bytes)
          } else if (run.random.float() >= OTHERWISE) handler.data(chunk)
          else {
            counters.corruptedLinks++
            connection.abort(new AfpError('NETWORK_FAILED', 'what the relay forwarded does not decrypt'))
          }
        },
        closed: error => handler.closed(error),
      })
    return channel
  }
  carrier.addEventListener('connection:open', ({ detail: connection }) => {
    if (connection.kind !== 'relayed') return
    counters.relayed++
    const open = connection.open.bind(connection)
    connection.open = async (...args) => channelBehind(await open(...args))
  })
  const handle = carrier.handle.bind(carrier)
  carrier.handle = (protocol, handler) =>
    handle(protocol, channel => handler(channel.connection.kind === 'relayed' ? channelBehind(channel) : channel))
  const subscribe = carrier.subscribe.bind(carrier)
  carrier.subscribe = (topic, handler) =>
    subscribe(topic, (data, from) => {
      const part = run.relays.find(({ id }) => id === from)?.corrupts ?? 0
      if (part === 0 || data.length === 0 || run.random.float() >= part) return handler(data, from)
      counters.corruptedGossip++
      return handler(flipped(run, data.slice()), from)
    })
}

/** Whether the relay that a connection leads over changes what comes just now. */
function isHit({ relays, random }: Run, connection: Connection): boolean {
  const path = connection instanceof MemoryConnection ? connection.wire.path : []
  const part = relays.find(({ id }) => path.includes(id))?.corrupts ?? 0
  return part > 0 && random.float() < part
}

function flipped({ random }: Run, bytes: Uint8Array, from = 0, to = bytes.length): Uint8Array {
  const at = from + Math.floor(random.float() * (to - from))
  bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random.float() * 8))
  return bytes
}

/** Flips a bit in one of the frames of a write, if there is one that proves itself; the last of them is as good as any. */
function flipSealed(run: Run, bytes: Uint8Array): boolean {
  const found: (readonly [from: number, to: number])[] = []
  for (let at = 0; at < bytes.length; ) {
    let length = 0
    let shift = 0
    for (let more = true; more && at < bytes.length; shift += 7) {
      const byte = bytes[at++] as number
      length += (byte & 0x7f) * 2 ** shift
      more = byte > 0x7f
    }
    const type = bytes[at]
    if (at + length > bytes.length) break
    if ((type === ENVELOPE || type === OPENING) && length > 1) found.push([at + 1, at + length])
    at += length
  }
  const frame = found[Math.floor(run.random.float() * found.length)]
  if (frame === undefined) return false
  flipped(run, bytes, ...frame)
  return true
}
