/**
 * Somebody on the way between honest members, who is one of them as well: what is sealed and signed may be read by it,
 * kept, changed, held back and played again, and it says what it likes in its own name. What members tell each other of
 * their epochs it cannot touch: their connections are authenticated.
 */

import { primitives } from '#crypto'
import { fromHex, toHex } from '../../../src/common/bytes.ts'
import type { Random } from '../../../src/common/random.ts'
import {
  acksFrame,
  type Envelope,
  type EnvelopeHeader,
  encodeHeader,
  envelopeFrame,
  FrameType,
  frameOf,
  LOST_KEY_LABEL,
  lostKeyBody,
  lostKeyFrame,
  readEnvelope,
  statesFrame,
  unknownEpochsFrame,
} from '../../../src/delivery/frames.ts'
import { createIdentity, type Identity, publicKeyOf } from '../../../src/identity/keys.ts'
import { decode, encode } from '../../../src/message/codec.ts'
import { encodeMessage } from '../../../src/message/envelope.ts'
import { createIds } from '../../../src/message/ids.ts'
import { Message } from '../../../src/message/message.ts'
import { importKey } from '../../../src/security/aead.ts'
import { setupSender } from '../../../src/security/hpke.ts'
import { makeOpening } from '../../../src/security/opening.ts'
import { KEY_BYTES } from '../../../src/security/primitives.ts'
import { sealDirect } from '../../../src/security/seal.ts'
import { MESH } from '../../contracts/network-world.ts'
import type { Node } from '../../delivery/world.ts'
import { type Member, pick, type Run } from './run.ts'

/** What passed, or is on its way. */
interface Passing {
  readonly from: string
  readonly to: string
  readonly frame: Uint8Array
  /** The run of its recipient. */
  readonly node: Node
}

/** Whose word is put in, and to whom. */
interface Forged {
  readonly from: string
  readonly to: string
  readonly frames: readonly Uint8Array[]
  /** For this run of its recipient alone. Default: for whichever there is. */
  readonly only?: Node
}

type Attack = (passing: Passing) => Promise<Forged | undefined> | Forged | undefined

/** Frames that it keeps. */
const MOST_KEPT = 400
/** Which part of frames it attacks, drops, holds back. */
const ATTACKED = 0.35
const DROPPED = 0.05
const HELD_BACK = 0.12
/** Fields of an opening's body, see `security/opening.ts`. */
const FIELD = { random: 7, enc: 9, earlier: 10 } as const

/** Whether it is sent at most once: such a one is remembered as long as its recipient runs. */
const isOnce = (frame: Uint8Array): boolean =>
  frame[0] === FrameType.envelope && !readEnvelope(frame.subarray(1)).header.numbered

/** What one short message takes, padded and sealed; of two it is more. */
const MOST_OF_ONE = 272

/** Whether it is several that were sent at most once. */
const isBundle = (frame: Uint8Array): boolean =>
  isOnce(frame) && readEnvelope(frame.subarray(1)).sealed.length > MOST_OF_ONE

/** See the head of this file. */
export class Meddler {
  readonly #run: Run
  readonly #random: Random
  readonly #identity: Identity
  readonly #ids: () => string
  readonly #kept: Passing[] = []
  readonly #replacement: Attack
  readonly #onTheWay: readonly Attack[]
  readonly #ofItsOwn: readonly Attack[]

  private constructor(run: Run, random: Random, identity: Identity) {
    this.#run = run
    this.#random = random
    this.#identity = identity
    this.#ids = createIds({ clock: run.world.clock, random })
    const { envelope, opening } = FrameType
    const of =
      (type: number, attack: Attack): Attack =>
      passing =>
        passing.frame[0] === type ? attack(passing) : undefined
    this.#replacement = of(opening, passing => this.#namesake(passing))
    this.#onTheWay = [
      passing => this.#flipped(passing),
      passing => this.#replayed(passing),
      passing => this.#misdirected(passing),
      of(envelope, passing => this.#renumbered(passing)),
      of(envelope, passing => this.#renumbered(passing)),
      of(envelope, passing => this.#spliced(passing)),
      of(opening, passing => this.#rekeyed(passing)),
      of(opening, passing => this.#impersonated(passing)),
      this.#replacement,
      of(envelope, passing => this.#lostKey(passing)),
    ]
    this.#ofItsOwn = [
      of(envelope, passing => this.#acks(passing)),
      of(envelope, passing => this.#states(passing)),
      of(envelope, passing => this.#unknown(passing)),
      passing => this.#stolen(passing),
    ]
  }

  static async make(run: Run, random: Random): Promise<Meddler> {
    return new Meddler(run, random, await createIdentity(undefined, random))
  }

  get id(): string {
    return this.#identity.id
  }

  /** A frame comes to a member. */
  passes(node: Node, from: string, frame: Uint8Array): void | Promise<void> {
    const { calm, counters, world } = this.#run
    const on = (): void | Promise<void> => node.delivery.received(from, frame)
    const isSealed = frame[0] === FrameType.envelope || frame[0] === FrameType.opening
    if (calm || !isSealed) return on()
    const passing = { from, to: node.id, frame: frame.slice(), node }
    this.#keep(passing)
    const random = this.#random
    const attack = random.float() < ATTACKED ? pick(random, this.#onTheWay) : undefined
    if (attack !== undefined) {
      if (isBundle(passing.frame)) counters.bundled++
      void this.#does(attack, passing)
    }
    const fate = random.float()
    // What takes its place is there alone.
    if (fate < DROPPED || attack === this.#replacement) {
      counters.dropped++
      return
    }
    if (fate >= DROPPED + HELD_BACK) return on()
    counters.heldBack++
    const late = { from, to: node.id, frames: [passing.frame], ...(isOnce(passing.frame) ? { only: node } : {}) }
    world.clock.after(random.float() * 2_000, () => this.#hand(late))
  }

  /** A member is back: now and then all that was kept of what others sent to it is there before they are. */
  greets({ id }: Member): void {
    if (this.#run.calm || this.#random.float() >= 0.4) return
    const theirs = this.#kept.filter(({ to, frame }) => to === id && !isOnce(frame))
    for (const { from, to, frame } of theirs) this.#hand({ from, to, frames: [frame] })
    this.#run.counters.replayed += theirs.length
  }

  /** Says something in its own name. */
  async speaks(): Promise<void> {
    if (this.#kept.length > 0) await this.#does(pick(this.#random, this.#ofItsOwn), pick(this.#random, this.#kept))
  }

  #keep(passing: Passing): void {
    this.#kept.push(passing)
    if (this.#kept.length > MOST_KEPT) this.#kept.splice(Math.floor(this.#random.float() * MOST_KEPT), 1)
  }

  async #does(attack: Attack, passing: Passing): Promise<void> {
    const forged = await attack(passing)
    if (forged !== undefined) this.#hand(forged)
  }

  #hand({ from, to, frames, only }: Forged): void {
    const node = this.#member(to)?.now?.node
    if (node !== undefined && node === (only ?? node))
      for (const frame of frames) void node.delivery.received(from, frame)
  }

  #member(id: string): Member | undefined {
    return this.#run.members.find(member => member.id === id)
  }

  /** One of those that it keeps, of the same type and author. */
  #other({ from, to, frame, node }: Passing, also: (other: Passing) => boolean = () => true): Passing | undefined {
    const others = this.#kept.filter(
      other =>
        other.from === from &&
        other.to === to &&
        other.frame[0] === frame[0] &&
        (other.node === node || !isOnce(other.frame)) &&
        also(other),
    )
    return others.length === 0 ? undefined : pick(this.#random, others)
  }

  /** A copy with one bit changed. */
  #flipped({ from, to, frame }: Passing): Forged {
    this.#run.counters.flipped++
    const bit = 8 + Math.floor(this.#random.float() * 8 * (frame.length - 1))
    const copy = frame.slice()
    copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
    return { from, to, frames: [copy] }
  }

  /** Some that came before, or will come. */
  #replayed(passing: Passing): Forged | undefined {
    const some = Array.from({ length: 4 }, () => this.#other(passing)).filter(other => other !== undefined)
    if (some.length === 0) return undefined
    this.#run.counters.replayed += some.length
    const { from, to } = passing
    // With the opening that it needs, as whoever kept all of it would.
    const openings = this.#kept.filter(
      each => each.from === from && each.to === to && each.frame[0] === FrameType.opening,
    )
    return { from, to, frames: [...openings, ...some].map(({ frame }) => frame) }
  }

  /** To somebody else. */
  #misdirected({ from, to, frame }: Passing): Forged | undefined {
    const others = this.#run.members.filter(({ id }) => id !== from && id !== to)
    const other = pick(this.#random, others)
    this.#run.counters.misdirected++
    return { from, to: other.id, frames: [frame] }
  }

  /** What is sealed behind another header. */
  #renumbered({ from, to, frame }: Passing): Forged {
    this.#run.counters.renumbered++
    const { header, sealed, shared } = readEnvelope(frame.subarray(1))
    const { number, prev, priority, expiresAt, numbered } = header
    const changes: Partial<EnvelopeHeader>[] = [
      { prev: 0 },
      { prev: 0 },
      { prev: number - 1 },
      { number: number + 1, prev },
      { priority: 5 - priority },
      { expiresAt: expiresAt + 1_000_000 },
      { numbered: !numbered },
    ]
    const changed = { ...header, ...pick(this.#random, changes) }
    return { from, to, frames: [envelopeFrame(encodeHeader(changed), sealed, shared)] }
  }

  /** A header, and what is sealed behind another one. */
  #spliced(passing: Passing): Forged | undefined {
    const other = this.#other(passing, ({ frame }) => frame !== passing.frame)
    if (other === undefined) return undefined
    this.#run.counters.spliced++
    const [mine, theirs] = [passing, other].map(({ frame }) => readEnvelope(frame.subarray(1))) as [Envelope, Envelope]
    const whole = mine.shared !== undefined && theirs.shared !== undefined && this.#random.float() < 0.5
    const { from, to } = passing
    const frame = whole
      ? envelopeFrame(mine.headerBytes, mine.sealed, theirs.shared)
      : envelopeFrame(mine.headerBytes, theirs.sealed, mine.shared)
    return { from, to, frames: [frame] }
  }

  /** An opening with a key that it knows, and a message in the author's name sealed with that. */
  async #rekeyed({ from, to, frame }: Passing): Promise<Forged | undefined> {
    const prekey = this.#run.world.rings.get(to)?.current()
    if (prekey === undefined) return undefined
    this.#run.counters.rekeyed++
    const [body, signature] = decode(frame.subarray(1)) as [Uint8Array, Uint8Array]
    const fields = decode(body) as unknown[]
    const info = encode([...fields.slice(0, FIELD.enc), fields[FIELD.earlier]])
    const hpke = await setupSender(prekey.publicKey, info, this.#random)
    const packet = encode([encode(fields.with(FIELD.enc, hpke.enc)), signature])
    const key = await hpke.exportSecret(new TextEncoder().encode('afp/1/feed-key'), KEY_BYTES)
    const epoch = toHex((await primitives.sha256(packet)).subarray(0, 16))
    return { from, to, frames: [frameOf(FrameType.opening, packet), await this.#message(from, to, epoch, key)] }
  }

  /** An opening of its own in the name of another, and a message in that. */
  async #impersonated({ from, to }: Passing): Promise<Forged | undefined> {
    const prekey = this.#run.world.rings.get(to)?.current()
    if (prekey === undefined) return undefined
    this.#run.counters.impersonated++
    const publicKey = publicKeyOf(from) as Uint8Array<ArrayBuffer>
    const author = { ...this.#identity, publicKey, sign: this.#identity.sign.bind(this.#identity) }
    const { packet, epoch, key } = await this.#open(to, author)
    return { from, to, frames: [frameOf(FrameType.opening, packet), await this.#message(from, to, epoch, key)] }
  }

  /** An epoch of its own that is as much like one of another as it can be, which never comes itself. */
  async #namesake({ to, frame }: Passing): Promise<Forged | undefined> {
    if (this.#run.world.rings.get(to)?.current() === undefined) return undefined
    this.#run.counters.namesakes++
    const [body] = decode(frame.subarray(1)) as [Uint8Array]
    const theirs = (decode(body) as unknown[])[FIELD.random] as Uint8Array<ArrayBuffer>
    const random = this.#random
    const same = { ...random, bytes: (length: number) => (length === theirs.length ? theirs : random.bytes(length)) }
    const { packet } = await this.#open(to, this.#identity, same)
    return { from: this.id, to, frames: [frameOf(FrameType.opening, packet)] }
  }

  /** That the recipient can never open an epoch, in its name. */
  async #lostKey({ from, to, frame }: Passing): Promise<Forged> {
    this.#run.counters.lostKeys++
    const epochs = [readEnvelope(frame.subarray(1)).header.epoch]
    const signature = await this.#identity.sign(LOST_KEY_LABEL, lostKeyBody(MESH, from, epochs))
    return { from: to, to: from, frames: [lostKeyFrame(epochs, signature)] }
  }

  /** That it has, and is done with, what was sent to another, or will not have it. */
  #acks({ from, frame }: Passing): Forged {
    this.#run.counters.acks++
    const { epoch, number } = readEnvelope(frame.subarray(1)).header
    const [all, none] = [[number, []] as const, [0, []] as const]
    const ack = pick(this.#random, [
      { delivered: all, processed: all, refused: [], skipped: none },
      { delivered: none, processed: none, refused: [], skipped: all },
      { delivered: none, processed: none, refused: [[number, 'rejected'] as const], skipped: none },
    ])
    return { from: this.id, to: from, frames: [acksFrame(1_000, [{ epoch, ...ack }])] }
  }

  /** That an epoch of another's is settled, or that nothing of it comes. */
  #states({ to, frame }: Passing): Forged {
    this.#run.counters.states++
    const { epoch, number } = readEnvelope(frame.subarray(1)).header
    const last = number + 3
    const base = pick(this.#random, [0, last])
    const state = { epoch, base, last, skips: base === 0 ? ([last, []] as const) : ([0, []] as const) }
    return { from: this.id, to, frames: [statesFrame([state])] }
  }

  /** That it does not know an epoch that was not opened to it. */
  #unknown({ from, frame }: Passing): Forged {
    this.#run.counters.unknown++
    return { from: this.id, to: from, frames: [unknownEpochsFrame([readEnvelope(frame.subarray(1)).header.epoch])] }
  }

  /** What another has sent, as its own. */
  #stolen({ from, to }: Passing): Forged {
    this.#run.counters.stolen++
    const theirs = this.#kept.filter(passing => passing.from === from && passing.to === to)
    return { from: this.id, to, frames: theirs.slice(-20).map(({ frame }) => frame) }
  }

  #open(to: string, author: Identity, random = this.#random): ReturnType<typeof makeOpening> {
    const prekey = this.#run.world.rings.get(to)?.current()
    if (prekey === undefined) throw new Error(`${to} has no prekey`)
    const { notAfter } = prekey
    return makeOpening({ author, mesh: MESH, recipient: to, prekey, earlier: [], notAfter, random })
  }

  /** A message that nobody sent, as the first one of an epoch. */
  async #message(from: string, to: string, epoch: string, keyBytes: Uint8Array): Promise<Uint8Array> {
    const message = new Message({
      id: this.#ids(),
      sender: from,
      recipients: [to],
      contentType: 'text/plain',
      content: 'nobody sent this',
      metadata: {},
      timestamp: this.#run.world.clock.now(),
      ttl: 600,
      tracePath: [from],
      guarantee: 'at-least-once',
      priority: 0,
      security: { level: 'none', authenticatedBy: 'none', roles: [] },
    })
    const { priority, expiresAt } = message
    const destination = publicKeyOf(to) as Uint8Array
    const place = { number: 1, prev: 0, numbered: true, shared: false }
    const header = encodeHeader({
      mesh: MESH,
      destination,
      epoch: toHex(fromHex(epoch)),
      priority,
      expiresAt,
      ...place,
    })
    const payload = encodeMessage(message, 'message')
    return envelopeFrame(header, await sealDirect(await importKey(keyBytes), place, header, payload))
  }
}
