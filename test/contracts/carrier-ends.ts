import { concat } from '../../src/common/bytes.ts'
import type { Channel } from '../../src/network/carrier.ts'

/** Sends all of `bytes` as fast as the peer takes them. */
export async function pour(channel: Channel, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += 16_384) {
    if (!channel.send(bytes.slice(at, at + 16_384))) await channel.drained()
  }
}

/** Attached to a channel: what arrives, to be taken in any portions. */
export class Reader {
  readonly channel: Channel
  readonly closed: Promise<Error | undefined>
  received = 0
  closings = 0
  onData: ((chunk: Uint8Array) => void) | undefined
  #chunks: Uint8Array[] = []
  #length = 0
  #wake: (() => void) | undefined

  constructor(channel: Channel) {
    this.channel = channel
    const { promise, resolve } = Promise.withResolvers<Error | undefined>()
    this.closed = promise
    channel.attach({
      data: chunk => {
        this.received += chunk.length
        if (this.onData !== undefined) return this.onData(chunk)
        this.#chunks.push(chunk.slice())
        this.#length += chunk.length
        this.#wake?.()
      },
      closed: error => {
        this.closings++
        resolve(error)
      },
    })
  }

  /** The next `length` bytes. */
  async take(length: number): Promise<Uint8Array> {
    while (this.#length < length) await new Promise<void>(resolve => (this.#wake = resolve))
    const all = concat(this.#chunks)
    this.#chunks = [all.subarray(length)]
    this.#length -= length
    return all.subarray(0, length)
  }
}

/** What gossip brought. */
export class Inbox {
  readonly texts: string[] = []
  readonly from = new Map<string, string>()
  readonly #waiting = new Set<() => void>()

  add(text: string, from: string): void {
    this.texts.push(text)
    this.from.set(text, from)
    for (const wake of [...this.#waiting]) wake()
  }

  /** The first text that matches, now or later. */
  next(pattern: RegExp): Promise<string> {
    return new Promise(resolve => {
      const look = (): void => {
        const found = this.texts.find(text => pattern.test(text))
        if (found === undefined) return
        this.#waiting.delete(look)
        resolve(found)
      }
      this.#waiting.add(look)
      look()
    })
  }
}
