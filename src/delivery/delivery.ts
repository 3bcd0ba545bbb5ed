/**
 * Delivery: from a message that was sent to one that was handled, for every agent that this one writes to or hears from.
 * It joins the author's and the recipient's side to the network, to the store and to the books.
 */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpMessageError } from '../common/errors.ts'
import { type Given, given } from '../common/given.ts'
import type { Random } from '../common/random.ts'
import { type Identity, verifySignature } from '../identity/keys.ts'
import { decode } from '../message/codec.ts'
import type { MessageKind } from '../message/envelope.ts'
import { toFailure } from '../message/failure.ts'
import type { Message } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import type { Network } from '../network/network.ts'
import type { Prekey, PrekeyRing } from '../security/prekeys.ts'
import type { Store, Write } from '../store/store.ts'
import { DueAnswers } from './answers.ts'
import type { IncomingParts } from './arrived.ts'
import { Books, letterOf } from './books.ts'
import type { CircuitBreakers } from './breakers.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { RetryOutcome } from './dead-letter-retries.ts'
import type { DeadLetters } from './dead-letters.ts'
import { draftOf } from './drafts.ts'
import { FrameType, LOST_KEY_LABEL, lostKeyBody, readAcks, readEpochs, readLostKey, readStates } from './frames.ts'
import { DEFAULT_INBOX, type InboxLimits, type InboxRoom } from './inbox-room.ts'
import { Incoming } from './incoming.ts'
import { retryLetter } from './letter-retry.ts'
import { Lines } from './lines.ts'
import { loadIncoming, loadOutgoing } from './loading.ts'
import { type OutboxLimits, OutboxQuota } from './outbox-quota.ts'
import { Outgoing } from './outgoing.ts'
import type { Draft } from './outgoing-parts.ts'
import { Processing, type ProcessingParts } from './processing.ts'
import { newReceipt } from './receipts.ts'
import type { RetryStrategy } from './retry.ts'
import type { Tracker, Tracking } from './tracker.ts'

/** How long a hole blocks order after its author, who is linked, has spoken of it, ms. */
export const HOLE_PATIENCE = 30_000
/** How many messages to one recipient may be under way. */
const WINDOW = 256
/** Authors that are held before those give way that are away and of whom nothing would be missed. */
const MAX_AUTHORS = 1_024

/** What delivery needs. */
export interface DeliveryParts
  extends Pick<IncomingParts, 'judge' | 'onOnce' | 'onRefused' | 'onRejected' | 'onHole' | 'onLost'>,
    Pick<ProcessingParts, 'take' | 'onFailed'> {
  readonly identity: Identity
  readonly mesh: string
  readonly store: Store
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
  readonly prekeys: PrekeyRing
  readonly tracker: Tracker
  readonly deadLetters: DeadLetters
  readonly breakers: CircuitBreakers
  /** The newest prekey on an agent's card. */
  readonly prekeyOf: (agent: string) => Prekey | undefined
  /** For messages that bring none of their own. */
  readonly strategy: RetryStrategy
  /** When handlers that failed run again. */
  readonly handlerStrategy: RetryStrategy
  /** The most messages, and bytes of them, that may wait for recipients. Default 10,000 and 64 MiB. */
  readonly maxOutbox?: Given<OutboxLimits> | undefined
  /** Default {@link DEFAULT_INBOX}. */
  readonly inbox?: Given<InboxLimits> | undefined
  /** Default {@link HOLE_PATIENCE}. */
  readonly holePatience?: number | undefined
  readonly onRollback: (recipient: string, epoch: string) => void
  readonly onError: (error: unknown) => void
}

/** One author, as its recipient sees it. */
interface Author {
  readonly incoming: Incoming
  readonly processing: Processing
  holes: Timer | undefined
}

/** See the head of this file. */
export class Delivery {
  readonly #parts: DeliveryParts
  readonly #books: Books
  readonly #lines: Lines
  readonly #room: InboxRoom
  readonly #outgoing = new Map<string, Outgoing>()
  readonly #authors = new Map<string, Author>()
  #started = false
  readonly #readable = new Set<string>()
  readonly #quota: OutboxQuota

  private constructor(parts: DeliveryParts) {
    this.#parts = parts
    const { identity, tracker, deadLetters } = parts
    this.#quota = new OutboxQuota(parts.maxOutbox)
    this.#books = new Books({ self: identity.id, tracker, deadLetters })
    this.#room = { limits: given(DEFAULT_INBOX, parts.inbox), used: 0 }
    this.#lines = new Lines({ ...parts, self: identity.id, received: (from, frame) => this.received(from, frame) })
  }

  /** Takes up what earlier runs left. @throws AfpDataStoreError STORE_FAILED when a row is damaged */
  static async open(parts: DeliveryParts): Promise<Delivery> {
    const delivery = new Delivery(parts)
    await delivery.#load()
    return delivery
  }

  async #load(): Promise<void> {
    const { store, limits } = this.#parts
    for (const [recipient, { epochs, waiting }] of await loadOutgoing(store)) {
      for (const { entries } of epochs) for (const { bytes } of entries.values()) this.#quota.keep(bytes)
      for (const { draft } of waiting) this.#quota.keep(draft.payload.length)
      this.#outgoingTo(recipient).load(epochs, waiting)
    }
    for (const [author, { kept, settled, arrived }] of await loadIncoming(store, limits)) {
      await this.#author(author).incoming.load(kept, settled, arrived)
    }
  }

  /** Hands out what came and what it left to itself: once the application has had a turn to say who handles it. */
  start(): void {
    this.#started = true
    for (const { processing } of this.#authors.values()) processing.start()
    this.linked(this.#parts.identity.id)
  }

  /** A message as it is sealed; the same for every recipient. @throws AfpMessageError MESSAGE_TOO_LARGE */
  draft(message: Message, kind: MessageKind, strategy?: RetryStrategy): Draft {
    return draftOf(message, kind, strategy, this.#parts)
  }

  /**
   * Queues a message for each of its recipients; resolves when it is on the disk for them. Where that is so for some of
   * them only, the receipt says who will not get it.
   * @throws AfpRoutingError QUEUE_FULL; AfpDataStoreError STORE_FULL, STORE_FAILED; AfpError INVALID_OPTION for an id
   *   that another message of these days has
   */
  async send(draft: Draft, recipients: readonly string[]): Promise<Tracking> {
    const { clock, tracker } = this.#parts
    const { messageId: id, guarantee, expiresAt } = draft
    const tracking = tracker.track(newReceipt({ id, guarantee, createdAt: clock.now(), expiresAt }, recipients))
    const errors: unknown[] = []
    const sending = recipients.map(async recipient => {
      try {
        await this.#outgoingTo(recipient).send(draft)
        this.#reach(recipient)
      } catch (error) {
        errors.push(error)
        tracker.apply(id, recipient, { type: 'dead', reason: 'quota', error: toFailure(error) })?.committed()
      }
    })
    await Promise.all(sending)
    if (errors.length < recipients.length) return tracking
    tracker.forget(id, errors[0])
    throw errors[0]
  }

  /**
   * Hands a message to the connection with a recipient, sealed and not kept. Those to one recipient leave in the order
   * of the calls. @throws AfpRoutingError NO_ROUTE, QUEUE_FULL; the signal's reason
   */
  sendOnce(draft: Draft, recipient: string, signal?: AbortSignal): Promise<void> {
    return this.#outgoingTo(recipient).sendOnce(draft, signal)
  }

  /** In one batch: the reply is on its way exactly when what its handler wrote is on the disk. */
  readonly #reply: ProcessingParts['reply'] = async ({ message, kind }, also) => {
    await this.send({ ...this.draft(message, kind), also }, message.recipients)
  }

  /** Calls a message off for every recipient that does not have it. False when there is none. */
  async cancel(messageId: string): Promise<boolean> {
    const all = await Promise.all([...this.#outgoing.values()].map(outgoing => outgoing.cancel(messageId)))
    return all.includes(true)
  }

  /** A frame of delivery's came over an agent's own connection. */
  received(from: string, frame: Uint8Array): void | Promise<void> {
    const body = frame.subarray(1)
    try {
      switch (frame[0]) {
        case FrameType.envelope:
          return this.#author(from).incoming.envelope(body, true)
        case FrameType.opening:
          return this.#author(from).incoming.opening(body)
        case FrameType.acks:
          return this.#acked(from, body)
        case FrameType.states:
          return this.#states(from, body)
        case FrameType.unknownEpochs: {
          const own = this.#own(from, readEpochs(decode(body)))
          return this.#outgoing.get(from)?.unknownEpochs(own)
        }
        case FrameType.lostKey:
          return this.#lostKey(from, body)
        default:
          this.#parts.onRefused(from, 'malformed', `a frame of type ${frame[0]}`)
      }
    } catch (error) {
      this.#failed(from, error)
    }
  }

  /** A connection with an agent is open. */
  linked(agent: string): void {
    this.#outgoing.get(agent)?.linked()
    const author = this.#authors.get(agent)
    if (author !== undefined) this.#watchHoles(author)
  }

  /** It is gone. */
  unlinked(agent: string): void {
    this.#outgoing.get(agent)?.unlinked()
    // Nobody is there who could say what is missing.
    const author = this.#authors.get(agent)
    author?.holes?.cancel()
    if (author !== undefined) author.holes = undefined
  }

  /** An agent's card came or changed, or it is online again. */
  cardChanged(agent: string): void {
    this.#outgoing.get(agent)?.cardChanged()
    this.#reach(agent)
  }

  /** There is a new handler, subscription or reader. */
  offerAgain(): void {
    for (const { processing } of this.#authors.values()) processing.offerAgain()
  }

  /** See `dead-letter-retries.ts`: tries the message of a letter again. */
  retryLetter(letter: DeadLetter, settled: readonly Write[]): Promise<RetryOutcome> {
    const ways = { outgoingTo: (recipient: string) => this.#outgoingTo(recipient), reply: this.#reply }
    return retryLetter({ ...this.#parts, ...ways }, letter, settled)
  }

  /** The next message that nobody wanted, for somebody who reads: it has its end with that. */
  shift(): Message | undefined {
    for (const { processing } of this.#authors.values()) {
      const message = processing.shift()
      if (message !== undefined) return message
    }
    return undefined
  }

  /** Stops: what handlers at work end with is still written, everything else stays on the disk. */
  async close(): Promise<void> {
    this.#quota.close()
    this.#lines.close()
    for (const outgoing of this.#outgoing.values()) outgoing.close()
    for (const { incoming, processing, holes } of this.#authors.values()) {
      holes?.cancel()
      incoming.close()
      processing.close()
    }
    await Promise.all([...this.#authors.values()].map(({ processing }) => processing.settled()))
  }

  #outgoingTo(recipient: string): Outgoing {
    const known = this.#outgoing.get(recipient)
    if (known !== undefined) return known
    const { strategy, prekeyOf, breakers } = this.#parts
    const outgoing = new Outgoing(
      {
        ...this.#parts,
        lines: this.#lines,
        ledger: this.#books,
        quota: this.#quota,
        strategy,
        window: WINDOW,
        prekey: prekeyOf,
        breaker: agent => breakers.getOrCreate(agent),
      },
      recipient,
    )
    this.#outgoing.set(recipient, outgoing)
    if (this.#lines.isOpen(recipient)) outgoing.linked()
    return outgoing
  }

  #author(id: string): Author {
    const known = this.#authors.get(id)
    if (known !== undefined) return known
    if (this.#authors.size >= MAX_AUTHORS) {
      for (const [other, { incoming }] of this.#authors) {
        if (!this.#lines.isOpen(other) && incoming.forget()) this.#authors.delete(other)
      }
    }
    const { identity, mesh } = this.#parts
    const answers = new DueAnswers({
      author: id,
      mesh,
      sign: identity.sign,
      ack: epoch => author.incoming.ack(epoch),
      credit: () => author.incoming.credit,
      send: frame => {
        if (this.#lines.isOpen(id)) this.#lines.send(id, frame).catch(() => {})
      },
    })
    const incoming: Incoming = new Incoming(
      {
        ...this.#parts,
        answers,
        readable: this.#readable,
        room: this.#room,
        onReleased: arrived => author.processing.add(arrived),
      },
      id,
    )
    const processing = new Processing(
      {
        ...this.#parts,
        strategy: this.#parts.handlerStrategy,
        onDead: (arrived, reason, error) => this.#parts.deadLetters.stage(letterOf(arrived, reason, error)),
        reply: this.#reply,
      },
      incoming,
    )
    const author: Author = { incoming, processing, holes: undefined }
    if (this.#started) processing.start()
    this.#authors.set(id, author)
    return author
  }

  async #acked(from: string, body: Uint8Array): Promise<void> {
    try {
      const { credit, acks } = readAcks(body)
      const epochs = acks.map(({ epoch }) => epoch)
      const own = new Set(this.#own(from, epochs))
      const outgoing = this.#outgoing.get(from)
      outgoing?.credit(credit)
      // All at once: what they say counts before what a later frame says, however long it takes to be written.
      await Promise.all(acks.map(ack => own.has(ack.epoch) && outgoing?.acked(ack)))
    } catch (error) {
      this.#failed(from, error)
    }
  }

  async #states(from: string, body: Uint8Array): Promise<void> {
    try {
      const author = this.#author(from)
      await author.incoming.states(readStates(body))
      this.#watchHoles(author)
    } catch (error) {
      this.#failed(from, error)
    }
  }

  async #lostKey(from: string, body: Uint8Array): Promise<void> {
    try {
      const { epochs, signature } = readLostKey(body)
      const { mesh, identity } = this.#parts
      if (!(await verifySignature(from, LOST_KEY_LABEL, lostKeyBody(mesh, identity.id, epochs), signature)))
        return this.#parts.onRefused(from, 'bad-signature', 'a lost key')
      const own = this.#own(from, epochs)
      await this.#outgoing.get(from)?.lostKey(own)
    } catch (error) {
      this.#failed(from, error)
    }
  }

  /** Those of some epochs that are this agent's own towards `from`: nobody else has a say in them. */
  #own(from: string, epochs: readonly string[]): string[] {
    const outgoing = this.#outgoing.get(from)
    const own = epochs.filter(epoch => outgoing?.has(epoch))
    if (own.length < epochs.length) this.#parts.onRefused(from, 'unknown-epoch', 'an epoch')
    return own
  }

  /** Order waits for what is missing as long as its author, who is linked, says that it is there: each word renews that. */
  #watchHoles(author: Author): void {
    const { clock, holePatience = HOLE_PATIENCE } = this.#parts
    author.holes?.cancel()
    author.holes = undefined
    const { holes } = author.incoming
    if (holes.size === 0) return
    author.holes = clock.after(holePatience, () => {
      author.incoming.giveUpHoles(holes)
      this.#watchHoles(author)
    })
  }

  /** Connects to an agent for which something waits. */
  #reach(agent: string): void {
    const wanted = (): boolean => (this.#outgoing.get(agent)?.size ?? 0) > 0
    if (wanted()) this.#lines.reach(agent, wanted)
  }

  #failed(from: string, error: unknown): void {
    if (error instanceof AfpMessageError) this.#parts.onRefused(from, 'malformed', error.message)
    else this.#parts.onError(error)
  }
}
