/**
 * An author, a reader and a network that loses, doubles and reorders whatever they say, with disks that keep only what was
 * committed. Every step is checked against what really happened, kept in plain sets.
 */

import { AuthorFeed, type FeedAck, type FeedState } from '../../src/feed/author-feed.ts'
import { Epochs, type Handed } from '../../src/feed/epochs.ts'
import { numbersIn, RangeSet } from '../../src/feed/ranges.ts'
import type { Position } from '../../src/feed/wire.ts'

/** What a step does; `a` and `b` choose among what there is. */
export interface Step {
  readonly op: keyof typeof OPS
  readonly a: number
  readonly b: number
}

type Packet =
  | { readonly kind: 'opening'; readonly epoch: string; readonly earlier: string[] }
  | { readonly kind: 'envelope'; readonly epoch: string; readonly position: Position }
  | { readonly kind: 'states'; readonly states: FeedState[] }
  | { readonly kind: 'ack'; readonly ack: FeedAck }

type Outcome = 'processed' | 'refused' | 'skipped'

/** An epoch as its author has it. */
interface Written {
  readonly id: string
  readonly index: number
  feed: AuthorFeed
  readonly earlier: string[]
  /** On the disk. */
  readonly rows: Map<number, Position>
  readonly fences: Set<number>
  readonly delivered: Set<number>
  /** Numbers with an end, as a plain model; given up once the author restarted. */
  model: { readonly ended: Set<number>; readonly skips: Set<number>; readonly delivered: Set<number> } | undefined
}

/** A message, whatever became of it. */
interface Truth {
  readonly epoch: string
  readonly number: number
  readonly priority: number
  /** Its row was on the author's disk. */
  durable: boolean
  outcome: Outcome | undefined
  /** Times that a handler's end got to the reader's disk. */
  ends: number
  givenUp: boolean
  /** It came after its turn. */
  late: boolean
}

interface Commit {
  readonly apply: () => void
  readonly fail: () => void
}

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
  /** Order in which handlers ended, by class. */
  readonly order: Truth[][] = Array.from({ length: 10 }, () => [])
  now = 0

  step({ op, a, b }: Step): void {
    OPS[op](this, a, b)
    for (const { feed, model } of this.written.values()) {
      if (model === undefined) continue
      let base = 0
      while (model.ended.has(base + 1)) base++
      same(feed.base, base, 'the base')
      const unsettled = [...numbersIn(feed.unsettled())]
      const expected = range(feed.last).filter(number => !model.ended.has(number))
      same(unsettled.join(), expected.join(), 'what is unsettled')
      const state = feed.state()
      const skips = [...numbersIn(RangeSet.fromWire(state.skips))]
      const open = range(feed.last).filter(n => n > base && model.skips.has(n) && !model.delivered.has(n))
      same(skips.join(), open.join(), 'the skips of a state')
    }
  }

  // ---- the author

  open(): Written {
    const earlier = [...this.written.values()].filter(({ feed }) => !feed.arrived).map(({ id }) => id)
    this.current?.feed.close()
    const index = this.all.length + 1
    const id = index.toString(16).padStart(32, '0')
    const epoch: Written = {
      id,
      index,
      feed: new AuthorFeed(id),
      earlier,
      rows: new Map(),
      fences: new Set(),
      delivered: new Set(),
      model: { ended: new Set(), skips: new Set(), delivered: new Set() },
    }
    this.written.set(id, epoch)
    this.all.push(epoch)
    this.current = epoch
    this.say({ kind: 'opening', epoch: id, earlier })
    return epoch
  }

  number(priority: number): { epoch: Written; position: Position } {
    const epoch = this.current ?? this.open()
    const { number, prev } = epoch.feed.next(priority)
    const lower = [...this.truth.values()].filter(t => t.epoch === epoch.id && t.priority === priority)
    same(prev, Math.max(0, ...lower.map(t => t.number)), 'the number before')
    const truth = { durable: false, outcome: undefined, ends: 0, givenUp: false, late: false }
    this.truth.set(key(epoch.id, number), { epoch: epoch.id, number, priority, ...truth })
    return { epoch, position: { number, prev, priority } }
  }

  commitSend({ epoch, position }: { epoch: Written; position: Position }): void {
    epoch.rows.set(position.number, position)
    this.of(epoch.id, position.number).durable = true
    this.say({ kind: 'envelope', epoch: epoch.id, position })
  }

  skip(epoch: Written, number: number): void {
    const word = epoch.feed.skip(number)
    if (epoch.model !== undefined) {
      same(word, epoch.model.delivered.has(number) ? 'delivered' : 'skipped', 'the word on a skip')
      epoch.model.skips.add(number)
    }
    if (word === 'skipped' && epoch.rows.delete(number)) epoch.fences.add(number)
  }

  states(): void {
    const states = [...this.written.values()].filter(({ feed }) => feed.last > 0).map(({ feed }) => feed.state())
    if (states.length > 0) this.say({ kind: 'states', states })
  }

  crashAuthor(): void {
    this.current = undefined
    this.pendingSends = []
    for (const [id, epoch] of this.written) {
      const { rows, fences, delivered } = epoch
      if (rows.size + fences.size + delivered.size === 0) {
        this.written.delete(id)
        continue
      }
      epoch.feed = AuthorFeed.restore(id, { kept: rows.keys(), fenced: fences, delivered })
      epoch.model = undefined
    }
  }

  acked(ack: FeedAck): void {
    const epoch = this.written.get(ack.epoch)
    if (epoch === undefined) return
    const { model } = epoch
    const news = epoch.feed.acked(ack)
    for (const number of news.delivered) {
      check(
        epoch.rows.delete(number) || epoch.fences.delete(number) || model !== undefined,
        'delivered, not waited for',
      )
      epoch.delivered.add(number)
    }
    const end = (number: number, outcome: Outcome): void => {
      const truth = this.of(epoch.id, number)
      check(truth.outcome === undefined, `a second end for ${key(epoch.id, number)}`)
      truth.outcome = outcome
      epoch.delivered.delete(number)
      epoch.fences.delete(number)
    }
    for (const number of news.processed) end(number, 'processed')
    for (const [number] of news.refused) end(number, 'refused')
    for (const number of news.skipped) {
      const truth = this.of(epoch.id, number)
      same(truth.ends, 0, 'ends of what is confirmed as skipped')
      check(!this.handed.has(key(epoch.id, number)), 'a skip was confirmed of what was handed on')
      end(number, 'skipped')
    }
    if (model !== undefined) {
      for (const n of expand(ack.delivered)) model.delivered.add(n)
      for (const n of [...expand(ack.processed), ...ack.refused.map(([n]) => n)]) model.ended.add(n)
      for (const n of expand(ack.skipped)) if (model.skips.has(n) && !model.delivered.has(n)) model.ended.add(n)
    }
    if (epoch.feed.done) this.written.delete(epoch.id)
  }

  // ---- the network

  say(packet: Packet): void {
    this.sent.push(packet)
    this.wire.push(packet)
  }

  arrive(packet: Packet, early = false): void {
    if (packet.kind === 'ack') return this.acked(packet.ack)
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
    for (const { epoch } of news) this.save(epoch)
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
    if (early) {
      const { taken, released } = this.reader.refuse(epoch, position.number, 'schema-invalid')
      check(taken, 'an envelope could not be refused')
      this.hand(released)
      return this.save(epoch)
    }
    this.commits.push({
      apply: () => {
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

  /** Puts the snapshot of an epoch on its way to the disk. */
  save(epoch: string, also: () => void = () => {}): void {
    const snapshot = this.reader.snapshot(epoch)
    if (snapshot === undefined) return
    const apply = (): void => {
      // Through JSON and back: what is stored is plain data.
      this.disk.snapshots.set(epoch, JSON.parse(JSON.stringify(snapshot.value)))
      also()
      snapshot.committed()
    }
    this.commits.push({ apply, fail: () => this.save(epoch, also) })
  }

  /** A handler ends; the class's next one waits until the disk has it. */
  end(priority: number, refusal: boolean): void {
    const truth = this.queues[priority]?.shift()
    if (truth === undefined) return
    const { epoch, number } = truth
    if (refusal) this.hand(this.reader.refuse(epoch, number, 'handler-error').released)
    this.save(epoch, () => {
      check(this.disk.rows.get(epoch)?.delete(number) === true, 'the end of what has no row')
      truth.ends++
      same(truth.ends, 1, 'ends of a message')
      this.order[priority]?.push(truth)
      if (!refusal) check(this.reader.processed(epoch, number), 'a number could not be processed')
    })
  }

  hand(released: readonly Handed[]): void {
    for (const { epoch, numbers } of released) {
      for (const number of numbers) {
        const id = key(epoch, number)
        const truth = this.of(epoch, number)
        check(!this.handed.has(id), `${id} was handed on twice`)
        same(truth.ends, 0, 'ends of what is handed on')
        check(truth.outcome === undefined, `${id} was handed on after its author ended it`)
        if (!truth.late) this.checkTurn(truth)
        this.handed.add(id)
        this.queues[truth.priority]?.push(truth)
      }
    }
  }

  /** Everything before it in its class must have had its turn, or never have one. */
  checkTurn(truth: Truth): void {
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

  hadTurn(truth: Truth): boolean {
    const { epoch, number } = truth
    const author = this.all[Number.parseInt(epoch, 16) - 1] as Written
    // What its author does not have any more, or never had on its disk once it has a later epoch, can never come.
    if (truth.ends > 0 || truth.outcome !== undefined || truth.givenUp || this.loose.has(epoch)) return true
    if (!truth.durable && (author !== this.current || author.model?.skips.has(number) === true)) return true
    if (this.handed.has(key(epoch, number))) return true
    const feed = this.reader.feed(epoch)
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
    this.reader = new Epochs()
    for (const [id, { floor, at }] of this.disk.settled) this.reader.restoreSettled(id, floor, at)
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
  }

  /** The network and the disks work again: how many rounds it takes until everything has its end. */
  drain(rounds: number): number {
    for (const send of this.pendingSends.splice(0)) this.commitSend(send)
    this.wire = []
    for (let round = 1; round <= rounds; round++) {
      for (const epoch of this.written.values()) {
        this.arrive({ kind: 'opening', epoch: epoch.id, earlier: epoch.earlier })
        for (const position of epoch.rows.values()) this.arrive({ kind: 'envelope', epoch: epoch.id, position })
      }
      this.flush()
      this.states()
      for (const packet of this.wire.splice(0)) this.arrive(packet)
      this.flush()
      for (const [priority, queue] of this.queues.entries()) {
        while (queue.length > 0) {
          this.end(priority, false)
          this.flush()
        }
      }
      for (const epoch of [...this.written.keys()]) {
        const ack = this.reader.ack(epoch)
        if (ack !== undefined) this.acked(ack)
      }
      if ([...this.written.values()].every(({ feed }) => feed.settled)) return round
    }
    return rounds + 1
  }
}

const pick = <T>(items: readonly T[], at: number): T | undefined => items[at % Math.max(1, items.length)]

const OPS = {
  send: (world: World, a: number) => world.commitSend(world.number(a % 3)),
  sendLater: (world: World, a: number) => void world.pendingSends.push(world.number(a % 3)),
  commitSend: (world: World, a: number) => {
    const send = pick(world.pendingSends, a)
    if (send === undefined) return
    world.pendingSends = world.pendingSends.filter(other => other !== send)
    world.commitSend(send)
  },
  failSend: (world: World, a: number) => {
    const send = pick(world.pendingSends, a)
    if (send === undefined) return
    world.pendingSends = world.pendingSends.filter(other => other !== send)
    world.skip(send.epoch, send.position.number)
  },
  again: (world: World, a: number, b: number) => {
    const epoch = pick([...world.written.values()], a)
    const position = epoch && pick([...epoch.rows.values()], b)
    if (position !== undefined) world.say({ kind: 'envelope', epoch: (epoch as Written).id, position })
  },
  skip: (world: World, a: number, b: number) => {
    const epoch = pick([...world.written.values()], a)
    const number = epoch && pick([...epoch.rows.keys()], b)
    if (number !== undefined) world.skip(epoch as Written, number)
  },
  rotate: (world: World) => {
    // What waits for its commit was numbered in the old epoch.
    for (const send of world.pendingSends.splice(0)) world.commitSend(send)
    world.open()
  },
  states: (world: World) => world.states(),
  ack: (world: World, a: number) => {
    const epoch = pick(world.reader.ids, a)
    const ack = epoch === undefined ? undefined : world.reader.ack(epoch)
    if (ack !== undefined) world.say({ kind: 'ack', ack })
  },
  deliver: (world: World, a: number, b: number) => {
    const packet = pick(world.wire, a)
    if (packet === undefined) return
    world.wire = world.wire.filter(other => other !== packet)
    world.arrive(packet, b === 7)
  },
  deliverNext: (world: World) => {
    const packet = world.wire.shift()
    if (packet !== undefined) world.arrive(packet)
  },
  lose: (world: World, a: number) => {
    const packet = pick(world.wire, a)
    world.wire = world.wire.filter(other => other !== packet)
  },
  replay: (world: World, a: number) => {
    const packet = pick(world.sent, a)
    if (packet !== undefined) world.arrive(packet)
  },
  commit: (world: World) => world.commits.shift()?.apply(),
  commitAll: (world: World) => world.flush(),
  failCommit: (world: World) => world.commits.shift()?.fail(),
  process: (world: World, a: number) => world.end(a % 3, false),
  refuse: (world: World, a: number) => world.end(a % 3, true),
  giveUp: (world: World, a: number) => {
    const epoch = pick(world.reader.ids, a)
    if (epoch === undefined) return
    const holes = world.reader.feed(epoch)?.holes() ?? []
    for (const number of numbersIn(holes)) world.of(epoch, number).givenUp = true
    world.hand(world.reader.giveUp(epoch, holes).released)
    world.save(epoch)
  },
  giveUpEpoch: (world: World, a: number) => {
    const epoch = pick([...new Set(world.reader.ids.flatMap(id => world.reader.awaits(id)))], a)
    if (epoch === undefined) return
    world.loose.add(epoch)
    world.hand(world.reader.giveUpEpoch(epoch))
    world.save(epoch)
  },
  shrink: (world: World) => world.shrink(),
  crashReader: (world: World) => world.crashReader(),
  crashAuthor: (world: World) => world.crashAuthor(),
}

const key = (epoch: string, number: number): string => `${Number.parseInt(epoch, 16)}:${number}`
const range = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1)
const expand = (wire: unknown): number[] => [...numbersIn(RangeSet.fromWire(wire))]

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

function same(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)}, not ${String(expected)}`)
}
