/** A connector with a carrier that only dials, and as the test wants. */

import { DrivenClock } from '../../src/common/driven-clock.ts'
import { TypedEventTarget } from '../../src/common/events.ts'
import type { Random } from '../../src/common/random.ts'
import type { Card } from '../../src/identity/card.ts'
import type { Trust } from '../../src/identity/known-agents.ts'
import type { Carrier, CarrierEvents, Connection, LinkKind } from '../../src/network/carrier.ts'
import { Connector } from '../../src/network/connector.ts'

export const DIRECT = '/ip4/127.0.0.1/tcp/1'
export const ELSEWHERE = '/ip4/127.0.0.1/tcp/2'
export const RELAYED = '/dns4/r/tcp/443/wss/p2p-circuit'
export const WEBRTC = '/dns4/r/tcp/443/wss/p2p-circuit/webrtc'

/** See the head of this file. */
export class FakeCarrier extends TypedEventTarget<CarrierEvents> {
  readonly id = 'm'
  readonly #clock: DrivenClock
  own: string[] = []
  dials: { peer: string; addresses: readonly string[]; at: number }[] = []
  answer: (peer: string, addresses: readonly string[], signal: AbortSignal) => Promise<unknown> = async () => {
    throw new Error('down')
  }

  constructor(clock: DrivenClock) {
    super()
    this.#clock = clock
  }

  addresses = (): string[] => this.own

  reach(address: string): LinkKind | undefined {
    return address === RELAYED ? 'relayed' : [DIRECT, ELSEWHERE, WEBRTC].includes(address) ? 'direct' : undefined
  }

  async dial(peer: string, addresses: readonly string[], { signal }: { signal: AbortSignal }): Promise<Connection> {
    this.dials.push({ peer, addresses, at: this.#clock.monotonic() })
    return (await this.answer(peer, addresses, signal)) as Connection
  }

  /** When each dial was, ms. */
  times(): number[] {
    return this.dials.map(({ at }) => at)
  }

  /** Times between one dial and the next, ms. */
  pauses(): number[] {
    const times = this.times()
    return times.slice(1).map((at, i) => at - (times[i] as number))
  }
}

/** What a test of the connector has in hand. */
export interface ConnectorWorld {
  readonly clock: DrivenClock
  readonly carrier: FakeCarrier
  readonly cards: Map<string, Partial<Card>>
  readonly links: Map<string, LinkKind>
  readonly trusted: Map<string, Trust>
  readonly connector: Connector
}

const NO_CHANCE: Random = { bytes: length => new Uint8Array(length), float: () => 0.5 }

export function connectorWorld(random = NO_CHANCE): ConnectorWorld {
  const clock = new DrivenClock()
  const carrier = new FakeCarrier(clock)
  const cards = new Map<string, Partial<Card>>()
  const links = new Map<string, LinkKind>()
  const trusted = new Map<string, Trust>()
  const connector = new Connector({
    carrier: carrier as unknown as Carrier,
    clock,
    random,
    card: id => cards.get(id) as Card | undefined,
    link: id => links.get(id),
    links: () => links.size,
    trust: id => trusted.get(id) ?? 'stranger',
  })
  return { clock, carrier, cards, links, trusted, connector }
}
