/** Gossip topics of one agent: signs what it publishes, checks what comes before anybody sees or forwards it. */

import type { Clock } from '../common/clock.ts'
import { AfpMessageError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import type { Identity } from '../identity/keys.ts'
import type { Carrier, Verdict } from './carrier.ts'
import { GOSSIP_BATCH_BYTES, GOSSIP_BATCH_SIZE, MAX_PAYLOAD_BYTES, openGossip, sealGossip } from './gossip.ts'
import type { RefusalReason } from './network.ts'
import { Refusal } from './refusal.ts'
import { Shares } from './shares.ts'

/** Takes a payload; false when it makes no sense, which is held against its author. */
export type PayloadHandler = (author: string, payload: Uint8Array) => Promise<boolean>

/** What the hub needs. */
export interface GossipHubOptions {
  carrier: Carrier
  identity: Identity
  clock: Clock
  random: Random
  /** The largest gossip message, bytes. */
  maxBytes: number
  onRefused: (peer: string, reason: RefusalReason, detail: string) => void
}

interface Outgoing {
  payloads: Uint8Array[]
  bytes: number
  sent: Promise<readonly string[]>
}

/** Reasons that an honest neighbour may have for forwarding something: its clock, its version or its limits differ. */
const FORGIVEN: ReadonlySet<RefusalReason> = new Set(['clock-skew', 'wrong-version', 'too-large'])

/**
 * Messages that are handed on in a second, this agent's own included. A relay that is handed more than 1,000 no longer
 * listens: whoever floods an agent would have it muted.
 */
const PER_SECOND = 800

/** See the head of this file. */
export class GossipHub {
  readonly #options: GossipHubOptions
  readonly #outgoing = new Map<string, Outgoing>()
  /** What was handed on in which second, by the neighbour it came from. */
  #handed = new Shares()
  #second = 0

  constructor(options: GossipHubOptions) {
    this.#options = options
  }

  join(topic: string, handler: PayloadHandler): void {
    this.#options.carrier.subscribe(topic, (data, from) => this.#received(topic, data, from, handler))
  }

  leave(topic: string): void {
    this.#options.carrier.unsubscribe(topic)
  }

  /**
   * Publishes a payload together with the others of this turn; resolves with the peers they were handed to.
   * @throws AfpMessageError MESSAGE_TOO_LARGE for one that nobody would take
   */
  publish(topic: string, payload: Uint8Array): Promise<readonly string[]> {
    if (payload.length > MAX_PAYLOAD_BYTES) return Promise.reject(tooLarge(payload))
    const open = this.#outgoing.get(topic)
    const full =
      open !== undefined &&
      (open.bytes + payload.length > GOSSIP_BATCH_BYTES || open.payloads.length >= GOSSIP_BATCH_SIZE)
    if (open !== undefined && !full) {
      open.payloads.push(payload)
      open.bytes += payload.length
      return open.sent
    }
    const payloads = [payload]
    const batch: Outgoing = {
      payloads,
      bytes: payload.length,
      sent: Promise.resolve().then(() => this.#send(topic, batch)),
    }
    this.#outgoing.set(topic, batch)
    return batch.sent
  }

  async #send(topic: string, batch: Outgoing): Promise<readonly string[]> {
    if (this.#outgoing.get(topic) === batch) this.#outgoing.delete(topic)
    const { identity, clock, random, carrier } = this.#options
    const data = await sealGossip(identity, topic, batch.payloads, { now: clock.now(), random })
    this.#ofThisSecond().take(undefined)
    return carrier.publish(topic, data)
  }

  async #received(topic: string, data: Uint8Array, from: string, handler: PayloadHandler): Promise<Verdict> {
    const { clock, maxBytes, onRefused } = this.#options
    try {
      const { author, payloads } = await openGossip(topic, data, { now: clock.now(), maxBytes })
      const taken = await Promise.all(payloads.map(payload => handler(author, payload)))
      if (taken.every(Boolean)) return this.#forwards(from) ? 'accept' : 'ignore'
      // Whoever forwards looks at the signature, not inside: held against it, one stranger could turn a mesh from its relay.
      onRefused(author, 'malformed', 'a payload')
      return 'ignore'
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      onRefused(from, error.reason, error.message)
      return FORGIVEN.has(error.reason) ? 'ignore' : 'reject'
    }
  }

  /** Shared between neighbours: what one of them brings does not keep those of others from being forwarded. */
  #forwards(from: string): boolean {
    const handed = this.#ofThisSecond()
    if (handed.full(from, PER_SECOND)) return false
    handed.take(from)
    return true
  }

  #ofThisSecond(): Shares {
    const second = Math.floor(this.#options.clock.monotonic() / 1_000)
    if (second !== this.#second) this.#handed = new Shares()
    this.#second = second
    return this.#handed
  }
}

function tooLarge({ length }: Uint8Array): AfpMessageError {
  const why = `the message has ${length} bytes; over gossip there are at most ${MAX_PAYLOAD_BYTES}, and it was not sent`
  return new AfpMessageError('MESSAGE_TOO_LARGE', why)
}
