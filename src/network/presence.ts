/**
 * Presence: every agent announces its card on the mesh's own topic, often enough to be missed when it stops. The larger
 * the mesh the slower the beat, so that the mesh's own traffic stays level.
 */

import { equal } from '../common/bytes.ts'
import { type Clock, repeat, type Timer } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import { type Card, openCard } from '../identity/card.ts'
import { decode, encode } from '../message/codec.ts'

/** The shortest pause between two announcements of one agent, ms. */
const MIN_PAUSE = 150
/** The beat of a small mesh, ms. */
const BEAT = 1_000
/** Announcements per second that a large mesh keeps to, all agents together. */
const BEATS_PER_SECOND = 20
/** How much a beat is drawn shorter or longer. */
const JITTER = 0.2
/** Beats that may be missed before an agent without a link is taken for gone. */
const MAX_MISSED_BEATS = 4
/** What a hidden tab may need between two timers, ms: browsers let them run once a minute. */
const HIDDEN_BEAT = 60_000

/** The most agents known at a time; those that left give way first. */
const MAX_KNOWN = 1_024

const ANNOUNCE = 0
const BYE = 1

/** An agent as presence knows it. */
export interface Presence {
  card: Card
  online: boolean
  hidden: boolean
  /** When it was last heard of, by the monotonic clock. */
  seenAt: number
}

/** What presence needs. */
export interface PresenceOptions {
  self: string
  clock: Clock
  random: Random
  /** This agent's card as it is now. */
  card: () => Card
  /** Whether this agent's own tab is hidden. */
  hidden: () => boolean
  /** Whether a live link says that an agent is there. */
  linked: (id: string) => boolean
  /** Takes a checked card into the directory; false when it is older than what is known or there is no room. */
  learn: (card: Card) => boolean
  publish: (payload: Uint8Array) => Promise<unknown>
  onOnline: (presence: Presence) => void
  onOffline: (id: string, reason: 'left' | 'silent') => void
  onChanged: (presence: Presence) => void
  /** A card of this agent's own id from another run of it. */
  onTwin: (card: Card) => void
}

/** See the head of this file. */
export class PresenceBook {
  readonly #options: PresenceOptions
  readonly #known = new Map<string, Presence>()
  #beat: Timer | undefined
  #sweep: Timer | undefined
  #pending: Timer | undefined
  #lastAnnounced = Number.NEGATIVE_INFINITY

  constructor(options: PresenceOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, random } = this.#options
    const interval = (): number => this.#interval() * (1 - JITTER + 2 * JITTER * random.float())
    this.#beat = repeat(clock, interval, () => this.announce())
    this.#sweep = repeat(
      clock,
      () => BEAT / 2,
      () => this.#dropSilent(),
    )
    this.announce()
  }

  stop(): void {
    this.#beat?.cancel()
    this.#sweep?.cancel()
    this.#pending?.cancel()
  }

  all(): readonly Presence[] {
    return [...this.#known.values()]
  }

  get(id: string): Presence | undefined {
    return this.#known.get(id)
  }

  /** Announces now, or as soon as the last announcement is long enough ago. */
  announce(): void {
    const { clock } = this.#options
    const wait = this.#lastAnnounced + MIN_PAUSE - clock.monotonic()
    if (wait > 0) {
      this.#pending ??= clock.after(wait, () => {
        this.#pending = undefined
        this.announce()
      })
      return
    }
    this.#lastAnnounced = clock.monotonic()
    const { card, hidden, publish } = this.#options
    // Nobody to hand it to yet is normal at start: joining peers and a new reservation announce again.
    publish(encode([ANNOUNCE, card().bytes, hidden()])).catch(() => {})
  }

  /** Says goodbye to those that have no link to this agent. */
  async bye(): Promise<void> {
    await this.#options.publish(encode([BYE])).catch(() => {})
  }

  /** Takes what an agent, proved as `author`, published. False for what makes no sense. */
  async received(author: string, payload: Uint8Array): Promise<boolean> {
    let value: unknown
    try {
      value = decode(payload)
    } catch {
      return false
    }
    if (!Array.isArray(value)) return false
    if (value[0] === BYE) {
      this.left(author)
      return true
    }
    const [type, bytes, hidden] = value
    if (type !== ANNOUNCE || !(bytes instanceof Uint8Array) || typeof hidden !== 'boolean') return false
    const known = this.#known.get(author)
    // The card of the last beat: its signature was checked then.
    if (known !== undefined && equal(known.card.bytes, bytes)) {
      this.#seen(known.card, hidden)
      return true
    }
    const card = await openCard(bytes).catch(() => undefined)
    if (card === undefined || card.id !== author) return false
    this.met(card, hidden)
    return true
  }

  /** Takes a checked card: from presence or from a hello. */
  met(card: Card, hidden?: boolean): void {
    const { self, learn, onTwin, card: own } = this.#options
    if (card.mesh !== own().mesh || card.expiresAt < this.#options.clock.now()) return
    if (card.id === self) {
      if (card.instance !== own().instance) onTwin(card)
      return
    }
    const known = this.#known.get(card.id)
    if (known !== undefined && card.seq < known.card.seq) return
    if (!learn(card) && known === undefined) return
    this.#seen(card, hidden ?? known?.hidden ?? false)
  }

  /** An agent said that it leaves. */
  left(id: string): void {
    this.#offline(id, 'left')
  }

  #seen(card: Card, hidden: boolean): void {
    const seenAt = this.#options.clock.monotonic()
    const known = this.#known.get(card.id)
    if (known === undefined && !this.#makeRoom()) return
    if (known === undefined || !known.online) {
      const presence: Presence = { card, online: true, hidden, seenAt }
      this.#known.set(card.id, presence)
      this.#options.onOnline(presence)
      // A newcomer should not wait a whole beat for those that are here.
      this.announce()
      return
    }
    const changed = known.card.seq !== card.seq || known.hidden !== hidden
    known.card = card
    known.hidden = hidden
    known.seenAt = seenAt
    if (changed) this.#options.onChanged(known)
  }

  /** The directory forgets cards that have expired; what is known here has a bound of its own. */
  #makeRoom(): boolean {
    if (this.#known.size < MAX_KNOWN) return true
    for (const [id, { online }] of this.#known) if (!online) return this.#known.delete(id)
    return false
  }

  #offline(id: string, reason: 'left' | 'silent'): void {
    const known = this.#known.get(id)
    if (known === undefined || !known.online) return
    known.online = false
    this.#options.onOffline(id, reason)
  }

  #dropSilent(): void {
    const now = this.#options.clock.monotonic()
    for (const [id, presence] of this.#known) {
      if (!presence.online || this.#options.linked(id)) continue
      const beat = presence.hidden ? HIDDEN_BEAT : this.#interval()
      if (now - presence.seenAt > beat * (1 + JITTER) * MAX_MISSED_BEATS) this.#offline(id, 'silent')
    }
  }

  #interval(): number {
    const online = this.all().filter(presence => presence.online).length + 1
    return Math.max(BEAT, (online / BEATS_PER_SECOND) * 1_000)
  }
}
