/** An RTCDataChannel between two tabs, as browsers give it: reliable, in order, a message for each. */

import { Credits, contentOf, creditFrame, creditOf, type Flow, KIND, type SendWindow } from '../flow.ts'

/** Bytes that may wait in the channel; it is closed far beyond that. */
const MOST_BUFFERED = 4 * 1_048_576

/** Resolves when all candidates are in the description. */
async function gathered(connection: RTCPeerConnection): Promise<string> {
  while (connection.iceGatheringState !== 'complete') {
    await new Promise(resolve => connection.addEventListener('icegatheringstatechange', resolve, { once: true }))
  }
  return JSON.stringify(connection.localDescription)
}

/** Either end. */
export class ChannelEnd {
  readonly #connection = new RTCPeerConnection()
  readonly #window: SendWindow
  readonly #arrived: () => void
  readonly #credits: Credits
  #channel: RTCDataChannel | undefined
  #answered = (): void => {}

  constructor(window: SendWindow, arrived: () => void) {
    this.#window = window
    this.#arrived = arrived
    this.#credits = new Credits(count => this.#channel?.send(creditFrame(count)))
  }

  begin(window: number): void {
    this.#credits.reset(window)
  }

  async offer(): Promise<string> {
    const channel = this.#connection.createDataChannel('bench')
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = MOST_BUFFERED / 2
    channel.addEventListener('message', ({ data }) => {
      const credit = creditOf(new Uint8Array(data as ArrayBuffer))
      if (credit === undefined) this.#answered()
      else this.#window.free(credit)
    })
    this.#channel = channel
    await this.#connection.setLocalDescription()
    return gathered(this.#connection)
  }

  async answer(offer: string): Promise<string> {
    this.#connection.addEventListener('datachannel', ({ channel }) => {
      channel.binaryType = 'arraybuffer'
      this.#channel = channel
      channel.addEventListener('message', ({ data }) => {
        const frame = new Uint8Array(data as ArrayBuffer)
        if (frame[0] === KIND.question) return channel.send(frame)
        this.#arrived()
        this.#credits.arrived()
      })
    })
    await this.#connection.setRemoteDescription(JSON.parse(offer))
    await this.#connection.setLocalDescription()
    return gathered(this.#connection)
  }

  async accept(answer: string): Promise<void> {
    const channel = this.#channel as RTCDataChannel
    const open = new Promise(resolve => channel.addEventListener('open', resolve, { once: true }))
    await this.#connection.setRemoteDescription(JSON.parse(answer))
    if (channel.readyState !== 'open') await open
  }

  flow(): Flow {
    const channel = this.#channel as RTCDataChannel
    return {
      batch: 1,
      acknowledged: false,
      send: content => {
        channel.send(content as Uint8Array<ArrayBuffer>)
        if (channel.bufferedAmount < MOST_BUFFERED) return undefined
        return new Promise(resolve => channel.addEventListener('bufferedamountlow', resolve, { once: true }))
      },
      roundTrip: content =>
        new Promise<void>(resolve => {
          this.#answered = resolve
          channel.send(contentOf(content.length, KIND.question))
        }),
    }
  }
}
