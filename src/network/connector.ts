/**
 * Who dials whom, and when again. Of two agents the one with the lower id dials, except where only one of them can be
 * dialled directly: then the other does. A relayed link is the start of a better one, never its end: the direct dial is
 * tried again with growing pauses.
 *
 * An agent's addresses are its own word, and may be somebody else's: however often it changes them, comes and goes,
 * opens links and drops them, what is dialled for it keeps to a number of dials in a time. Nor do strangers whose
 * addresses nobody answers hold up others: agents that the application named or used go first, and strangers that kept
 * a dial waiting go last.
 */

import { within } from '../common/abort.ts'
import type { Clock, Timer } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import type { Card } from '../identity/card.ts'
import type { Trust } from '../identity/known-agents.ts'
import type { Carrier, Connection } from './carrier.ts'

/** The first pause after a dial, ms; each that brought no link doubles it. */
const FIRST_PAUSE = 1_000
/** The longest pause before a relayed link is tried to be made direct again, ms. */
const LONGEST_PAUSE = 60_000
/** The longest pause while there is no link at all, ms: gossip says that the agent is there, so a way may come any time. */
const LONGEST_PAUSE_WITHOUT_LINK = 10_000
/** How often what an agent says of itself, or its return, ends a pause that failed dials have earned, ms: once a minute. */
const NEWS_PAUSE = 60_000
/** Dials that one agent can cause in a row, eager ones and those that were asked for together. */
const DIALS_IN_A_ROW = 12
/** What one of them takes to be given back, ms. */
const DIAL_RETURN = 4_000
/** Agents of which it is kept how they were dialled, whether they are there or not. */
const MAX_TARGETS = 2_048
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
/** A dial that failed after this long failed for want of time, or because nobody answers, ms. */
const SLOW_DIAL = 4_000
/**
 * How long a dial to an agent without a link counts among those under way, ms; then it is one of those that nobody
 * answers, which cost next to nothing, and the next one begins. A host either answers soon or hardly ever; through a relay
 * it takes longer where there is little time, and beside a relayed link, whose other end is there, a dial always counts.
 */
const HOST_ANSWERS = 1_000
/** The most dials under way that nobody answers. */
const MAX_UNANSWERED = 8
/** The longest pause after slow dials to a stranger, ms; each makes it four times as long. */
const LONGEST_PAUSE_OF_SLOW = 300_000
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
  /** What the application made of an agent: strangers are dialled last. Default: all are strangers. */
  trust?: ((id: string) => Trust) | undefined
}

interface Target {
  failures: number
  /** Dials that were slow and failed since there was a direct link. What its agent says of itself does not undo them. */
  slow: number
  timer: Timer | undefined
  dialling: Promise<void> | undefined
  /** A dial through a relay beside it, for somebody who wants to send. */
  relaying: Promise<unknown> | undefined
  /** Whether the agent is there. */
  present: boolean
  /** The run of it that is dialled, as its card names it; dials end with it. */
  run: string | undefined
  stop: AbortController
  /** The addresses that were last considered: the agent's, none while it is away, and this one's own. */
  theirs: string
  own: string
  /** When it may be dialled again without being asked for, by the monotonic clock. */
  notBefore: number
  /** When news last ended a pause, and whether anything was dialled since. */
  newsAt: number
  dialled: boolean
  /** Dials that are left, and when that was counted. */
  allowance: number
  countedAt: number
}

/** See the head of this file. */
export class Connector {
  readonly #options: ConnectorOptions
  /** By id; the one that was made first is first. */
  readonly #targets = new Map<string, Target>()
  readonly #stop = new AbortController()
  /** Whose turn to be dialled has come, but for the number of dials under way. */
  readonly #waiting = new Map<string, Target>()
  #dials = 0
  #unanswered = 0
  #allowed = FEW_DIALS

  constructor(options: ConnectorOptions) {
    this.#options = options
  }

  stop(): void {
    this.#stop.abort()
    for (const target of this.#targets.values()) {
      target.timer?.cancel()
      target.stop.abort()
    }
    this.#targets.clear()
    this.#waiting.clear()
  }

  /**
   * An agent came, or something about it or this agent changed. Where that are addresses, old failures say nothing any
   * more; but news of the other side end the pause that they have earned once a minute only.
   */
  consider(id: string): void {
    if (this.#stop.signal.aborted) return
    const { carrier, card, clock } = this.#options
    const target = this.#target(id)
    const { addresses = [], instance: run } = card(id) ?? {}
    const theirs = setOf(addresses)
    const own = setOf(carrier.addresses())
    const news = theirs !== target.theirs || run !== target.run
    if (run !== target.run) callOff(target)
    const now = clock.monotonic()
    if (own !== target.own) target.slow = 0
    const heeded = own !== target.own || (news && (!target.dialled || now - target.newsAt >= NEWS_PAUSE))
    Object.assign(target, { present: true, run, theirs, own })
    if (heeded) {
      Object.assign(target, { failures: 0, notBefore: 0, dialled: false })
      if (news) target.newsAt = now
    }
    const pending = target.timer !== undefined || target.dialling !== undefined || this.#waiting.has(id)
    if (heeded || !pending) this.#scheduleNext(id, target)
  }

  /** A link closed or got worse. */
  lost(id: string): void {
    const target = this.#targets.get(id)
    if (target?.present) this.#scheduleNext(id, target)
  }

  /**
   * An agent left, or is not heard any more. How it was dialled is kept: it may be back in a moment. Nobody answers a dial
   * to a run that said goodbye, so that is called off: until it had failed of itself, who is back would not be dialled.
   */
  forget(id: string, reason: 'left' | 'silent'): void {
    const target = this.#targets.get(id)
    if (target === undefined) return
    if (reason === 'left') callOff(target)
    Object.assign(target, { present: false, theirs: '' })
    target.timer?.cancel()
    target.timer = undefined
    this.#waiting.delete(id)
  }

  /** Somebody wants to send: any link will do, now. Resolves when the attempts have ended, well or not. */
  async hurry(id: string): Promise<void> {
    const { card, link } = this.#options
    const run = card(id)?.instance
    const addresses = this.#addresses(id)
    const attempts: Promise<unknown>[] = []
    const target = this.#target(id)
    if (target.dialling !== undefined) attempts.push(target.dialling)
    else if (addresses.direct.length > 0 && this.#dialsFirst(id)) attempts.push(this.#attempt(id, target))
    // The relayed link is there in a moment, while WebRTC is still being agreed on.
    if (addresses.relayed.length > 0) attempts.push(this.#relay(id, target, addresses.relayed))
    else if (addresses.direct.length > 0 && attempts.length === 0) attempts.push(this.#attempt(id, target))
    await Promise.allSettled(attempts)
    const next = card(id)?.instance
    // They were for a run that is over.
    if (next !== undefined && next !== run && link(id) === undefined) await this.hurry(id)
  }

  #target(id: string): Target {
    let target = this.#targets.get(id)
    if (target === undefined) {
      this.#dropOldTargets()
      target = {
        failures: 0,
        slow: 0,
        timer: undefined,
        dialling: undefined,
        relaying: undefined,
        present: false,
        run: undefined,
        stop: new AbortController(),
        theirs: '',
        own: '',
        notBefore: 0,
        newsAt: 0,
        dialled: false,
        allowance: DIALS_IN_A_ROW,
        countedAt: this.#options.clock.monotonic(),
      }
      this.#targets.set(id, target)
    }
    return target
  }

  #dropOldTargets(): void {
    if (this.#targets.size < MAX_TARGETS) return
    for (const [id, { present, dialling, relaying }] of this.#targets) {
      if (present || dialling !== undefined || relaying !== undefined) continue
      this.#targets.delete(id)
      return
    }
  }

  /** Dials when the pause that runs is over, and when it is this side's turn. */
  #scheduleNext(id: string, target: Target): void {
    const pause = target.notBefore - this.#options.clock.monotonic()
    this.#schedule(id, target, Math.max(pause, this.#dialsFirst(id) ? 0 : GRACE))
  }

  #schedule(id: string, target: Target, pause: number): void {
    target.timer?.cancel()
    this.#waiting.delete(id)
    target.timer = this.#options.clock.after(pause, () => {
      target.timer = undefined
      this.#turn(id, target)
    })
  }

  #turn(id: string, target: Target): void {
    if (this.#options.link(id) === 'direct') Object.assign(target, { failures: 0, slow: 0 })
    if (!this.#wanted(id)) return
    if (this.#dials >= this.#allowed) this.#waiting.set(id, target)
    else void this.#attempt(id, target)
  }

  #wanted(id: string): boolean {
    const { card, link, links } = this.#options
    if (this.#stop.signal.aborted || card(id) === undefined || link(id) === 'direct') return false
    const { direct, relayed } = this.#addresses(id)
    // With nothing better to dial than what there is, a change of addresses will bring it up again.
    if (direct.length === 0 && (relayed.length === 0 || link(id) !== undefined)) return false
    return link(id) !== undefined || links() < MAX_EAGER_LINKS
  }

  #attempt(id: string, target: Target): Promise<void> {
    const { signal } = target.stop
    target.dialling ??= this.#upgrade(id, target, signal).finally(() => {
      target.dialling = undefined
      if (!signal.aborted) this.#pause(id, target)
      if (!this.#wanted(id) || this.#targets.get(id) !== target) return
      this.#schedule(id, target, target.notBefore - this.#options.clock.monotonic())
    })
    return target.dialling
  }

  /** A dial has ended: until when the next one waits, whoever brings it up. */
  #pause(id: string, target: Target): void {
    const { clock, random, link } = this.#options
    const longest = link(id) === undefined ? LONGEST_PAUSE_WITHOUT_LINK : LONGEST_PAUSE
    if (link(id) === 'direct') Object.assign(target, { failures: 0, slow: 0 })
    else target.failures++
    const usual = Math.min(FIRST_PAUSE * 2 ** Math.max(target.failures - 1, 0), longest)
    const slow = this.#isStranger(id) ? target.slow : 0
    const pause = slow === 0 ? usual : Math.max(usual, Math.min(FIRST_PAUSE * 4 ** slow, LONGEST_PAUSE_OF_SLOW))
    target.notBefore = clock.monotonic() + pause * (0.8 + 0.4 * random.float())
  }

  #relay(id: string, target: Target, addresses: readonly string[]): Promise<unknown> {
    target.relaying ??= this.#dial(id, target, addresses, target.stop.signal).finally(() => {
      target.relaying = undefined
    })
    return target.relaying
  }

  #isStranger(id: string): boolean {
    return (this.#options.trust?.(id) ?? 'stranger') === 'stranger'
  }

  /** Whose turn it is of those that wait: among equals by chance, so that nobody is first by being many or early. */
  #next(): [string, Target] | undefined {
    let least = Number.POSITIVE_INFINITY
    let first: [string, Target][] = []
    for (const entry of this.#waiting) {
      const place = this.#isStranger(entry[0]) ? 1 + entry[1].slow : 0
      if (place > least) continue
      if (place < least) first = []
      least = place
      first.push(entry)
    }
    return first[Math.floor(this.#options.random.float() * first.length)]
  }

  #nextTurn(): void {
    while (this.#dials < this.#allowed) {
      const next = this.#next()
      if (next === undefined) return
      this.#waiting.delete(next[0])
      this.#turn(...next)
    }
  }

  async #upgrade(id: string, target: Target, signal: AbortSignal): Promise<void> {
    const { direct, relayed } = this.#addresses(id)
    // WebRTC is agreed on over a relayed connection, and takes the one that is there instead of making its own beside it.
    const relayFirst = relayed.length > 0 && this.#options.link(id) === undefined && !listens(direct)
    if (relayFirst) await this.#relay(id, target, relayed)
    if (direct.length > 0 && (await this.#dial(id, target, direct, signal)) !== undefined) return
    if (!relayFirst && !signal.aborted && relayed.length > 0 && this.#options.link(id) === undefined) {
      await this.#relay(id, target, relayed)
    }
  }

  async #dial(
    id: string,
    target: Target,
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<Connection | undefined> {
    const { clock, link } = this.#options
    if (signal.aborted || !this.#allow(target)) return undefined
    target.dialled = true
    const started = clock.monotonic()
    let counts = true
    this.#dials++
    const waited = clock.after(listens(addresses) ? HOST_ANSWERS : SLOW_DIAL, () => {
      if (link(id) !== undefined || this.#unanswered >= MAX_UNANSWERED) return
      counts = false
      this.#unanswered++
      this.#dials--
      this.#nextTurn()
    })
    try {
      const late = (): Error => new Error('not connected in time')
      const connection = await within(clock, DIAL_TIMEOUT, late, signal, given =>
        this.#options.carrier.dial(id, addresses, { signal: given }),
      )
      this.#allowed = Math.min(this.#allowed + 1, MAX_DIALS)
      return connection
    } catch {
      if (!signal.aborted && clock.monotonic() - started >= SLOW_DIAL) {
        target.slow++
        if (counts) this.#allowed = Math.max(this.#allowed >> 1, FEW_DIALS)
      }
      return undefined
    } finally {
      waited.cancel()
      if (counts) this.#dials--
      else this.#unanswered--
      this.#nextTurn()
    }
  }

  /** Takes one of the dials that an agent can cause; false when it has had too many of late. */
  #allow(target: Target): boolean {
    const now = this.#options.clock.monotonic()
    const returned = (now - target.countedAt) / DIAL_RETURN
    target.allowance = Math.min(target.allowance + returned, DIALS_IN_A_ROW)
    target.countedAt = now
    if (target.allowance < 1) return false
    target.allowance--
    return true
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

const setOf = (addresses: readonly string[]): string => JSON.stringify([...new Set(addresses)].sort())

/** Ends the dials to an agent's run that is over. */
function callOff(target: Target): void {
  target.stop.abort(new Error('the agent has gone'))
  target.stop = new AbortController()
}
