/**
 * What becomes of the messages that are kept: their states on the page, those that nobody could deliver or handle, the
 * circuit breakers, and what storage has to say.
 */

import {
  AfpError,
  type Agent,
  type DeadLetter,
  letterMessage,
  type RecipientStatus,
  systemClock,
} from 'agent-flow-protocol'
import { show, summary } from './content.ts'
import type { Conversations } from './conversations.ts'
import { afterwards } from './history.ts'
import { reasonOf, whyDead, whyLetter } from './reasons.ts'
import { type Channel, type Entry, type Held, letterOf, type Status, type Store } from './state.ts'

/** States that no row has to tell of: the agent's receipts do. */
const PASSING = ['sending', 'queued', 'sent', 'delivered', 'waiting']

/** What a receipt says of a message. */
function statusOf({ state, reason, inDoubt }: Pick<RecipientStatus, 'state' | 'reason' | 'inDoubt'>): Status {
  if (state === 'cancelled') return inDoubt ? { at: state, doubt: true } : { at: state }
  if (state !== 'expired' && state !== 'dead') return { at: state === 'stored' ? 'sent' : state }
  const why = whyDead(reason ?? 'expired')
  return { at: 'failed', reason: inDoubt ? `${why}; it may have come all the same` : why }
}

/** See the head of this file. */
export class Mail {
  readonly #agent: Agent
  readonly #store: Store
  readonly #conversations: Conversations

  constructor(agent: Agent, store: Store, conversations: Conversations) {
    this.#agent = agent
    this.#store = store
    this.#conversations = conversations
  }

  /** Follows the agent; what was said before is looked at by {@link resume}. */
  listen(): void {
    const agent = this.#agent
    agent.addEventListener('delivery:changed', ({ detail: { id, recipient, receipt } }) =>
      this.#changed(`agent:${recipient}`, id, statusOf(receipt)),
    )
    for (const type of ['added', 'processed', 'removed'] as const)
      agent.addEventListener(`dead-letter:${type}`, () => this.#count())
    agent.addEventListener('dead-letter:added', ({ detail }) => this.#unhandled(detail.letter))
    agent.addEventListener('dead-letter:retry-failed', ({ detail }) => void this.#lookAtLetter(detail.id))
    agent.addEventListener('dead-letter:processed', ({ detail }) => this.#dealtWith(new Set([detail.id])))
    agent.addEventListener('dead-letter:removed', ({ detail }) => this.#dealtWith(new Set(detail.ids)))
    agent.addEventListener('dead-letter:refused', ({ detail }) => this.trouble(detail.error))
    agent.addEventListener('breaker:changed', () => this.lookAtBreakers())
    agent.addEventListener('store:error', ({ detail }) => this.trouble(detail.error, true))
    this.#count()
  }

  /** Asks what became of the messages of earlier runs, and of those that came and could not be handled. */
  async resume(): Promise<void> {
    const open = [...this.#store.state.conversations].flatMap(([channel, { entries }]) =>
      entries.filter(({ mine, status }) => mine && PASSING.includes(status.at)).map(entry => [channel, entry] as const),
    )
    await Promise.all(open.map(([channel, entry]) => this.#lookAgain(channel, entry)))
    await this.#lookAtLetters()
  }

  /** A run can have ended between a letter and its row here. Only the last ones can be without: the newest are enough. */
  async #lookAtLetters(): Promise<void> {
    const { deadLetters } = this.#agent
    const letters = await deadLetters.list({ side: 'recipient', processed: false })
    for (const letter of letters.toReversed()) this.#unhandled(letter)
    const open = new Set(letters.map(({ id }) => id))
    const others = this.#withLetters().filter(([, , letter]) => !open.has(letter))
    const known = await Promise.all(others.map(([, , letter]) => deadLetters.get(letter)))
    this.#dealtWith(new Set(others.map(([, , letter]) => letter).filter((_, at) => known[at]?.processed !== false)))
  }

  #withLetters(): [Channel, Entry, letter: string][] {
    return [...this.#store.state.conversations].flatMap(([channel, { entries }]) =>
      entries.flatMap(entry => {
        const letter = letterOf(entry)
        return letter === undefined ? [] : [[channel, entry, letter] satisfies [Channel, Entry, string]]
      }),
    )
  }

  /** A letter is what it was, or its handler failed in another way this time. */
  async #lookAtLetter(id: string): Promise<void> {
    const letter = await this.#agent.deadLetters.get(id).catch(() => undefined)
    if (letter?.processed === false) this.#unhandled(letter)
  }

  /** Shows a message that came and could not be handled: no handler that failed leaves anything of it here. */
  #unhandled(letter: DeadLetter): void {
    const { id, side, peer, lastError, createdAt } = letter
    if (side !== 'recipient') return
    const why = lastError === undefined ? '' : ` (${summary(show(lastError.message))})`
    const status = { at: 'failed', reason: `${whyLetter(letter)}${why}`, letter: id } as const
    try {
      const { message, kind: of } = letterMessage(letter)
      // Word of progress is no message to anybody.
      if (message.metadata.progressOf !== undefined) return
      const kind = of === 'request' ? of : 'message'
      this.#conversations.save(
        this.#conversations.came(`agent:${peer}`, message, { kind, status, time: createdAt }).said,
      )
    } catch {
      // It cannot be read: among the letters it says so.
    }
  }

  /** Letters that somebody has dealt with are no way on any more. What was handled names none by then. */
  #dealtWith(ids: ReadonlySet<string>): void {
    for (const [channel, { key, status }, letter] of this.#withLetters())
      if (ids.has(letter) && status.at === 'failed')
        this.#conversations.save(
          this.#conversations.change(channel, key, { status: { at: 'failed', reason: status.reason } }),
        )
  }

  async #lookAgain(channel: Channel, entry: Entry): Promise<void> {
    const { id, kind, status } = entry
    const to = channel.slice(6)
    const known = kind === 'message' ? await this.#agent.deliveries.get(id) : undefined
    const receipt: RecipientStatus | undefined = known?.recipients.get(to)
    // Nobody waits for the reply to a question of an earlier run.
    if (kind === 'request') void this.#agent.deliveries.cancel(id).catch(() => {})
    if (receipt === undefined) this.#change(channel, entry, afterwards(status, channel))
    else this.#changed(channel, id, statusOf(receipt))
  }

  /** Shows what has become of a message that was sent before the page showed it. */
  async look(channel: Channel, id: string): Promise<void> {
    const known = await this.#agent.deliveries.get(id).catch(() => undefined)
    const receipt = known?.recipients.get(channel.slice(6))
    if (receipt !== undefined) this.#changed(channel, id, statusOf(receipt))
  }

  /** News of a message of this page's. */
  #changed(channel: Channel, id: string, status: Status): void {
    const entry = this.#conversations.find(channel, ({ mine, id: other }) => mine && other === id)
    if (entry === undefined) return
    const { at } = status
    if (entry.kind === 'message') this.#change(channel, entry, status)
    else if (entry.status.at === 'waiting' && (at === 'queued' || at === 'sent' || at === 'delivered'))
      this.#change(channel, entry, { at: 'waiting', way: at })
  }

  #change(channel: Channel, { key, status: before }: Entry, status: Status): void {
    const said = this.#conversations.change(channel, key, { status })
    // A message that is sent again, after its row said that it failed, is on its way there too.
    if (!PASSING.includes(status.at) || !PASSING.includes(before.at)) this.#conversations.save(said)
  }

  /** Says what went wrong and what to do; `again`: it is tried again by itself. */
  trouble(error: unknown, again = false): void {
    const code = error instanceof AfpError ? error.code : undefined
    // The page is about to go: what it still wanted to write is of no use to anybody.
    if (code === 'CLOSED') return
    const after = again
      ? 'What was kept so far is safe, and this is tried again; what others send waits with them until then.'
      : 'What was kept so far is safe; the last of it was not kept.'
    const notice =
      code === 'STORE_FULL'
        ? `This browser has no room left. ${after} Clear a conversation or purge dead letters.`
        : code === 'QUEUE_FULL'
          ? `Too much waits. What waits is kept; the last of it was not taken. Cancel messages, or purge dead letters.`
          : `This browser could not write: ${reasonOf(error)}. ${after}`
    this.#store.update(state => ({ ...state, notice }))
  }

  #count(): void {
    const dead = this.#agent.deadLetters.count({ processed: false })
    this.#store.update(state => ({ ...state, dead }))
  }

  /** Holds messages to an agent back, or lets them go. */
  hold(id: string, on: boolean): void {
    const breaker = this.#agent.breakers.getOrCreate(id)
    if (on) breaker.forceOpen()
    else breaker.reset()
    this.lookAtBreakers()
  }

  lookAtBreakers(): void {
    const held = new Map<string, Held>()
    for (const { name, state, forced, failureCount, retryAfter } of this.#agent.breakers.all())
      if (state !== 'closed')
        held.set(name, {
          byHand: forced,
          failures: failureCount,
          until: forced ? undefined : systemClock.now() + retryAfter,
        })
    this.#store.update(state => ({ ...state, held }))
  }
}
