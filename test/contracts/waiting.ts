import type { Carrier, CarrierEvents } from '../../src/network/carrier.ts'
import type { Network, NetworkEvents } from '../../src/network/network.ts'

interface Emitter {
  addEventListener(type: string, listener: (event: CustomEvent) => void): void
  removeEventListener(type: string, listener: (event: CustomEvent) => void): void
}

/** The detail of the next event of `type` for which `accept` holds. */
export function until<K extends keyof CarrierEvents>(
  emitter: Carrier,
  type: K,
  accept?: (detail: CarrierEvents[K]) => boolean,
): Promise<CarrierEvents[K]>
export function until<K extends keyof NetworkEvents>(
  emitter: Network,
  type: K,
  accept?: (detail: NetworkEvents[K]) => boolean,
): Promise<NetworkEvents[K]>
export function until(
  emitter: Carrier | Network,
  type: string,
  accept: (detail: never) => boolean = () => true,
): Promise<unknown> {
  const target = emitter as unknown as Emitter
  return new Promise(resolve => {
    const listener = ({ detail }: CustomEvent): void => {
      if (!accept(detail as never)) return
      target.removeEventListener(type, listener)
      resolve(detail)
    }
    target.addEventListener(type, listener)
  })
}

/** Resolves when `done()` holds, which only an event of `type` can bring about. */
export function eventually(emitter: Carrier, type: keyof CarrierEvents, done: () => boolean): Promise<void>
export function eventually(emitter: Network, type: keyof NetworkEvents, done: () => boolean): Promise<void>
export async function eventually(emitter: Carrier | Network, type: string, done: () => boolean): Promise<void> {
  if (!done()) await until(emitter as Carrier, type as keyof CarrierEvents, done)
}

/** Does `work` again, a turn of the event loop apart, until `reached` resolves; returns what the last round returned. */
export async function repeatUntil<T>(work: () => Promise<T>, reached: Promise<unknown>): Promise<T> {
  let over = false
  const watching = reached.then(() => {
    over = true
  })
  for (;;) {
    const result = await work()
    await Promise.race([watching, turn()])
    if (over) return result
  }
}

const FLOW = '/test/flow'
let flowing = 0

/**
 * Resolves when what a carrier publishes reaches a neighbour. That the neighbour is in a topic may be known before there
 * is a stream to it, and what is published until then reaches nobody.
 */
export async function flows(from: Carrier, to: Carrier): Promise<void> {
  for (const carrier of [from, to]) carrier.subscribe(FLOW, () => 'accept')
  for (;;) {
    const reached = await from.publish(FLOW, Uint8Array.of(++flowing, flowing >> 8, flowing >> 16))
    if (reached.includes(to.id)) return
    await turn()
  }
}

/** One turn of the event loop, so that sockets are read. */
export const turn = (): Promise<void> =>
  new Promise(resolve => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })
