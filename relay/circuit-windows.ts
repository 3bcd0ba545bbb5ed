/**
 * Bounds what a relay holds of each circuit. libp2p joins the two streams of one by a queue without a bound, and lets each
 * end go on sending while the other reads nothing. Here the window of an end opens again only as what it sent goes on.
 */

import type { Stream } from '@libp2p/interface'

/** What an end may send before it is read, bytes: yamux begins with it, and would let it grow to 16 MiB. */
const WINDOW = 262_144

/** What may be on its way to the other end while a window opens again, bytes: without it links that are long would wait. */
const UNDER_WAY = WINDOW / 2

/** What of yamux's own streams is needed here. */
interface Windowed extends Stream {
  maxStreamWindowSize: number
  /** Lets the other side send again what its window holds. */
  sendWindowUpdate(): void
}

/** The part of libp2p's circuit relay that is needed here. */
interface Circuits {
  /** Asks the peer that is to be reached, and joins its stream with the one of the peer that asked. */
  handleConnect(hop: { readonly stream: { unwrap(): Stream } }, options: object): Promise<void>
  stopHop(stop: never, options: object): Promise<Stream | undefined>
}

/** Has a circuit relay hold no more than some windows of each circuit. */
export function boundCircuits(circuits: object): void {
  const relay = circuits as Circuits
  const handleConnect = relay.handleConnect
  relay.handleConnect = async (hop, options) => {
    let reached: Stream | undefined
    const stopHop: Circuits['stopHop'] = async (...stop) => {
      reached = await relay.stopHop(...stop)
      return reached
    }
    await handleConnect.call(Object.assign(Object.create(relay), { stopHop }), hop, options)
    if (reached === undefined) return
    // Only now: whoever listens before libp2p does takes what has come already.
    const asking = hop.stream.unwrap()
    openAsItGoesOn(asking as Windowed, reached)
    openAsItGoesOn(reached as Windowed, asking)
  }
}

function openAsItGoesOn(from: Windowed, to: Stream): void {
  let queued = 0
  const mayGoOn = (): boolean => queued + to.writeBufferLength < UNDER_WAY
  const open = from.sendWindowUpdate.bind(from)
  from.maxStreamWindowSize = WINDOW
  from.sendWindowUpdate = () => {
    if (mayGoOn()) open()
  }
  const look = (): void => {
    if (from.status === 'open') from.sendWindowUpdate()
  }
  from.addEventListener('message', ({ data }) => {
    queued += data.byteLength
  })
  const send = to.send.bind(to)
  to.send = data => {
    // What came before this was told of it is counted here alone.
    queued = Math.max(0, queued - data.byteLength)
    const more = send(data)
    look()
    return more
  }
  to.addEventListener('drain', look)
  to.addEventListener('idle', look)
}
