/** What is sent in a mesh, and what its senders hear of it. */

import type { Agent } from '../../../src/agent/agent.ts'
import { AfpError } from '../../../src/common/errors.ts'
import { fixedRetry } from '../../../src/delivery/retry.ts'
import { createIds } from '../../../src/message/ids.ts'
import type { Guarantee } from '../../../src/message/message.ts'
import { pick } from '../delivery/state.ts'
import { Refused } from '../mortal-store.ts'
import { type Boot, begin, fault, type Machine, type Run, type Sent, TOPIC, type Way } from './state.ts'

type What = Pick<Sent, 'id' | 'text' | 'kind' | 'priority'> &
  Partial<Pick<Sent, 'ttl' | 'ownRetry' | 'byHandler' | 'guarantee'>> & {
    readonly to: readonly Machine[]
    readonly unheard?: boolean
  }

/** What ends the text of a request whose handler does not fail. */
const ASKED = '?'
export const isAsked = (text: string): boolean => text.endsWith(ASKED)
/** How long it may take, ms: the longest pauses between tries, and some. */
const LAST_TIMEOUT = 100_000
/** Seconds. */
const DEFAULT_TTL = 3_600

/** Notes what is about to be sent. */
export function newSent(run: Run, from: Machine, boot: Boot, what: What): Sent {
  const { random, byText, byId, sent, counters, history } = run
  const { to, unheard = false, ttl, ownRetry = false, byHandler = false, ...rest } = what
  const { text } = rest
  const way = (machine: Machine): Way => ({
    to: machine,
    generation: machine.generation,
    calledOff: false,
    over: false,
    processed: false,
    unkept: false,
    sentAgain: false,
    handledAgain: false,
    mayGoTwice: false,
    copied: false,
    // It may be sealed to a key that is gone.
    loose: byHandler || machine.losses > (seen(machine) ?? machine.losses),
    excused: undefined,
    unheard,
  })
  const cards = boot.agent?.peers() ?? []
  const seen = ({ id }: Machine): number | undefined => {
    const card = cards.find(peer => peer.card.id === id)?.card
    return card && (run.lossesAt.get(card.instance) ?? 0)
  }
  const long = random.float()
  const entry: Sent = {
    guarantee: 'exactly-once',
    ...rest,
    ttl,
    expiresAt: boot.clock.now() + (ttl ?? DEFAULT_TTL) * 1_000,
    ownRetry,
    byHandler,
    content: `${text} ${'x'.repeat(long < 0.9 ? 40 * long : 4_000 * long)}`,
    from,
    boot,
    generation: from.generation,
    ways: new Map(to.map(machine => [machine.id, way(machine)])),
    state: 'asked',
    forgotten: false,
    ofTwo: false,
  }
  byText.set(text, entry)
  byId.set(entry.id, entry)
  sent.push(entry)
  counters.sent++
  if (!byHandler) {
    const names = to.map(({ name }) => name)
    history.add(from.name, 'send', {
      message: text,
      id: entry.id,
      kind: entry.kind,
      to: names,
      priority: entry.priority,
      ttl,
    })
  }
  return entry
}

/** What `send` may say of a message that it has not taken. */
const isRefusal = (error: unknown): boolean =>
  error instanceof Refused ||
  (error instanceof AfpError && ['QUEUE_FULL', 'STORE_FULL', 'CLOSED', 'MESSAGE_EXPIRED'].includes(error.code))

/** A machine that is up sends something, mostly kept. */
export function sendOne(
  run: Run,
  machine: Machine,
  boot: Boot,
  agent: Agent,
  to: readonly Machine[],
  unheard = false,
): void {
  const { random, counters, seed, machines } = run
  const { guarantee, kind } = draw(run, to, unheard)
  const flags = `${random.float() < 0.3 ? '+' : ''}${kind === 'message' && random.float() < 0.06 ? '!' : ''}`
  const text = `${seed}-${run.sent.length}${flags}`
  const priority = pick(random, [0, 0, 0, 5])
  const hurried = unheard || random.float() < 0.2
  const brief = machine.doomed || machines.some(({ doomed }) => doomed && to.some(other => other.doomed))
  const ttl = hurried ? (unheard ? 3 : 0.05 + random.float() * 8) : brief ? 60 : undefined
  const ownRetry = kind === 'message' && random.float() < 0.1
  const id = createIds({ clock: boot.clock, random })()
  const entry = newSent(run, machine, boot, { id, text, kind, priority, guarantee, to, ttl, ownRetry, unheard })
  if (hurried) counters.hurried++
  if (to.length > 1) counters.several++
  if (ownRetry) counters.ownRetry++
  counters[
    guarantee === 'exactly-once' ? 'exactlyOnce' : guarantee === 'at-least-once' ? 'atLeastOnce' : 'atMostOnce'
  ]++
  const options = { id, priority, guarantee, ttl }
  const retry = ownRetry ? fixedRetry({ delay: 500, retries: 1 }) : undefined
  const ids = to.map(other => other.id)
  if (kind === 'request') {
    counters.requests++
    const asking = agent.request(ids[0] as string, entry.content, {
      ...options,
      timeout: 1_000 + random.float() * 20_000,
    })
    begin(run, `${text} waits for its reply`, boot, asking)
    return follow(run, entry, asking, 'replied', reply => {
      counters.replies++
      if (reply.content !== text) fault(run, 'phantom', `the reply to ${text} says ${reply.content}`)
      if (reply.sender !== ids[0]) fault(run, 'phantom', `the reply to ${text} is of ${reply.sender}`)
    })
  }
  const sending = agent.send(ids.length === 1 ? (ids[0] as string) : ids, entry.content, { ...options, retry })
  begin(run, `${text} is being sent`, boot, sending)
  follow(run, entry, sending, 'accepted', ({ recipients }) => {
    for (const way of entry.ways.values()) {
      const now = recipients.get(way.to.id)
      way.unkept = now?.state === 'dead' || now?.state === 'cancelled'
    }
  })
}

/** When nothing fails any more everybody asks somebody, and has a reply: see {@link isAsked}. */
export async function askLast(run: Run): Promise<void> {
  const up = run.machines.filter(({ now }) => now?.state === 'up')
  for (const [at, machine] of up.entries()) {
    const to = up[(at + 1) % up.length] as Machine
    const { now: boot } = machine
    if (boot?.agent === undefined || to.id === machine.id) continue
    // What its clock dated ahead, and its disk forgot, goes before: its recipient takes it once its time has come.
    if ((await machine.disk.range('outbox', { prefix: [to.id] })).length > 0) continue
    const { random, counters, seed } = run
    const text = `${seed}-${run.sent.length}${ASKED}`
    const id = createIds({ clock: boot.clock, random })()
    const entry = newSent(run, machine, boot, { id, text, kind: 'request', priority: 0, to: [to] })
    const asking = boot.agent.request(to.id, entry.content, { id, guarantee: entry.guarantee, timeout: LAST_TIMEOUT })
    begin(run, `${text} waits for its reply`, boot, asking)
    follow(run, entry, asking, 'replied', reply => {
      counters.askedLast++
      if (reply.content !== text) fault(run, 'phantom', `the reply to ${text} says ${reply.content}`)
    })
    asking.catch(error => {
      // There may be no room beside what waits for one that never returns.
      const isFull = error instanceof AfpError && error.code === 'QUEUE_FULL'
      if (!isFull) fault(run, 'lost', `${text} of ${machine.name} to ${to.name} has no reply: ${error}`)
    })
  }
}

function draw({ random }: Run, to: readonly Machine[], unheard: boolean): Pick<Sent, 'guarantee' | 'kind'> {
  const guarantee: Guarantee = random.float() < 0.7 ? 'exactly-once' : 'at-least-once'
  const draw = random.float()
  if (unheard || to.length > 1 || draw >= 0.27) return { guarantee, kind: 'message' }
  return draw < 0.12 ? { guarantee: 'at-most-once', kind: 'once' } : { guarantee, kind: 'request' }
}

/** Notes what comes of it, unless its machine is gone by then. */
function follow<T>(run: Run, entry: Sent, work: Promise<T>, done: Sent['state'], then: (value: T) => void): void {
  const { history, counters } = run
  const { boot, from, text, kind } = entry
  work.then(
    value => {
      if (boot.state === 'dead') return
      entry.state = done
      history.add(from.name, done === 'replied' ? 'replied' : 'accepted', { message: text })
      then(value)
    },
    error => {
      if (boot.state === 'dead') return
      const code = error instanceof AfpError ? error.code : String(error)
      if (kind === 'request') {
        entry.state = 'not replied'
        history.add(from.name, 'not replied', { message: text, code })
        const told = [
          'TIMEOUT',
          'HANDLER_FAILED',
          'CIRCUIT_OPEN',
          'NO_ROUTE',
          'MESSAGE_EXPIRED',
          'DELIVERY_FAILED',
        ].includes(code)
        if (!told && !isRefusal(error)) fault(run, 'error', `${text} has no reply: ${error?.stack ?? error}`)
        return
      }
      entry.state = 'refused'
      counters.refusedToSend++
      history.add(from.name, 'refused to send', { message: text, code })
      const once = kind === 'once' && ['NO_ROUTE', 'TIMEOUT', 'CIRCUIT_OPEN', 'DELIVERY_FAILED'].includes(code)
      if (!once && !isRefusal(error)) fault(run, 'error', `${text} could not be sent: ${error?.stack ?? error}`)
    },
  )
}

/** Publishes to a topic, or to all. */
export function tellAll(run: Run, machine: Machine, boot: Boot, agent: Agent): void {
  const { random, counters, seed } = run
  const kind = random.float() < 0.5 ? 'topic' : 'broadcast'
  counters[kind === 'topic' ? 'published' : 'broadcast']++
  const id = createIds({ clock: boot.clock, random })()
  const text = `${seed}-${run.sent.length}`
  const entry = newSent(run, machine, boot, { id, text, kind, priority: 0, guarantee: 'at-most-once', to: [] })
  const work =
    kind === 'topic'
      ? agent.publish(TOPIC, entry.content, { id })
      : agent.broadcast(entry.content, { id, metadata: { to: 'all' } })
  begin(run, `${text} is published`, boot, work)
  work.then(
    () => {
      if (boot.state !== 'dead') run.history.add(machine.name, 'published', { message: text })
    },
    error => {
      if (boot.state !== 'dead' && !isRefusal(error)) fault(run, 'error', `${text}: ${error?.stack ?? error}`)
    },
  )
}

/** Calls something off that was sent lately. */
export function cancelOne(run: Run, machine: Machine, boot: Boot, agent: Agent): void {
  const { random, history, counters } = run
  const mine = run.sent.filter(({ from, generation, state, kind }) => {
    return from === machine && generation === machine.generation && state === 'accepted' && kind === 'message'
  })
  const entry = mine.at(-1 - Math.floor(random.float() ** 2 * Math.min(30, mine.length)))
  if (entry === undefined) return
  for (const way of entry.ways.values()) way.calledOff = true
  history.add(machine.name, 'cancel', { message: entry.text })
  const cancelling = agent.deliveries.cancel(entry.id)
  begin(run, `${entry.text} is called off`, boot, cancelling)
  cancelling.then(
    done => {
      if (done && boot.state !== 'dead') counters.cancelled++
    },
    error => {
      if (boot.state !== 'dead' && !isRefusal(error))
        fault(run, 'error', `${entry.text}: not called off: ${error?.stack ?? error}`)
    },
  )
}

/** Retries a dead letter. */
export async function retryOne(run: Run, machine: Machine, boot: Boot, agent: Agent): Promise<void> {
  const { random, counters, history, byId } = run
  const letters = await agent.deadLetters.list({ processed: false }).catch(() => [])
  if (letters.length === 0 || boot.state === 'dead') return
  const doubtful = letters.filter(({ inDoubt }) => inDoubt)
  const letter = pick(random, doubtful.length > 0 && random.float() < 0.6 ? doubtful : letters)
  boot.byHand.add(letter.id)
  const retrying = agent.deadLetters.retry(letter.id)
  begin(run, 'a letter is retried', boot, retrying)
  retrying.then(
    outcome => {
      if (boot.state === 'dead') return
      counters.retriedByHand++
      const sent = byId.get(letter.messageId ?? '')
      if (sent?.ways.get(letter.peer)?.unheard && letter.side === 'sender') counters.retriedAfterLostAcks++
      history.add(machine.name, 'letter retried', { message: sent?.text ?? letter.id, side: letter.side, outcome })
    },
    () => {},
  )
}
