/**
 * Presence: every agent announces its card on the mesh's own topic, often enough to be missed when it stops. The larger
 * the mesh the slower the beat, so that the mesh's own traffic stays level; and slower again while nothing happens among
 * agents whose links watch each other anyway.
 *
 * Announcements are counted in each run of an agent, and a goodbye ends its run: what was recorded and is played again
 * is older than what was heard since, and counts for nothing.
 */

import { equal } from '../common/bytes.ts'
import { type Clock, repeat, type Timer } from '../common/clock.ts'
import type { Random } from '../common/random.ts'
import { type Card, isCount, MAX_CARD_LIFE, openCard } from '../identity/card.ts'
import type { Trust } from '../identity/known-agents.ts'
import { encode, tryDecode } from '../message/codec.ts'
import { GOSSIP_SKEW } from './gossip.ts'
import { Lately } from './lately.ts'

/** The shortest pause between two announcements of one agent, ms. */
const MIN_PAUSE = 150
/** The beat of a small mesh, ms. */
const BEAT = 1_000
/** Announcements per second that a large mesh keeps to, all agents together. */
const BEATS_PER_SECOND = 20
/** How long an agent that comes again and again is not answered for it, ms, and the same in pauses between two answers. */
const ANSWERED = 10_000
const ANSWERED_PAUSES = 10
/** How much a beat is drawn shorter or longer. */
const JITTER = 0.2
/** Beats that may be missed before an agent without a link is taken for gone. */
const MAX_MISSED_BEATS = 4
/**
 * How many times slower the beat of a calm agent is. Less than what may be missed: whoever loses the link to an agent
 * that does not know yet hears it once more in time.
 */
const CALM_FACTOR = 3
/** How long there must have been no news for calm, ms: long enough that what gossip lost was said again. */
const CALM_AFTER = 10_000
/** What a hidden tab may need between two timers, ms: browsers let them run once a minute. */
const HIDDEN_BEAT = 60_000

/** The most agents known at a time. */
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

interface Known extends Presence {
  /** The number of the newest announcement of this run of the agent, which its card names; -1 before the first. */
  count: number
  /** A goodbye: the run that it ended, and the newest card number that run can have had, as far as is known. */
  ended: { instance: string; seq: number } | undefined
}

/** What an announcement says beside the card. */
interface Announced {
  hidden: boolean
  count: number
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
  /** What the application made of an agent: strangers give way first. Default: all are strangers. */
  trust?: ((id: string) => Trust) | undefined
  /** Publishes to whoever is there, and tells to whom. */
  publish: (payload: Uint8Array) => Promise<readonly string[]>
  onOnline: (presence: Presence) => void
  onOffline: (id: string, reason: 'left' | 'silent') => void
  onChanged: (presence: Presence) => void
  /** A card of this agent's own id from another run of it. */
  onTwin: (card: Card) => void
}

/** See the head of this file. */
export class PresenceBook {
  readonly #options: PresenceOptions
  readonly #known = new Map<string, Known>()
  /** Who is offline; whoever has been for longest is first. */
  readonly #away = new Set<string>()
  /** Who was answered as a newcomer, and which neighbours for coming into the topic. */
  readonly #answered = new Lately()
  readonly #greeted = new Lately()
  /** Card numbers at goodbyes of who was never heard of: gossip may bring what was said before such a goodbye after it. */
  readonly #goodbyes = new Lately()
  #beat: Timer | undefined
  #sweep: Timer | undefined
  #pending: Timer | undefined
  #pendingAt = Number.POSITIVE_INFINITY
  #lastAnnounced = Number.NEGATIVE_INFINITY
  /** Announcements of this run. */
  #count = 0
  /** When there was last something that others should hear of this agent for, by the monotonic clock. */
  #lastNews = 0
  #wasCalm = false
  #stopped = false

  constructor(options: PresenceOptions) {
    this.#options = options
  }

  start(): void {
    this.#startBeat()
    this.#sweep = repeat(
      this.#options.clock,
      () => BEAT / 2,
      () => this.#look(),
    )
    this.announce()
  }

  stop(): void {
    this.#stopped = true
    this.#beat?.cancel()
    this.#beat = undefined
    this.#sweep?.cancel()
    this.#pending?.cancel()
  }

  all(): readonly Presence[] {
    return [...this.#known.values()]
  }

  get(id: string): Presence | undefined {
    return this.#known.get(id)
  }

  /**
   * Announces now, or as soon as the last announcement is long enough ago, and often for a while: there is news. Urgent
   * is what others need to reach this agent.
   */
  announce({ urgent = false } = {}): void {
    this.#news()
    if (urgent) this.#lastAnnounced = Number.NEGATIVE_INFINITY
    this.#announceIn(this.#pause(MIN_PAUSE))
  }

  /**
   * A neighbour, a relay perhaps, has come into the topic, and has heard nothing yet. It is answered as a newcomer is:
   * saying so again and again, or coming and going, has a mesh announce itself no more often.
   */
  neighbour(id: string): void {
    this.#answer(id, this.#greeted)
  }

  /** Says goodbye to those that have no link to this agent. Nothing that this run announced counts from then on. */
  async bye(): Promise<void> {
    await this.#options.publish(encode([BYE, this.#options.card().seq])).catch(() => {})
  }

  /** Takes what an agent, proved as `author`, published. False for what makes no sense. */
  async received(author: string, payload: Uint8Array): Promise<boolean> {
    const value = tryDecode(payload)
    if (!Array.isArray(value)) return false
    if (value[0] === BYE) return this.#receivedBye(author, value[1])
    const [type, bytes, hidden, count] = value
    if (type !== ANNOUNCE || !(bytes instanceof Uint8Array) || typeof hidden !== 'boolean' || !isCount(count)) {
      return false
    }
    const known = this.#known.get(author)
    // The card of the last beat: its signature was checked then.
    if (known !== undefined && equal(known.card.bytes, bytes)) {
      this.#take(known.card, { hidden, count })
      return true
    }
    const card = await openCard(bytes).catch(() => undefined)
    if (card === undefined || card.id !== author) return false
    this.#meet(card, { hidden, count })
    return true
  }

  /** Takes a checked card from a hello, over a connection that proves whose it is. */
  met(card: Card): void {
    this.#meet(card)
  }

  /** A run of an agent, named as on its cards, said on its own connection that it leaves. */
  left(id: string, instance: string): void {
    const known = this.#known.get(id)
    // An earlier run's goodbye can come late; a later run is none the less there.
    if (known?.card.instance === instance) this.#end(known, known.card.seq)
  }

  #receivedBye(author: string, seq: unknown): boolean {
    if (!isCount(seq)) return false
    const known = this.#known.get(author)
    if (known === undefined) this.#goodbyes.note(author, Math.max(seq, this.#goodbyes.last(author) ?? 0))
    else if (seq >= known.card.seq) this.#end(known, seq)
    return true
  }

  #end(known: Known, seq: number): void {
    known.ended = { instance: known.card.instance, seq: Math.max(seq, known.ended?.seq ?? 0) }
    this.#offline(known, 'left')
  }

  #meet(given: Card, announced?: Announced): void {
    const { self, clock, onTwin, card: own } = this.#options
    const now = clock.now()
    if (given.mesh !== own().mesh || given.expiresAt < now) return
    if (given.id === self) {
      if (given.instance !== own().instance) onTwin(given)
      return
    }
    // However long the author wants it to last: a card that nobody renews is not believed for ever.
    const expiresAt = Math.min(given.expiresAt, now + MAX_CARD_LIFE + GOSSIP_SKEW)
    this.#take({ ...given, expiresAt }, announced)
  }

  #take(card: Card, announced?: Announced): void {
    const known = this.#known.get(card.id)
    if (known !== undefined && isStale(known, card, announced)) return
    if (known === undefined && card.seq <= (this.#goodbyes.last(card.id) ?? -1)) return
    if (known === undefined && !this.#makeRoom(card.id)) return
    if (!this.#options.learn(card) && known === undefined) return
    this.#seen(known, card, announced)
  }

  #seen(known: Known | undefined, card: Card, announced: Announced | undefined): void {
    const seenAt = this.#options.clock.monotonic()
    const sameRun = known?.card.instance === card.instance
    const hidden = announced?.hidden ?? known?.hidden ?? false
    const count = announced?.count ?? (sameRun ? known.count : -1)
    if (known === undefined || !known.online) {
      const presence: Known = { card, online: true, hidden, seenAt, count, ended: undefined }
      this.#known.set(card.id, presence)
      this.#away.delete(card.id)
      this.#options.onOnline(presence)
      this.#answer(card.id, this.#answered)
      return
    }
    const changed = known.card.seq !== card.seq || known.hidden !== hidden
    Object.assign(known, { card, hidden, seenAt, count })
    if (changed) this.#options.onChanged(known)
  }

  /** Whether there is room for a newcomer, made where it has to be. */
  #makeRoom(newcomer: string): boolean {
    if (this.#known.size < MAX_KNOWN) return true
    const leaving = this.#leastMissed(newcomer)
    if (leaving === undefined) return false
    this.#offline(leaving, 'silent')
    this.#away.delete(leaving.card.id)
    return this.#known.delete(leaving.card.id)
  }

  /**
   * Who gives way: of those that are offline and not pinned by hand whoever has been for longest, strangers before those
   * that the application used. Agents that are online give way to no stranger, however many come; to one that the
   * application named, the stranger without a link does that was silent for longest.
   */
  #leastMissed(newcomer: string): Known | undefined {
    const { linked, trust = () => 'stranger' } = this.#options
    let used: Known | undefined
    for (const id of this.#away) {
      const known = this.#known.get(id)
      if (known === undefined || linked(id)) continue
      const worth = trust(id)
      if (worth === 'stranger') return known
      if (worth === 'used') used ??= known
    }
    if (used !== undefined || trust(newcomer) === 'stranger') return used
    let quietest: Known | undefined
    for (const [id, known] of this.#known) {
      if (!known.online || linked(id) || trust(id) !== 'stranger') continue
      if (quietest === undefined || known.seenAt < quietest.seenAt) quietest = known
    }
    return quietest
  }

  #offline(known: Known, reason: 'left' | 'silent'): void {
    if (!known.online) return
    known.online = false
    this.#away.add(known.card.id)
    // It may be this agent that nobody hears any more: when that ends, it should be heard soon.
    if (reason === 'silent') this.#news()
    this.#options.onOffline(known.card.id, reason)
  }

  /**
   * A newcomer should not wait a whole beat for those that are here. All of them answer: in a large mesh each at a moment
   * of its own, and no sooner after its last word than the beat allows to all together.
   */
  #answer(newcomer: string, answered: Lately): void {
    const { clock, hidden, random } = this.#options
    this.#news()
    const pause = Math.max(MIN_PAUSE, this.#share())
    // The next beat is its answer.
    if (answered.done(newcomer, clock.monotonic(), Math.min(ANSWERED, ANSWERED_PAUSES * pause))) return
    // The timers of a hidden tab may take a minute.
    const spread = hidden() ? 0 : random.float() * (pause - MIN_PAUSE)
    this.#announceIn(Math.max(this.#pause(pause), spread))
  }

  /** What is left of a pause since the last announcement. */
  #pause(pause: number): number {
    return this.#lastAnnounced + pause - this.#options.clock.monotonic()
  }

  /** Announces after `wait` ms, unless it does so before. */
  #announceIn(wait: number): void {
    const { clock } = this.#options
    if (this.#stopped) return
    if (wait <= 0) return this.#announce()
    const at = clock.monotonic() + wait
    if (at >= this.#pendingAt) return
    this.#pending?.cancel()
    this.#pendingAt = at
    this.#pending = clock.after(wait, () => this.#announce())
  }

  #announce(): void {
    const { clock, card, hidden, publish } = this.#options
    this.#pending?.cancel()
    this.#pendingAt = Number.POSITIVE_INFINITY
    this.#lastAnnounced = clock.monotonic()
    // Whatever it was said for, the next beat is as far from it as from another beat.
    if (this.#beat !== undefined) this.#startBeat()
    // Nobody to hand it to yet is normal at start: whoever comes then does not wait because of it.
    publish(encode([ANNOUNCE, card().bytes, hidden(), this.#count++])).then(
      recipients => {
        if (recipients.length === 0) this.#lastAnnounced = Number.NEGATIVE_INFINITY
      },
      () => {},
    )
  }

  #startBeat(): void {
    const { clock, random } = this.#options
    this.#beat?.cancel()
    const beat = (): number => this.#interval() * (this.#isCalm() ? CALM_FACTOR : 1)
    const interval = (): number => beat() * (1 - JITTER + 2 * JITTER * random.float())
    this.#beat = clock.after(interval(), () => this.#announce())
  }

  #look(): void {
    this.#dropSilent()
    const calm = this.#isCalm()
    // A link is gone, perhaps: whoever was at its other end should hear that this agent is not.
    if (this.#wasCalm && !calm) this.#announce()
    this.#wasCalm = calm
  }

  #dropSilent(): void {
    const now = this.#options.clock.monotonic()
    for (const [id, known] of this.#known) {
      if (!known.online || this.#options.linked(id)) continue
      const beat = known.hidden ? HIDDEN_BEAT : this.#interval()
      if (now - known.seenAt > beat * (1 + JITTER) * MAX_MISSED_BEATS) this.#offline(known, 'silent')
    }
  }

  #news(): void {
    this.#lastNews = this.#options.clock.monotonic()
  }

  /** Nothing has happened for a while, and everybody who is there has a link to this agent that would tell of its end. */
  #isCalm(): boolean {
    if (this.#options.clock.monotonic() - this.#lastNews < CALM_AFTER) return false
    const online = [...this.#known].filter(([, known]) => known.online)
    return online.length > 0 && online.every(([id]) => this.#options.linked(id))
  }

  #interval(): number {
    return Math.max(BEAT, this.#share())
  }

  /** The time between two announcements of each agent that keeps all of them together to what a large mesh may, ms. */
  #share(): number {
    const online = this.#known.size - this.#away.size + 1
    return (online / BEATS_PER_SECOND) * 1_000
  }
}

/** Whether a card, or an announcement of it, is not newer than what was heard from its agent before. */
function isStale({ card: known, count, ended }: Known, card: Card, announced: Announced | undefined): boolean {
  if (ended !== undefined && (card.instance === ended.instance || card.seq <= ended.seq)) return true
  if (card.instance !== known.instance) return card.seq <= known.seq
  return card.seq < known.seq || (announced !== undefined && announced.count <= count)
}
