/**
 * Delivery: from a message that was sent to one that was handled, for every agent that this one writes to or hears from.
 * It joins the author's and the recipient's side to the network, to the store and to the books.
 */

import type { Clock, Timer } from '../common/clock.ts'
import { AfpMessageError, AfpRoutingError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { AuthorFeed } from '../feed/index.ts'
import { type Identity, verifySignature } from '../identity/keys.ts'
import { decode } from '../message/codec.ts'
import { decodeMessage, encodeMessage, type MessageKind } from '../message/envelope.ts'
import type { Message } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import type { Network } from '../network/network.ts'
import { importKey } from '../security/aead.ts'
import type { Prekey, PrekeyRing } from '../security/prekeys.ts'
import type { Key, Store } from '../store/store.ts'
import { DueAnswers } from './answers.ts'
import type { Arrived, IncomingParts } from './arrived.ts'
import { Books } from './books.ts'
import type { CircuitBreakers } from './breakers.ts'
import type { DeadLetters } from './dead-letters.ts'
import { FrameType, LOST_KEY_LABEL, lostKeyBody, readAcks, readEpochs, readLostKey, readStates } from './frames.ts'
import { Incoming, type KeptEpoch, SEALED } from './incoming.ts'
import type { Entry, OutEpoch } from './out-epoch.ts'
import { Outgoing } from './outgoing.ts'
import type { Draft } from './outgoing-parts.ts'
import { Processing, type ProcessingParts } from './processing.ts'
import { newReceipt } from './receipts.ts'
import type { RetryStrategy } from './retry.ts'
import { readEpoch, readInbox, readOpeningRow, readOutbox, type Settled } from './rows.ts'
import type { Tracker, Tracking } from './tracker.ts'

/** How long a hole blocks order once its author, linked, has said nothing of it, ms. */
export const HOLE_PATIENCE = 30_000
/** How many messages to one recipient may be under way. */
const WINDOW = 256
/** Messages of one author that may wait for their handlers. */
const MAX_INBOX = 10_000

/** What delivery needs. */
export interface DeliveryParts
  extends Pick<IncomingParts, 'judge' | 'onOnce' | 'onRefused' | 'onHole' | 'onLost'>,
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
  readonly maxOutbox?: { readonly messages: number; readonly bytes: number } | undefined
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
  readonly #outgoing = new Map<string, Outgoing>()
  readonly #authors = new Map<string, Author>()
  #queued = { messages: 0, bytes: 0 }
  #closed = false

  private constructor(parts: DeliveryParts) {
    this.#parts = parts
    const { identity, tracker, deadLetters } = parts
    this.#books = new Books({ self: identity.id, tracker, deadLetters })
  }

  /** Takes up what earlier runs left. @throws AfpDataStoreError STORE_FAILED when a row is damaged */
  static async open(parts: DeliveryParts): Promise<Delivery> {
    const delivery = new Delivery(parts)
    await delivery.#loadOutgoing()
    await delivery.#loadIncoming()
    return delivery
  }

  /**
   * Queues a message for each of its recipients; resolves when it is on the disk for all of them.
   * @throws AfpRoutingError QUEUE_FULL; AfpDataStoreError STORE_FULL, STORE_FAILED
   */
  async send(message: Message, kind: MessageKind, strategy?: RetryStrategy): Promise<Tracking> {
    const { clock, limits, tracker } = this.#parts
    const payload = encodeMessage(message, kind, limits)
    const { id, guarantee, priority, expiresAt, recipients } = message
    const draft: Draft = { messageId: id, guarantee, priority, expiresAt, strategy, payload }
    const tracking = tracker.track(newReceipt({ id, guarantee, createdAt: clock.now(), expiresAt }, recipients))
    await Promise.all(recipients.map(recipient => this.#outgoingTo(recipient).send(draft)))
    return tracking
  }

  /** Hands a message to the connection with its recipient, sealed and not kept. @throws AfpRoutingError NO_ROUTE */
  async sendOnce(message: Message, kind: MessageKind, recipient: string, signal?: AbortSignal): Promise<void> {
    const { id, guarantee, priority, expiresAt } = message
    const payload = encodeMessage(message, kind, this.#parts.limits)
    const draft: Draft = { messageId: id, guarantee, priority, expiresAt, strategy: undefined, payload }
    await this.#outgoingTo(recipient).sendOnce(draft, signal)
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
        case FrameType.unknownEpochs:
          return this.#outgoing.get(from)?.unknownEpochs(readEpochs(decode(body)))
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

  /** An agent's card came or changed. */
  cardChanged(agent: string): void {
    this.#outgoing.get(agent)?.cardChanged()
  }

  /** There is a new handler, subscription or reader. */
  offerAgain(): void {
    for (const { processing } of this.#authors.values()) processing.offerAgain()
  }

  /** Stops: what handlers at work end with is still written, everything else stays on the disk. */
  async close(): Promise<void> {
    this.#closed = true
    for (const outgoing of this.#outgoing.values()) outgoing.close()
    for (const { processing, holes } of this.#authors.values()) {
      holes?.cancel()
      processing.close()
    }
    await Promise.all([...this.#authors.values()].map(({ processing }) => processing.settled()))
  }

  #outgoingTo(recipient: string): Outgoing {
    const known = this.#outgoing.get(recipient)
    if (known !== undefined) return known
    const { identity, mesh, store, network, clock, random, strategy, prekeyOf, breakers, onRollback, onError } =
      this.#parts
    const outgoing = new Outgoing(
      {
        identity,
        mesh,
        store,
        network,
        clock,
        random,
        ledger: this.#books,
        quota: { take: bytes => this.#take(bytes), give: bytes => this.#give(bytes) },
        strategy,
        window: WINDOW,
        prekey: prekeyOf,
        breaker: agent => breakers.getOrCreate(agent),
        onRollback,
        onError,
      },
      recipient,
    )
    this.#outgoing.set(recipient, outgoing)
    if (network.link(recipient) !== undefined) outgoing.linked()
    return outgoing
  }

  #author(id: string): Author {
    const known = this.#authors.get(id)
    if (known !== undefined) return known
    const { network, identity, mesh, onError } = this.#parts
    const answers = new DueAnswers({
      author: id,
      mesh,
      sign: identity.sign,
      ack: epoch => {
        const ack = author.incoming.ack(epoch)
        return ack && { ack, opened: true }
      },
      credit: () => Math.max(0, MAX_INBOX - author.incoming.size),
      send: frame => {
        if (network.link(id) !== undefined) network.send(id, frame).catch(() => {})
      },
    })
    const incoming: Incoming = new Incoming(
      { ...this.#parts, answers, onReleased: arrived => author.processing.add(arrived) },
      id,
    )
    const processing = new Processing(
      {
        ...this.#parts,
        strategy: this.#parts.handlerStrategy,
        onDead: (arrived, reason, error) => this.#buried(arrived, reason, error),
        onError,
      },
      incoming,
    )
    const author: Author = { incoming, processing, holes: undefined }
    this.#authors.set(id, author)
    return author
  }

  async #acked(from: string, body: Uint8Array): Promise<void> {
    try {
      const { acks } = readAcks(body)
      const outgoing = this.#outgoing.get(from)
      for (const { ack, opened } of acks) await outgoing?.acked(ack, opened)
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
      await this.#outgoing.get(from)?.lostKey(epochs)
    } catch (error) {
      this.#failed(from, error)
    }
  }

  /** Holes that the author, who is linked, does not fill are waited for no longer. */
  #watchHoles(author: Author): void {
    const { clock, holePatience = HOLE_PATIENCE } = this.#parts
    if (!author.incoming.hasHoles) {
      author.holes?.cancel()
      author.holes = undefined
    } else
      author.holes ??= clock.after(holePatience, () => {
        author.holes = undefined
        author.incoming.giveUpHoles()
      })
  }

  #buried(arrived: Arrived, reason: 'handler-error' | 'expired', error: unknown) {
    const { message, row, author } = arrived
    return this.#parts.deadLetters.stage({
      side: 'recipient',
      peer: author,
      reason,
      message: row.message,
      messageId: message.id,
      sender: author,
      security: message.security,
      attempts: row.retry.attempts,
      lastError: error === undefined ? undefined : failureOf(error),
    })
  }

  #take(bytes: number): void {
    const { messages, bytes: most } = this.#parts.maxOutbox ?? { messages: 10_000, bytes: 2 ** 26 }
    const { messages: waiting, bytes: held } = this.#queued
    if (this.#closed) throw new AfpRoutingError('CLOSED', 'this agent has closed')
    if (waiting >= messages || held + bytes > most) {
      throw new AfpRoutingError('QUEUE_FULL', `${waiting} messages of ${held} bytes wait; this one was not taken`)
    }
    this.#queued = { messages: waiting + 1, bytes: held + bytes }
  }

  #give(bytes: number): void {
    const { messages, bytes: held } = this.#queued
    this.#queued = { messages: messages - 1, bytes: held - bytes }
  }

  #failed(from: string, error: unknown): void {
    if (error instanceof AfpMessageError) this.#parts.onRefused(from, 'malformed', error.message)
    else this.#parts.onError(error)
  }

  async #loadOutgoing(): Promise<void> {
    const { store } = this.#parts
    const openings = (await store.range('epochs', { prefix: ['out'] })).map(readOpeningRow)
    const rows = (await store.range('outbox')).map(readOutbox)
    const recipients = new Set([...openings, ...rows].map(({ recipient }) => recipient))
    for (const recipient of recipients) {
      const mine = rows.filter(row => row.recipient === recipient)
      const epochs = await Promise.all(
        openings
          .filter(opening => opening.recipient === recipient)
          .map(async ({ epoch, row: { packet, keyBytes, notAfter } }) => {
            const of = mine.filter(row => row.epoch === epoch)
            const kept = of.filter(({ row }) => row.fence === undefined)
            const delivered = of.filter(({ row }) => row.fence === 'delivered')
            const fenced = of.filter(row => !kept.includes(row) && !delivered.includes(row))
            const numbers = (list: typeof of): number[] => list.map(({ number }) => number)
            const opened: OutEpoch = {
              id: epoch,
              feed: AuthorFeed.restore(epoch, {
                kept: numbers(kept),
                fenced: numbers(fenced),
                delivered: numbers(delivered),
              }),
              key: await importKey(keyBytes),
              keyBytes,
              packet,
              notAfter,
              entries: new Map(),
              fences: new Map(),
              messages: new Map(of.map(({ number, row }) => [number, row.messageId])),
              stored: true,
              opened: false,
              unnumbered: 0,
            }
            const entryOf = ({ number, row }: (typeof of)[number]): [number, Entry] => [
              number,
              // Bytes may have left in the earlier run.
              {
                epoch: opened,
                number,
                row,
                retry: row.retry,
                left: true,
                priority: row.priority,
                expiresAt: row.expiresAt,
                order: number,
              },
            ]
            for (const row of kept) opened.entries.set(...entryOf(row))
            for (const row of fenced) opened.fences.set(...entryOf(row))
            for (const { row } of kept)
              this.#queued = { messages: this.#queued.messages + 1, bytes: this.#queued.bytes + row.frame.length }
            return opened
          }),
      )
      const waiting = mine
        .filter(({ epoch }) => epoch === '')
        .map(({ number, row }) => ({
          key: [recipient, '', number] as Key,
          draft: { ...row, payload: row.frame } as Draft,
        }))
      this.#outgoingTo(recipient).load(epochs, waiting)
    }
  }

  async #loadIncoming(): Promise<void> {
    const { store, limits } = this.#parts
    const epochs = (await store.range('epochs', { prefix: ['in'] })).map(readEpoch)
    const rows = (await store.range('inbox')).map(readInbox)
    for (const author of new Set(epochs.map(({ author }) => author))) {
      const mine = epochs.filter(epoch => epoch.author === author)
      const kept: KeptEpoch[] = []
      const settled: Settled[] = []
      for (const { epoch, row } of mine) {
        if ('floor' in row) settled.push(row)
        else kept.push({ id: epoch, ...row })
      }
      const arrived = rows
        .filter(row => row.author === author)
        .map(({ epoch, number, row }): Arrived => {
          const { message, kind } = decodeMessage(row.message, { sender: author, security: SEALED, limits })
          return { author, epoch, number, message, kind, row, late: false, redelivered: true }
        })
      await this.#author(author).incoming.load(kept, settled, arrived)
    }
  }
}

const failureOf = (error: unknown): { code: string; message: string } => ({
  code: 'HANDLER_FAILED',
  message: error instanceof Error ? error.message : String(error),
})
