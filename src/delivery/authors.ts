/** Those that this agent hears from: what there is for each of them, as long as it is worth remembering. */

import { type Given, given } from '../common/given.ts'
import { inSlices, Slices } from '../common/slices.ts'
import { DueAnswers } from './answers.ts'
import type { Arrived, IncomingParts } from './arrived.ts'
import { letterOf } from './books.ts'
import type { DeadLetters } from './dead-letters.ts'
import { DEFAULT_INBOX, type InboxLimits, InboxRoom } from './inbox-room.ts'
import { Incoming } from './incoming.ts'
import type { Lines } from './lines.ts'
import { loadIncoming } from './loading.ts'
import { Patience, type PatienceParts } from './patience.ts'
import { Processing, type ProcessingParts } from './processing.ts'
import { Reservations } from './reservations.ts'
import type { RetryStrategy } from './retry.ts'

/** Authors that are held before those give way that are away and of whom nothing would be missed. */
const MAX_AUTHORS = 1_024
/** Epochs of all of them that are held before those give way in which nothing arrived, of authors that are away. */
const MAX_EPOCHS = 4_096
/** It is looked for those once there is a new one for so many that are held: a look at all costs as many as there are. */
const HELD_PER_NEW = 8

/** What they are made of. */
export interface AuthorsParts
  extends Omit<IncomingParts, 'answers' | 'readable' | 'room' | 'onReleased' | 'onExpired'>,
    Omit<ProcessingParts, 'reservations' | 'strategy' | 'onDead'>,
    Pick<PatienceParts, 'holePatience'> {
  readonly lines: Lines
  readonly deadLetters: DeadLetters
  /** When handlers that failed run again. */
  readonly handlerStrategy: RetryStrategy
  /** Default {@link DEFAULT_INBOX}. */
  readonly inbox?: Given<InboxLimits> | undefined
  /** Of all handlers of the agent, those of messages that are not kept among them. Default: none of these. */
  readonly reservations?: Reservations | undefined
}

/** One author, as its recipient sees it. */
interface Author {
  readonly incoming: Incoming
  readonly processing: Processing
  readonly patience: Patience
}

/** See the head of this file. */
export class Authors {
  readonly #parts: AuthorsParts
  readonly #room: InboxRoom
  readonly #reservations: Reservations
  readonly #readable = new Set<string>()
  readonly #all = new Map<string, Author>()
  /** How many are new since it was last looked for those that may give way. */
  #fresh = 0
  /** How many epochs there are when it is looked for them again. */
  #enough = MAX_EPOCHS
  #sweeping = false
  #started = false
  #paused = false
  #closed = false

  constructor(parts: AuthorsParts) {
    this.#parts = parts
    this.#room = new InboxRoom(given(DEFAULT_INBOX, parts.inbox), parts.clock)
    this.#reservations = parts.reservations ?? new Reservations(parts.clock)
  }

  /** Takes up what earlier runs left. @throws AfpDataStoreError STORE_FAILED when a row is damaged */
  async load(): Promise<void> {
    const { store, nextTask } = this.#parts
    const slices = new Slices(nextTask)
    for (const [author, { kept, settled, arrived }] of await loadIncoming(store, nextTask)) {
      const { incoming } = this.#add(author)
      await incoming.load(kept, settled, arrived)
      if (slices.did(0, 1 + kept.length + settled.length + arrived.length)) await slices.pause()
    }
    for await (const { incoming, processing } of inSlices([...this.#all.values()], nextTask)) {
      processing.owe(incoming.resume())
      void incoming.tidy()
    }
  }

  /** Hands out what came, from now on. */
  start(): void {
    this.#started = true
    for (const { processing } of this.#all.values()) processing.start()
  }

  /** One that may not have been heard before. */
  of(id: string): Author {
    const known = this.#all.get(id)
    const author = known ?? this.#add(id)
    if (known === undefined) this.#fresh++
    const many = this.#all.size > MAX_AUTHORS && this.#fresh * HELD_PER_NEW >= this.#all.size
    const due = many || this.#readable.size > this.#enough
    if (due && !this.#sweeping && !this.#closed) this.#sweep(author).catch(this.#parts.onError)
    return author
  }

  /** A connection with an agent is open. */
  linked(agent: string): void {
    this.#all.get(agent)?.patience.linked()
  }

  /** It is gone. */
  unlinked(agent: string): void {
    this.#all.get(agent)?.patience.unlinked()
  }

  /** There is a new handler, subscription or reader; or, of one author, who that is may be known by now. */
  offerAgain(author?: string): void {
    if (author !== undefined) return this.#all.get(author)?.processing.offerAgain()
    for (const { processing } of this.#all.values()) processing.offerAgain()
  }

  /** See `Delivery.pause`. */
  pause(): void {
    this.#paused = true
    for (const { processing } of this.#all.values()) processing.pause()
  }

  /** A reader that had no room has some, or is gone. */
  offerFull(): void {
    for (const { processing } of this.#all.values()) processing.offerFull()
  }

  /** The next message that nobody wanted, for somebody who reads: it has its end with that. */
  shift(): Pick<Arrived, 'message' | 'kind'> | undefined {
    for (const { processing } of this.#all.values()) {
      const entry = processing.shift()
      if (entry !== undefined) return entry
    }
    return undefined
  }

  /** Forgets what is over of those that do not come any more. */
  async tidy(): Promise<void> {
    const slices = new Slices(this.#parts.nextTask)
    for (const { incoming, processing } of [...this.#all.values()]) {
      processing.look()
      await incoming.tidy()
      if (slices.did()) await slices.pause()
    }
  }

  /** Stops; resolves when what handlers at work ended with is written. */
  async close(): Promise<void> {
    this.#closed = true
    this.#reservations.close()
    this.#room.close()
    for (const author of this.#all.values()) end(author)
    await Promise.all([...this.#all.values()].map(({ processing }) => processing.settled()))
  }

  /** Lets go of what nobody would miss of those that are away. @param latest the one that something is here of */
  async #sweep(latest: Author): Promise<void> {
    const { lines, nextTask } = this.#parts
    const slices = new Slices(nextTask)
    this.#sweeping = true
    this.#fresh = 0
    try {
      for (const [id, author] of [...this.#all]) {
        if (slices.did()) await slices.pause()
        if (this.#closed) return
        if (author !== latest && !lines.isOpen(id) && author.incoming.forget()) this.#all.delete(id)
      }
    } finally {
      this.#sweeping = false
      this.#enough = Math.max(MAX_EPOCHS, this.#readable.size * (1 + 1 / HELD_PER_NEW))
    }
  }

  #add(id: string): Author {
    const author = this.#make(id)
    if (this.#started) author.processing.start()
    if (this.#paused) author.processing.pause()
    // Connections close after this: what still comes over them is for the next run, and waits for nothing in this one.
    if (this.#closed) end(author)
    this.#all.set(id, author)
    return author
  }

  #make(id: string): Author {
    const { identity, mesh, lines, deadLetters, handlerStrategy, nextTask } = this.#parts
    const answers = new DueAnswers({
      author: id,
      mesh,
      nextTask,
      sign: identity.sign,
      ack: epoch => incoming.ack(epoch),
      credit: () => incoming.credit,
      send: frame => {
        if (lines.isOpen(id)) lines.send(id, frame).catch(() => {})
      },
    })
    const incoming: Incoming = new Incoming(
      {
        ...this.#parts,
        answers,
        readable: this.#readable,
        room: this.#room,
        onReleased: arrived => processing.add(arrived),
        onExpired: arrived => processing.expire(arrived),
      },
      id,
    )
    const processing = new Processing(
      {
        ...this.#parts,
        reservations: this.#reservations,
        strategy: handlerStrategy,
        onDead: (arrived, owes) => deadLetters.stage(letterOf(arrived, owes)),
      },
      incoming,
    )
    const patience = new Patience({
      ...this.#parts,
      lacks: () => incoming.lacks,
      giveUp: (epoch, lack) => incoming.giveUp(epoch, lack),
    })
    return { incoming, processing, patience }
  }
}

/** Nothing of it waits any more, and no timer for it. */
function end({ incoming, processing, patience }: Author): void {
  patience.unlinked()
  incoming.close()
  processing.close()
}
