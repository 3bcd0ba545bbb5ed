/**
 * Who dials whom, and when again. Of two agents the one with the lower id dials, except where only one of them can be
 * dialled directly: then the other does. A relayed link is the start of a better one, never its end: the direct dial is
 * tried again with growing pauses.
 */

import type { Clock, Timer } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import type { Card } from '../identity/card.ts'
import type { Carrier, Connection } from './carrier.ts'

/** The first pause after a failed dial, ms; each failure doubles it. */
const FIRST_PAUSE = 1_000
/** The longest pause before a relayed link is tried to be made direct again, ms. */
const LONGEST_PAUSE = 60_000
/** The longest pause while there is no link at all, ms: gossip says that the agent is there, so a way may come any time. */
const LONGEST_PAUSE_WITHOUT_LINK = 10_000
/** How long the side that need not dial waits before it does, ms. */
const GRACE = 4_000
/** How long a dial may take, ms. */
const DIAL_TIMEOUT = 10_000
/**
 * Dials under way at a time: at first and at least, and at the most. A dial costs both sides and the relay dear, and on a
 * machine that is short of time many at once all run out of it; so each that succeeds allows one more, and each that was
 * slow and failed halves them.
 */
const FEW_DIALS = 2
const MAX_DIALS = 6
/** A dial that failed after this long failed for want of time, ms. */
const SLOW_DIAL = 4_000
/** Links that are made before anyone sends; beyond them, agents are dialled when they are sent something. */
const MAX_EAGER_LINKS = 48

/** What the connector needs. */
export interface ConnectorOptions {
  carrier: Carrier
  clock: Clock
  random: Random
  /** The card of an agent that is online. */
  card: (id: string) => Card | undefined
  /** The best link there is to an agent. */
  link: (id: string) => 'direct' | 'relayed' | undefined
  links: () => number
}

interface Target {
  failures: number
  timer: Timer | undefined
  dialling: Promise<void> | undefined
}

/** See the head of this file. */
export class Connector {
  readonly #options: ConnectorOptions
  readonly #targets = new Map<string, Target>()
  readonly #stop = new AbortController()
  /** Whose turn to be dialled has come, but for the number of dials under way. */
  readonly #waiting = new Map<string, Target>()
  #dials = 0
  #allowed = FEW_DIALS

  constructor(options: ConnectorOptions) {
    this.#options = options
  }

  stop(): void {
    this.#stop.abort()
    for (const target of this.#targets.values()) target.timer?.cancel()
    this.#targets.clear()
    this.#waiting.clear()
  }

  /** An agent came, or its addresses or this agent's own changed: old failures say nothing any more. */
  consider(id: string): void {
    if (this.#stop.signal.aborted) return
    const target = this.#target(id)
    target.failures = 0
    this.#schedule(id, target, this.#dialsFirst(id) ? 0 : GRACE)
  }

  /** A link closed or got worse. */
  lost(id: string): void {
    const target = this.#targets.get(id)
    if (target !== undefined) this.#schedule(id, target, this.#dialsFirst(id) ? 0 : GRACE)
  }

  /** An agent left. */
  forget(id: string): void {
    this.#targets.get(id)?.timer?.cancel()
    this.#targets.delete(id)
    this.#waiting.delete(id)
  }

  /** Somebody wants to send: any link will do, now. Resolves when the attempts have ended, well or not. */
  async hurry(id: string): Promise<void> {
    const addresses = this.#addresses(id)
    const attempts: Promise<unknown>[] = []
    const target = this.#target(id)
    if (target.dialling !== undefined) attempts.push(target.dialling)
    else if (addresses.direct.length > 0 && this.#dialsFirst(id)) attempts.push(this.#attempt(id, target))
    // The relayed link is there in a moment, while WebRTC is still being agreed on.
    if (addresses.relayed.length > 0) attempts.push(this.#dial(id, addresses.relayed))
    else if (addresses.direct.length > 0 && attempts.length === 0) attempts.push(this.#attempt(id, target))
    await Promise.allSettled(attempts)
  }

  #target(id: string): Target {
    let target = this.#targets.get(id)
    if (target === undefined) {
      target = { failures: 0, timer: undefined, dialling: undefined }
      this.#targets.set(id, target)
    }
    return target
  }

  #schedule(id: string, target: Target, pause: number): void {
    target.timer?.cancel()
    this.#waiting.delete(id)
    target.timer = this.#options.clock.after(pause, () => this.#turn(id, target))
  }

  #turn(id: string, target: Target): void {
    if (!this.#wanted(id)) return
    if (this.#dials >= this.#allowed) this.#waiting.set(id, target)
    else void this.#attempt(id, target)
  }

  #wanted(id: string): boolean {
    const { card, link, links } = this.#options
    if (this.#stop.signal.aborted || card(id) === undefined || link(id) === 'direct') return false
    return link(id) !== undefined || links() < MAX_EAGER_LINKS
  }

  #attempt(id: string, target: Target): Promise<void> {
    target.dialling ??= this.#upgrade(id).finally(() => {
      target.dialling = undefined
      if (!this.#wanted(id) || this.#targets.get(id) !== target) return
      const { direct, relayed } = this.#addresses(id)
      // With nothing better to dial than what there is, a change of addresses will bring it up again.
      if (direct.length === 0 && (relayed.length === 0 || this.#options.link(id) !== undefined)) return
      target.failures++
      const longest = this.#options.link(id) === undefined ? LONGEST_PAUSE_WITHOUT_LINK : LONGEST_PAUSE
      const pause = Math.min(FIRST_PAUSE * 2 ** (target.failures - 1), longest)
      this.#schedule(id, target, pause * (0.8 + 0.4 * this.#options.random.float()))
    })
    return target.dialling
  }

  #nextTurn(): void {
    while (this.#dials < this.#allowed) {
      const [next] = this.#waiting
      if (next === undefined) return
      this.#waiting.delete(next[0])
      this.#turn(...next)
    }
  }

  async #upgrade(id: string): Promise<void> {
    const { direct, relayed } = this.#addresses(id)
    if (direct.length > 0 && (await this.#dial(id, direct)) !== undefined) return
    if (this.#options.link(id) === undefined && relayed.length > 0) await this.#dial(id, relayed)
  }

  async #dial(id: string, addresses: readonly string[]): Promise<Connection | undefined> {
    const { clock } = this.#options
    const started = clock.monotonic()
    this.#dials++
    const timeout = new AbortController()
    const timer = clock.after(DIAL_TIMEOUT, () => timeout.abort(new Error('the dial took too long')))
    try {
      const signal = AbortSignal.any([this.#stop.signal, timeout.signal])
      const connection = await this.#options.carrier.dial(id, addresses, { signal })
      this.#allowed = Math.min(this.#allowed + 1, MAX_DIALS)
      return connection
    } catch {
      if (clock.monotonic() - started >= SLOW_DIAL) this.#allowed = Math.max(this.#allowed >> 1, FEW_DIALS)
      return undefined
    } finally {
      timer.cancel()
      this.#dials--
      this.#nextTurn()
    }
  }

  /** An agent's addresses by what they can give this one. */
  #addresses(id: string): { direct: string[]; relayed: string[] } {
    const { carrier, card } = this.#options
    const addresses = card(id)?.addresses ?? []
    return {
      direct: addresses.filter(address => carrier.reach(address) === 'direct'),
      relayed: addresses.filter(address => carrier.reach(address) === 'relayed'),
    }
  }

  #dialsFirst(id: string): boolean {
    const { carrier, card } = this.#options
    const own = listens(carrier.addresses())
    const other = listens(card(id)?.addresses ?? [])
    return own === other ? carrier.id < id : other
  }
}

/** Whether an agent with these addresses can be dialled without a relay. */
const listens = (addresses: readonly string[]): boolean => addresses.some(address => !address.includes('/p2p-circuit'))
