/**
 * Frames on a byte channel: an unsigned varint with the length, then that many bytes, of which the first tells the type.
 * The length is checked before anything is allocated.
 */

import { concat } from '../common/bytes.ts'

/** Types of frames that the network itself reads. Those of upper floors start at {@link FIRST_UPPER_TYPE}. */
export const FrameType = { hello: 0, refused: 1, ping: 2, pong: 3, bye: 4, reading: 5 } as const

/** The first type that belongs to upper floors. */
export const FIRST_UPPER_TYPE = 16

/** Bytes a length may take: 4 x 7 bits, far above every limit. */
const MAX_LENGTH_BYTES = 4

/** The bytes of frames, ready to be written at once. */
export function encodeFrames(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let total = 0
  for (const frame of frames) total += frame.length + MAX_LENGTH_BYTES
  const out = new Uint8Array(total)
  let offset = 0
  for (const frame of frames) {
    let length = frame.length
    while (length > 0x7f) {
      out[offset++] = (length & 0x7f) | 0x80
      length >>>= 7
    }
    out[offset++] = length
    out.set(frame, offset)
    offset += frame.length
  }
  return out.subarray(0, offset)
}

/** A frame of a type with a body. */
export const frameOf = (type: number, body: Uint8Array = new Uint8Array()): Uint8Array<ArrayBuffer> =>
  concat([Uint8Array.of(type), body])

/** Why a channel's bytes make no frames. */
export type FrameFault = 'malformed' | 'too-large'

/** Cuts a sequence of chunks into frames. After a fault it stays silent: the channel cannot be read any further. */
export class FrameReader {
  /** The largest frame that is taken, bytes; may be changed between frames. */
  maxBytes: number
  readonly #onFrame: (frame: Uint8Array) => void
  readonly #onFault: (fault: FrameFault) => void
  #length = 0
  #lengthBytes = 0
  #body: Uint8Array | undefined
  #filled = 0
  #faulty = false

  constructor(maxBytes: number, onFrame: (frame: Uint8Array) => void, onFault: (fault: FrameFault) => void) {
    this.maxBytes = maxBytes
    this.#onFrame = onFrame
    this.#onFault = onFault
  }

  /** Takes the next chunk. Frames that lie in it whole are views into it, not copies. */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length && !this.#faulty) {
      at = this.#body === undefined ? this.#readLength(chunk, at) : this.#fill(chunk, at, this.#body)
    }
  }

  /** Stops reading: what is left of a chunk is not looked at. */
  stop(): void {
    this.#faulty = true
  }

  #readLength(chunk: Uint8Array, start: number): number {
    let at = start
    while (at < chunk.length) {
      const byte = chunk[at++] as number
      this.#length |= (byte & 0x7f) << (7 * this.#lengthBytes++)
      if (byte & 0x80) {
        if (this.#lengthBytes === MAX_LENGTH_BYTES) return this.#fail('too-large', at)
        continue
      }
      // No frame is empty, and a length has one encoding: no zero byte at its end.
      if (this.#length === 0 || (byte === 0 && this.#lengthBytes > 1)) return this.#fail('malformed', at)
      if (this.#length > this.maxBytes) return this.#fail('too-large', at)
      const length = this.#length
      this.#length = 0
      this.#lengthBytes = 0
      if (chunk.length - at >= length) {
        this.#onFrame(chunk.subarray(at, at + length))
        return at + length
      }
      this.#body = new Uint8Array(length)
      this.#filled = 0
      return at
    }
    return at
  }

  #fill(chunk: Uint8Array, at: number, body: Uint8Array): number {
    const part = chunk.subarray(at, at + body.length - this.#filled)
    body.set(part, this.#filled)
    this.#filled += part.length
    if (this.#filled === body.length) {
      this.#body = undefined
      this.#onFrame(body)
    }
    return at + part.length
  }

  #fail(fault: FrameFault, at: number): number {
    this.#faulty = true
    this.#onFault(fault)
    return at
  }
}
