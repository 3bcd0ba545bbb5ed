/**
 * An author, a reader and a network that loses, doubles and reorders whatever they say, with disks that keep only what
 * was committed. Every step is checked against what really happened, kept in plain sets.
 */

import { AuthorFeed, type FeedAck, type FeedState } from '../../src/feed/author-feed.ts'
import { Epochs, type Handed } from '../../src/feed/epochs.ts'
import { RangeSet } from '../../src/feed/ranges.ts'
import type { Snapshot } from '../../src/feed/snapshot.ts'
import type { Position } from '../../src/feed/wire.ts'
import { AuthorModel } from './author-model.ts'
import { check, same } from './checks.ts'
import { type Commit, key, type Outcome, type Packet, type Truth, type Written } from './history.ts'

export class World {
  readonly truth = new Map<string, Truth>()
  /** Everything that was ever sent: replays come from here. */
  readonly sent: Packet[] = []
  wire: Packet[] = []
  // The author: `written` is on its disk but for the feeds.
  readonly written = new Map<string, Written>()
  readonly all: Written[] = []
  current: Written | undefined
  pendingSends: { epoch: Written; position: Position }[] = []
  authorCommits: (() => void)[] = []
  // The reader.
  reader = new Epochs()
  readonly disk = {
    snapshots: new Map<string, unknown>(),
    rows: new Map<string, Map<number, Position>>(),
    settled: new Map<string, { floor: number; at: number }>(),
  }
  commits: Commit[] = []
  /** Handed on in this life, and not ended, by class: handlers of a class take turns. */
  queues: Truth[][] = Array.from({ length: 10 }, () => [])
  handed = new Set<string>()
  /** Epochs that order waits for no longer. */
  readonly loose = new Set<string>()
  /** What expired in this life. */
  readonly expired = new Set<string>()
  /** The last one of each class that was handed on in its turn, in this life. */
  #latest: (Truth | undefined)[] = []
  now = 0

  /** Every author against its model. */
  check(): void {
    for (const { feed, model } of this.written.values()) model?.check(feed)
  }

  // ---- the author

  open(): Written {
    this.current?.feed.close()
    // Every other one names none of which everything has arrived.
    const isNamed = ({ settled, arrived }: AuthorFeed): boolean => !settled && !(arrived && this.all.length % 2 === 1)
    const earlier = [...this.written.values()].flatMap(({ id, feed }) => (isNamed(feed) ? [id] : []))
    const index = this.all.length + 1
    const id = index.toString(16).padStart(32, '0')
    const epoch: Written = {
      id,
      index,
      feed: new AuthorFeed(id),
      earlier,
      stored: false,
      rows: new Map(),
      fences: new Set(),
      delivered: new Set(),
      gone: new Set(),
      model: new AuthorModel(),
      acks: 0,
      newestAck: 0,
    }
    this.written.set(id, epoch)
    this.all.push(epoch)
    this.current = epoch
    return epoch
  }

  number(priority: number): { epoch: Written; position: Position } {
    const epoch = this.current ?? this.open()
    const { number, prev } = epoch.feed.next(priority)
    const lower = [...this.truth.values()].filter(t => t.epoch === epoch.id && t.priority === priority)
    same(prev, Math.max(0, ...lower.map(t => t.number)), 'the number before')
    const truth = {
      durable: false,
      bad: false,
      refused: false,
      outcome: undefined,
      ends: 0,
      givenUp: false,
      late: false,
    }
    this.truth.set(key(epoch.id, number), { epoch: epoch.id, number, priority, ...truth })
    return { epoch, position: { number, prev, priority } }
  }

  commitSend({ epoch, position }: { epoch: Written; position: Position }): void {
    if (!epoch.stored) this.sendOpening(epoch.id)
    epoch.stored = true
    epoch.rows.set(position.number, position)
    this.of(epoch.id, position.number).durable = true
    this.say({ kind: 'envelope', epoch: epoch.id, position })
  }

  skip(epoch: Written, number: number): void {
    const word = epoch.feed.skip(number)
    if (epoch.model !== undefined) same(word, epoch.model.skip(number), 'the word on a skip')
    if (word === 'skipped' && epoch.rows.delete(number)) epoch.fences.add(number)
  }

  states(): void {
    const states = [...this.written.values()].filter(({ stored }) => stored).map(({ feed }) => feed.state())
    if (states.length > 0) this.say({ kind: 'states', states })
  }

  crashAuthor(): void {
    this.current = undefined
    this.pendingSends = []
    this.authorCommits = []
    for (const [id, epoch] of this.written) {
      const { rows, fences, delivered } = epoch
      epoch.gone.clear()
      if (rows.size + fences.size + delivered.size === 0) {
        this.written.delete(id)
        continue
      }
      epoch.feed = AuthorFeed.restore(id, { kept: rows.keys(), fenced: fences, delivered })
      epoch.model = undefined
    }
  }

  acked(ack: FeedAck, at: number): void {
    const epoch = this.written.get(ack.epoch)
    if (epoch === undefined) return
    const { model } = epoch
    const news = epoch.feed.acked(ack)
    if (at > epoch.newestAck) same(news.rollback, false, 'a rollback, though the reader forgot nothing')
    epoch.newestAck = Math.max(epoch.newestAck, at)
    const expected = model?.acked(ack)
    if (expected !== undefined) same(news.delivered.join(), expected.delivered.join(), 'what is told as delivered')
    for (const number of news.skipped) {
      same(this.of(epoch.id, number).ends, 0, 'ends of what is confirmed as skipped')
      check(!this.handed.has(key(epoch.id, number)), 'a skip was confirmed of what was handed on')
    }
    const ends: [number, Outcome][] = [
      ...news.processed.map(number => [number, 'processed'] as [number, Outcome]),
      ...news.refused.map(([number]) => [number, 'refused'] as [number, Outcome]),
      ...news.skipped.map(number => [number, 'skipped'] as [number, Outcome]),
    ]
    for (const number of news.delivered) epoch.gone.add(number)
    this.authorCommits.push(() => {
      for (const number of news.delivered) {
        const isWaitedFor = epoch.rows.delete(number) || epoch.fences.delete(number)
        check(isWaitedFor || model !== undefined, 'delivered, not waited for')
        if (isWaitedFor) epoch.delivered.add(number)
      }
      for (const [number, outcome] of ends) this.conclude(epoch, number, outcome)
      news.committed()
      if (expected !== undefined) model?.committed(expected.ends)
      if (epoch.feed.done) this.written.delete(epoch.id)
    })
  }

  /** The author's disk has the end of a message. */
  conclude(epoch: Written, number: number, outcome: Outcome): void {
    const truth = this.of(epoch.id, number)
    check(truth.outcome === undefined, `a second end for ${key(epoch.id, number)}`)
    const isRefused = truth.bad || truth.refused
    check(outcome === 'skipped' || isRefused === (outcome === 'refused'), `${key(epoch.id, number)} was not ${outcome}`)
    truth.outcome = outcome
    epoch.delivered.delete(number)
    epoch.fences.delete(number)
  }

  // ---- the network

  say(packet: Packet): void {
    this.sent.push(packet)
    this.wire.push(packet)
  }

  /** @param early the reader judges what comes, and refuses it */
  arrive(packet: Packet, early = false): void {
    if (packet.kind === 'ack') return this.acked(packet.ack, packet.at)
    if (packet.kind === 'opening') return this.opened(packet.epoch, packet.earlier)
    if (packet.kind === 'states') return this.heard(packet.states)
    this.envelope(packet.epoch, packet.position, early)
  }

  // ---- the reader

  opened(epoch: string, earlier: string[]): void {
    if (this.reader.open(epoch, earlier) === 'opened') this.save(epoch)
  }

  heard(states: FeedState[]): void {
    const { released, news, unknown } = this.reader.applyStates(states)
    this.hand(released)
    for (const { epoch, skipped } of news) if (skipped.length > 0) this.save(epoch)
    for (const id of unknown) this.sendOpening(id)
  }

  sendOpening(id: string): void {
    const epoch = this.written.get(id)
    if (epoch !== undefined) this.say({ kind: 'opening', epoch: id, earlier: epoch.earlier })
  }

  envelope(epoch: string, position: Position, early: boolean): void {
    const verdict = this.reader.check(epoch, position)
    if (verdict === 'unknown') this.sendOpening(epoch)
    if (verdict !== 'new') return
    check(this.reader.begin(epoch, position), 'a new envelope could not begin')
    const truth = this.of(epoch, position.number)
    same(truth.ends, 0, 'an envelope that came again after its end')
    truth.bad ||= early
    if (truth.bad) {
      const { taken, released } = this.reader.refuse(epoch, position.number, 'schema-invalid')
      check(taken, 'an envelope could not be refused')
      this.hand(released)
      return this.save(epoch)
    }
    // An epoch is on the disk before its rows, or with the first of them.
    const opening = this.disk.snapshots.has(epoch) ? undefined : this.reader.snapshot(epoch)
    this.commits.push({
      apply: () => {
        if (opening !== undefined) this.put(epoch, opening)
        const rows = this.disk.rows.get(epoch) ?? new Map<number, Position>()
        this.disk.rows.set(epoch, rows.set(position.number, position))
        const { taken, released, late, others } = this.reader.accept(epoch, position)
        check(taken, 'what was begun was not taken')
        truth.late ||= late
        const handed = released.length > 0 ? [{ epoch, numbers: released }] : []
        this.hand([...handed, ...others])
      },
      fail: () => this.reader.abandon(epoch, position.number),
    })
  }

  /** Says how far the reader is. */
  ack(id: string): Packet | undefined {
    const ack = this.reader.ack(id)
    const epoch = this.all[Number.parseInt(id, 16) - 1]
    return ack && epoch && { kind: 'ack', ack, at: ++epoch.acks }
  }

  /** Puts the snapshot of an epoch on its way to the disk; in the same commit numbers end. */
  save(epoch: string, ended: readonly number[] = [], also: () => void = () => {}): void {
    const snapshot = this.reader.snapshot(epoch, ended)
    if (snapshot === undefined) return
    const apply = (): void => {
      this.put(epoch, snapshot)
      also()
      snapshot.committed()
    }
    this.commits.push({ apply, fail: () => this.save(epoch, ended, also) })
  }

  put(epoch: string, { value }: Snapshot): void {
    // Through JSON and back: what is stored is plain data.
    this.disk.snapshots.set(epoch, JSON.parse(JSON.stringify(value)))
  }

  /** A handler ends. */
  end(priority: number, refusal: boolean): void {
    const truth = this.queues[priority]?.shift()
    if (truth === undefined) return
    if (refusal) this.hand(this.reader.refuse(truth.epoch, truth.number, 'handler-error').released)
    this.over(truth, refusal)
  }

  over(truth: Truth, refusal: boolean, { epoch, number } = truth): void {
    this.save(epoch, [number], () => {
      check(this.disk.rows.get(epoch)?.delete(number) === true, 'the end of what has no row')
      truth.ends++
      same(truth.ends, 1, 'ends of a message')
      truth.refused = refusal
      if (!refusal) check(this.reader.processed(epoch, number), 'a number could not be processed')
    })
  }

  /** What has arrived and waits for its turn. */
  waiting(epoch: string): number[] {
    const had = new Set([...this.handed, ...this.expired])
    return [...(this.disk.rows.get(epoch)?.keys() ?? [])].filter(number => !had.has(key(epoch, number)))
  }

  /** Its time is over before its turn has come. */
  expire(epoch: string, number: number): void {
    this.expired.add(key(epoch, number))
    this.hand(this.reader.refuse(epoch, number, 'expired').released)
    this.over(this.of(epoch, number), true)
  }

  /** All of an epoch expires. */
  endEpoch(epoch: string): void {
    for (const number of this.waiting(epoch)) this.expire(epoch, number)
    this.loose.add(epoch)
    this.hand(this.reader.giveUpEpochs([epoch]))
  }

  hand(released: readonly Handed[]): void {
    for (const { epoch, numbers } of released) {
      for (const number of numbers) {
        const id = key(epoch, number)
        const truth = this.of(epoch, number)
        check(!this.handed.has(id), `${id} was handed on twice`)
        same(truth.ends, 0, 'ends of what is handed on')
        check(truth.outcome === undefined, `${id} was handed on after its author ended it`)
        // What its author has given up and comes all the same has no place among the others any more.
        if (!truth.late && !this.isFenced(truth)) this.checkTurn(truth)
        this.handed.add(id)
        this.queues[truth.priority]?.push(truth)
      }
    }
  }

  /** Everything before it in its class must have had its turn, or never have one; nothing after it may have had one. */
  checkTurn(truth: Truth): void {
    const latest = this.#latest[truth.priority]
    if (!truth.givenUp && !this.loose.has(truth.epoch)) {
      const isSame = latest?.epoch === truth.epoch
      const isNext = latest === undefined || (isSame ? latest.number < truth.number : latest.epoch < truth.epoch)
      check(isNext, `${key(truth.epoch, truth.number)} was handed on after a later one`)
      this.#latest[truth.priority] = truth
    }
    const index = Number.parseInt(truth.epoch, 16)
    for (const other of this.truth.values()) {
      const before = Number.parseInt(other.epoch, 16)
      if (before > index || (before === index && other.number >= truth.number)) continue
      if (before === index && other.priority !== truth.priority) continue
      if (!this.hadTurn(other)) {
        throw new Error(`${key(truth.epoch, truth.number)} was handed on before ${key(other.epoch, other.number)}`)
      }
    }
  }

  isFenced({ epoch, number }: Truth): boolean {
    return this.all[Number.parseInt(epoch, 16) - 1]?.fences.has(number) === true
  }

  hadTurn(truth: Truth): boolean {
    const { epoch, number } = truth
    const author = this.all[Number.parseInt(epoch, 16) - 1] as Written
    // What its author does not have any more, or never had on its disk once it has a later epoch, can never come.
    if (truth.ends > 0 || truth.outcome !== undefined || truth.givenUp || this.loose.has(epoch)) return true
    if (!truth.durable && (author !== this.current || author.model?.isSkipped(number) === true)) return true
    if (this.handed.has(key(epoch, number)) || this.expired.has(key(epoch, number))) return true
    const feed = this.reader.feed(epoch)
    // The reader may have known that it was given up, and have forgotten it with an epoch in which nothing had arrived.
    if (this.isFenced(truth)) return true
    if (feed === undefined) return false
    if (number <= feed.base) return true
    if (feed.check({ number, prev: 0, priority: 0 }) === 'skipped') return true
    // Refused before its turn.
    return this.reader.ack(epoch) !== undefined && this.refusedEarly(epoch, number)
  }

  refusedEarly(epoch: string, number: number): boolean {
    const snapshot = this.reader.feed(epoch)?.snapshot().value
    return RangeSet.fromWire(snapshot?.[6]).has(number)
  }

  crashReader(): void {
    this.commits = []
    this.queues = Array.from({ length: 10 }, () => [])
    this.handed.clear()
    this.expired.clear()
    this.#latest = []
    this.reader = new Epochs()
    for (const [id, { floor, at }] of this.disk.settled) this.reader.restoreSettled({ epoch: id, floor, at })
    for (const [id, snapshot] of this.disk.snapshots) {
      this.reader.restore(id, snapshot, this.disk.rows.get(id)?.values() ?? [])
    }
    this.hand(this.reader.resume())
  }

  shrink(): void {
    for (const { epoch, floor, at } of this.reader.shrink(this.now).settled) {
      this.commits.push({
        apply: () => {
          same(this.disk.rows.get(epoch)?.size ?? 0, 0, 'rows of a settled epoch')
          this.disk.snapshots.delete(epoch)
          this.disk.settled.set(epoch, { floor, at })
        },
        fail: () => {},
      })
    }
  }

  of(epoch: string, number: number): Truth {
    const truth = this.truth.get(key(epoch, number))
    if (truth === undefined) throw new Error(`nobody gave out ${key(epoch, number)}`)
    return truth
  }

  flush(): void {
    for (let next = this.commits.shift(); next !== undefined; next = this.commits.shift()) next.apply()
    for (const apply of this.authorCommits.splice(0)) apply()
  }
}
