/** Both ends of a peer that is a stream of bytes: frames that have their length in front, as agents have them. */

import { encodeFrames, FrameReader } from '../../../src/network/frames.ts'
import { Credits, contentOf, creditFrame, creditOf, KIND, type SendWindow } from '../flow.ts'
import type { Sending } from './adapter.ts'

const MAX_FRAME = 1_048_576
/** Frames of one write where they are written together; an agent writes what was sent in one turn at once. */
const BATCH = 32

const fault = (why: string): never => {
  throw new Error(`a raw stream: ${why}`)
}

/** The end that takes frames, tells how many came, and returns those that want it. One sender has it. */
export function framesOf(arrived: () => void) {
  let write: ((bytes: Uint8Array) => void) | undefined
  const credits = new Credits(count => write?.(encodeFrames([creditFrame(count)])))
  return {
    begin: (window: number) => credits.reset(window),
    reader: (toSender: (bytes: Uint8Array) => void): ((chunk: Uint8Array) => void) => {
      write = toSender
      const reader = new FrameReader(
        MAX_FRAME,
        frame => {
          if (frame[0] === KIND.question) return toSender(encodeFrames([frame]))
          arrived()
          credits.arrived()
        },
        fault,
      )
      return chunk => reader.push(chunk)
    },
  }
}

/** A stream of bytes to the other end. */
export interface ByteStream {
  /** Writes, and returns what to wait for before more, where it is full. */
  write(bytes: Uint8Array): Promise<unknown> | undefined
  listen(onData: (chunk: Uint8Array) => void): void
}

/** The end that sends them. */
export function framesTo(window: SendWindow, { write, listen }: ByteStream): Sending {
  let answered = (): void => {}
  const reader = new FrameReader(
    MAX_FRAME,
    frame => {
      const credit = creditOf(frame)
      if (credit === undefined) answered()
      else window.free(credit)
    },
    fault,
  )
  listen(chunk => reader.push(chunk))
  return {
    flow: mode => {
      const batch = mode === 'batched' ? BATCH : 1
      let question: Uint8Array | undefined
      return {
        batch,
        acknowledged: false,
        send: content => write(encodeFrames(batch === 1 ? [content] : new Array<Uint8Array>(batch).fill(content))),
        roundTrip: content =>
          new Promise<void>(resolve => {
            answered = resolve
            if (question?.length !== content.length) question = contentOf(content.length, KIND.question)
            void write(encodeFrames([question]))
          }),
      }
    },
  }
}
