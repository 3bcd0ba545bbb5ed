/**
 * Delivery: from a message that was sent to one that was handled, for every agent that this one writes to or hears from.
 * It joins the author's and the recipient's side to the network, to the store and to the books.
 */

import type { Clock } from '../common/clock.ts'
import { AfpError, AfpMessageError } from '../common/errors.ts'
import type { Given } from '../common/given.ts'
import type { Random } from '../common/random.ts'
import type { NextTask } from '../common/slices.ts'
import { Underway } from '../common/underway.ts'
import { type Identity, verifySignature } from '../identity/keys.ts'
import { decode } from '../message/codec.ts'
import type { MessageKind } from '../message/envelope.ts'
import type { Message } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import type { Deadline, Network } from '../network/network.ts'
import type { Prekey, PrekeyRing } from '../security/prekeys.ts'
import type { Store, Write } from '../store/store.ts'
import type { Arrived, IncomingParts } from './arrived.ts'
import { Authors, type AuthorsParts } from './authors.ts'
import { Books } from './books.ts'
import type { CircuitBreakers } from './breakers.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { RetryOutcome } from './dead-letter-retries.ts'
import type { DeadLetters } from './dead-letters.ts'
import { draftOf } from './drafts.ts'
import { FrameType, LOST_KEY_LABEL, lostKeyBody, readAcks, readEpochs, readLostKey, readStates } from './frames.ts'
import { trackImplied } from './implied.ts'
import { KEEP_ENDED } from './in-epoch.ts'
import type { DEFAULT_INBOX, InboxLimits } from './inbox-room.ts'
import { retryLetter } from './letter-retry.ts'
import { LetterTurns } from './letter-turns.ts'
import { Lines } from './lines.ts'
import { loadOutgoing } from './loading.ts'
import { type OutboxLimits, OutboxQuota } from './outbox-quota.ts'
import type { Draft } from './outgoing-parts.ts'
import type { ProcessingParts } from './processing.ts'
import { duplicate } from './receipts.ts'
import { Recipients } from './recipients.ts'
import { Recorder } from './recorder.ts'
import type { RetryStrategy } from './retry.ts'
import { sendToAll } from './send-all.ts'
import type { Tracker, Tracking } from './tracker.ts'
import { Tries } from './tries.ts'
import { failUnkept } from './unkept.ts'

/** How many messages to one recipient may be under way. */
const WINDOW = 256

/** What delivery needs. */
export interface DeliveryParts
  extends Pick<IncomingParts, 'judge' | 'onOnce' | 'onRefused' | 'onRejected' | 'onHole' | 'onLost'>,
    Pick<ProcessingParts, 'take' | 'onFailed'>,
    Pick<AuthorsParts, 'reservations'> {
  readonly identity: Identity
  readonly mesh: string
  readonly store: Store
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
  readonly prekeys: PrekeyRing
  readonly tracker: Tracker
  /** Asked at the start: whether there is a receipt of a message that is not followed, since all is said of it. Default: none. */
  readonly isClosed?: ((messageId: string) => boolean) | undefined
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
  /** How long order waits for what its author does not name, ms; default 30,000. */
  readonly holePatience?: number | undefined
  /** How long work lets others have their turn. Default: the platform's. */
  readonly nextTask?: NextTask | undefined
  readonly onRollback: (recipient: string, epoch: string) => void
  readonly onError: (error: unknown) => void
}

/** See the head of this file. */
export class Delivery {
  readonly #parts: DeliveryParts
  readonly #books: Books
  readonly #lines: Lines
  readonly #recipients: Recipients
  readonly #authors: Authors
  readonly #quota: OutboxQuota
  readonly #recorder: Recorder
  readonly #tries: Tries
  /** Messages that are being called off by hand. */
  readonly #cancelling = new Underway()
  readonly #sending = new LetterTurns()
  readonly #closing = new AbortController()

  private constructor(parts: DeliveryParts) {
    this.#parts = parts
    const { identity, tracker, deadLetters } = parts
    this.#quota = new OutboxQuota(parts.maxOutbox)
    this.#books = new Books({ self: identity.id, tracker, deadLetters })
    this.#recorder = new Recorder({ ...parts, ledger: this.#books })
    this.#tries = new Tries(parts)
    this.#lines = new Lines({ ...parts, self: identity.id, received: (from, frame) => this.received(from, frame) })
    this.#recipients = new Recipients({
      ...parts,
      lines: this.#lines,
      ledger: this.#books,
      tries: this.#tries,
      quota: this.#quota,
      window: WINDOW,
      prekey: parts.prekeyOf,
    })
    // Words on what nobody follows change nothing: no row has to wait for them. Their number is bounded with that.
    tracker.addEventListener(
      'forgotten',
      ({ detail: { id, recipients } }) => {
        for (const recipient of recipients.keys()) void this.#recipients.get(recipient)?.forget(id)
      },
      { signal: this.#closing.signal },
    )
    this.#authors = new Authors({ ...parts, lines: this.#lines, reply: this.#reply })
  }

  /** Takes up what earlier runs left. @throws AfpDataStoreError STORE_FAILED when a row is damaged */
  static async open(parts: DeliveryParts): Promise<Delivery> {
    const delivery = new Delivery(parts)
    await delivery.#load()
    return delivery
  }

  async #load(): Promise<void> {
    const { store, clock, tracker, nextTask } = this.#parts
    const follows = (id: string): boolean => tracker.tracking(id) !== undefined
    const remains = await loadOutgoing(store, { now: clock.now(), follows, next: nextTask })
    await trackImplied(this.#parts, remains)
    await failUnkept({ ...this.#parts, recorder: this.#recorder }, remains)
    await this.#recipients.load(remains)
    await this.#authors.load()
    // What this agent sent to itself comes at once, and must find what came of it before.
    await this.#recipients.resume()
  }

  /** Hands out what came, from now on: to be called once the application has had a turn to say who handles it. */
  start(): void {
    this.#authors.start()
  }

  /** A message as it is sealed; the same for every recipient. @throws AfpMessageError MESSAGE_TOO_LARGE */
  draft(message: Message, kind: MessageKind, strategy?: RetryStrategy): Draft {
    return draftOf(message, kind, strategy, this.#parts)
  }

  /** @throws AfpError DUPLICATE_MESSAGE for an id that a message has of which there is a receipt, of this run or an earlier one */
  async unused(id: string): Promise<void> {
    if ((await this.#parts.tracker.get(id)) !== undefined) throw duplicate(id)
  }

  /**
   * Queues a message for each of its recipients; resolves when it is on the disk for them, see {@link sendToAll}. Its
   * receipt tells of names that stand for nobody, `lost`, as well.
   * @throws AfpRoutingError QUEUE_FULL; AfpDataStoreError STORE_FULL, STORE_FAILED; AfpError DUPLICATE_MESSAGE for
   *   an id that another message of these days has
   */
  send(draft: Draft, recipients: readonly string[], lost?: ReadonlyMap<string, AfpError>): Promise<Tracking> {
    const send = async (draft: Draft, recipient: string): Promise<void> => {
      await this.#recipients.to(recipient).send(draft)
      this.#reach(recipient)
    }
    return sendToAll({ ...this.#parts, recorder: this.#recorder, send }, draft, recipients, lost)
  }

  /**
   * Hands a message to the connection with a recipient, sealed and not kept. Those to one recipient leave in the order
   * of the calls. @throws AfpRoutingError NO_ROUTE, QUEUE_FULL, CIRCUIT_OPEN; the signal's reason
   */
  sendOnce(draft: Draft, recipient: string, signal?: AbortSignal): Promise<void> {
    // Who waits for a reply has spoken.
    const refusal = draft.awaited ? undefined : this.#parts.breakers.refusal(recipient)
    if (refusal !== undefined) return Promise.reject(refusal)
    return this.#recipients.to(recipient).sendOnce(draft, signal)
  }

  /** As {@link Delivery.sendOnce} where there is a link to hand it to, until a deadline; undefined where there is none. */
  sendNow(draft: Draft, recipient: string, deadline: Deadline): Promise<void> | undefined {
    if (!draft.awaited && this.#parts.breakers.refusal(recipient) !== undefined) return undefined
    return this.#recipients.to(recipient).sendNow(draft, deadline)
  }

  /** In one batch: the reply is on its way exactly when what its handler wrote is on the disk. */
  readonly #reply: ProcessingParts['reply'] = async ({ message, kind }, also) => {
    await this.send({ ...this.draft(message, kind), also }, message.recipients)
  }

  /** Calls a message off for every recipient that does not have it. False when there is none. */
  cancel(messageId: string): Promise<boolean> {
    return this.#cancelling.add(this.#cancel(messageId))
  }

  async #cancel(messageId: string): Promise<boolean> {
    const receipt = await this.#parts.tracker.get(messageId)
    const recipients = this.#recipients
    const asked = receipt && [...receipt.recipients.keys()].flatMap(recipient => recipients.get(recipient) ?? [])
    const all = await Promise.all((asked ?? recipients.all()).map(outgoing => outgoing.cancel(messageId)))
    return all.includes(true)
  }

  /**
   * Calls a request off: it does not leave any more. Resolves once it was tried to write that; where it could not be, that
   * is told, and tried again until it is.
   */
  async callOff(messageId: string, recipient: string): Promise<void> {
    await this.#recipients.get(recipient)?.callOff(messageId)
  }

  /** A frame of delivery's came over an agent's own connection. */
  received(from: string, frame: Uint8Array): void | Promise<void> {
    const body = frame.subarray(1)
    try {
      switch (frame[0]) {
        case FrameType.envelope:
          return this.#authors.of(from).incoming.envelope(body)
        case FrameType.opening:
          return this.#authors.of(from).incoming.opening(body)
        case FrameType.acks:
          return this.#acked(from, body)
        case FrameType.states:
          return this.#states(from, body)
        case FrameType.unknownEpochs: {
          const own = this.#own(from, readEpochs(decode(body)))
          return this.#recipients.get(from)?.unknownEpochs(own)
        }
        case FrameType.lostKey:
          return this.#lostKey(from, body)
        default:
          // Of a later version, perhaps: no fault of whoever sent it.
          this.#parts.onRefused(from, 'wrong-version', `a frame of type ${frame[0]}`)
      }
    } catch (error) {
      this.#failed(from, error)
    }
  }

  /** A connection with an agent is open. */
  linked(agent: string): void {
    // What failed did so over another link.
    this.#parts.breakers.tryNow(agent)
    this.#recipients.get(agent)?.linked()
    this.#authors.linked(agent)
  }

  /** It is gone. */
  unlinked(agent: string): void {
    this.#recipients.get(agent)?.unlinked()
    this.#authors.unlinked(agent)
  }

  /** It is there again: it is tried at once, however lately that was in vain. */
  online(agent: string): void {
    this.#lines.back(agent)
    this.cardChanged(agent)
  }

  /** An agent's card came or changed. */
  cardChanged(agent: string): void {
    this.#recipients.get(agent)?.cardChanged()
    this.#reach(agent)
    // What waits may be for somebody who asks for it by name; not within the call that has learned it.
    queueMicrotask(() => this.#authors.offerAgain(agent))
  }

  /** There is a new handler, subscription or reader. */
  offerAgain(): void {
    this.#authors.offerAgain()
  }

  /** Hands out no message and no request any more; replies that handlers at work wait for still come. */
  pause(): void {
    this.#authors.pause()
  }

  /** A reader that had no room has some, or is gone. */
  offerFull(): void {
    this.#authors.offerFull()
  }

  /**
   * Forgets what is over, of authors that do not come any more as well, what recipients have no word on, and keys that open
   * nothing more; now and then.
   */
  async tidy(): Promise<void> {
    await this.#authors.tidy()
    await this.#recipients.tidy()
    // Whoever waits for what became of these waits no longer.
    this.#parts.tracker.forgetOld(this.#parts.clock.now() - KEEP_ENDED)
  }

  /** See `dead-letter-retries.ts`: tries the message of a letter again. */
  retryLetter(letter: DeadLetter, settled: readonly Write[], automatic = false): Promise<RetryOutcome> {
    const outgoingTo = (recipient: string) => this.#recipients.to(recipient)
    const ways = { outgoingTo, reply: this.#reply, sending: this.#sending, closing: this.#closing.signal }
    // What is sent again waits for a connection as what is sent first does.
    return retryLetter({ ...this.#parts, ...ways }, letter, settled, automatic).finally(() => this.#reach(letter.peer))
  }

  /** The next message that nobody wanted, for somebody who reads: it has its end with that. */
  shift(): Pick<Arrived, 'message' | 'kind'> | undefined {
    return this.#authors.shift()
  }

  /** Stops: what handlers at work end with, and what is being called off, is still written; the rest stays on the disk. */
  async close(): Promise<void> {
    this.#closing.abort(new AfpError('CLOSED', 'this agent has closed'))
    this.#quota.close()
    this.#recorder.close()
    this.#tries.close()
    this.#lines.close()
    this.#recipients.close()
    await Promise.all([this.#authors.close(), this.#cancelling.ended()])
  }

  async #acked(from: string, body: Uint8Array): Promise<void> {
    try {
      const { credit, acks } = readAcks(body)
      const epochs = acks.map(({ epoch }) => epoch)
      const own = new Set(this.#own(from, epochs))
      const outgoing = this.#recipients.get(from)
      outgoing?.credit(credit)
      // All at once: what they say counts before what a later frame says, however long it takes to be written.
      await Promise.all(acks.map(ack => own.has(ack.epoch) && outgoing?.acked(ack)))
    } catch (error) {
      this.#failed(from, error)
    }
  }

  async #states(from: string, body: Uint8Array): Promise<void> {
    try {
      const { incoming, patience } = this.#authors.of(from)
      const states = readStates(body)
      await incoming.states(states)
      if (this.#lines.isOpen(from)) patience.heard(new Set(states.map(({ epoch }) => epoch)))
    } catch (error) {
      this.#failed(from, error)
    }
  }

  async #lostKey(from: string, body: Uint8Array): Promise<void> {
    try {
      const { epochs, signature } = readLostKey(body)
      const { mesh, identity } = this.#parts
      const own = this.#own(from, epochs)
      // Whoever names none of them costs no signature.
      if (own.length === 0) return
      if (!(await verifySignature(from, LOST_KEY_LABEL, lostKeyBody(mesh, identity.id, epochs), signature)))
        return this.#parts.onRefused(from, 'bad-signature', 'a lost key')
      await this.#recipients.get(from)?.lostKey(own)
    } catch (error) {
      this.#failed(from, error)
    }
  }

  /** Those of some epochs that are this agent's own towards `from`: nobody else has a say in them. */
  #own(from: string, epochs: readonly string[]): string[] {
    const outgoing = this.#recipients.get(from)
    const own = epochs.filter(epoch => outgoing?.has(epoch))
    if (own.length < epochs.length) this.#parts.onRefused(from, 'unknown-epoch', 'an epoch')
    return own
  }

  /** Connects to an agent for which something waits. */
  #reach(agent: string): void {
    const wanted = (): boolean => (this.#recipients.get(agent)?.size ?? 0) > 0
    if (wanted()) this.#lines.reach(agent, wanted)
  }

  #failed(from: string, error: unknown): void {
    if (error instanceof AfpMessageError) this.#parts.onRefused(from, 'malformed', error.message)
    else this.#parts.onError(error)
  }
}
