/**
 * What machines do with what comes. Each time anew it is a matter of chance whether a handler fails, before it has written
 * anything or after that. Each effect is a row of the handler's transaction.
 */

import type { Agent } from '../../../src/agent/agent.ts'
import type { HandlerContext } from '../../../src/agent/options.ts'
import { AfpError } from '../../../src/common/errors.ts'
import { messageIdFrom } from '../../../src/message/ids.ts'
import type { Message } from '../../../src/message/message.ts'
import { countKey, effectKey, isCounted, logKey, TOTAL } from '../delivery/state.ts'
import { isAsked, newSent } from './sends.ts'
import { type Boot, fault, isKnown, type Machine, type Run, type Sent, TOPIC, type Way } from './state.ts'

/** As what the effects of a message are kept, where they are counted and not listed. */
export const countedAs = ({ kind, byHandler }: Sent): string => (kind === 'message' && byHandler ? 'thanks' : kind)

/** Whether a message has two numbers, of two copies of its sender's disk. */
const goesTwice = ({ mayGoTwice, copied, to }: Way): boolean => mayGoTwice || (copied && to.losses > 0)

/** Whether a message may come twice: see the head of the checker. */
export const mayComeTwice = (sent: Sent, way: Way): boolean => (way.sentAgain && !isKnown(sent)) || goesTwice(way)

/** Whether there are two machines with this one's identity: what the keys of one do not open goes again, to the other too. */
const isTwo = ({ machines }: Run, { id }: Machine): boolean =>
  machines.some(twin => twin.id === id && twin.original !== undefined && !twin.gone)

/** What is thanked for. */
export const isThanked = (text: string): boolean => text.includes('!')

/** Has a machine that has just started take what comes. */
export function listen(run: Run, machine: Machine, boot: Boot, agent: Agent): void {
  agent.handle((message, context) => handle(run, machine, boot, message, context))
  const heard = (message: Message): void => hear(run, machine, boot, message)
  agent.subscribe({ topic: TOPIC }, heard)
  agent.subscribe({ metadata: { to: 'all' } }, heard)
}

async function handle(
  run: Run,
  machine: Machine,
  boot: Boot,
  message: Message,
  context: HandlerContext,
): Promise<unknown> {
  if (boot.state === 'dead') return new Promise<never>(() => {})
  const { random, history, counters } = run
  const sent = known(run, machine, message)
  if (sent === undefined) return
  const { text, kind, from, priority } = sent
  const { redelivered, transaction, late } = context
  history.add(machine.name, 'handler began', { message: text, redelivered, late })
  if (redelivered) counters.redelivered++
  if (late) counters.late++
  const way = sent.ways.get(machine.id)
  const again = boot.begun.has(text) && !redelivered
  if (again && !isTwo(run, machine) && !(way !== undefined && mayComeTwice(sent, way)))
    fault(run, 'duplicated effect', `${text} at ${machine.name}: its handler runs again, and is not told`)
  boot.begun.add(text)
  if (message.isExpired(boot.clock.now()) && !way?.handledAgain && !redelivered && kind !== 'once')
    fault(run, 'phantom', `${text} at ${machine.name}: its handler starts after its end`)
  const fails = random.float() < boot.failing && !isAsked(text)
  const atOnce = random.float() < 0.5
  const failed = (): Error => {
    counters.handlerFailures++
    history.add(machine.name, 'handler failed', { message: text })
    return new Error('a bad day')
  }
  if (fails && atOnce) throw failed()
  if (random.float() < 0.3) await rest(boot, random.float() * 200, context.signal)
  if (kind === 'message' && !sent.byHandler && run.blind) {
    transaction.put(effectKey(from.id, priority, text, counters.blindEffects++), 0)
  } else if (kind === 'message' && !sent.byHandler) {
    const log = logKey(from.id, priority)
    transaction.put(log, [...((await transaction.get<string[]>(log)) ?? []), text])
  } else {
    const count = countKey(countedAs(sent), from.id, text)
    transaction.put(count, ((await transaction.get<number>(count)) ?? 0) + 1)
  }
  if (isCounted(text)) transaction.put(TOTAL, ((await transaction.get<number>(TOTAL)) ?? 0) + 1)
  if (isThanked(text)) await thank(run, machine, boot, sent, context)
  // What it has written does not count.
  if (fails) throw failed()
  history.add(machine.name, 'handler ended', { message: text })
  return kind === 'request' ? text : undefined
}

/** As handlers should, it rests no longer than its agent is there. */
function rest({ clock }: Boot, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const timer = clock.after(ms, resolve)
    signal.addEventListener('abort', () => {
      timer.cancel()
      resolve()
    })
  })
}

/** What was sent, if it is what came: its content, its author, and one of its recipients. */
function known(run: Run, machine: Machine, message: Message): Sent | undefined {
  const text = String(message.content).split(' ')[0] as string
  const sent = run.byText.get(text)
  const phantom = (what: string): undefined => {
    fault(run, 'phantom', `${text} at ${machine.name}: ${what}`)
    return undefined
  }
  if (sent === undefined) return phantom('nobody has sent it')
  const open = sent.kind === 'topic' || sent.kind === 'broadcast'
  if (message.content !== sent.content) return phantom('its content is another')
  if (message.sender !== sent.from.id) return phantom(`it is said to be of ${message.sender}`)
  if (!open && message.id !== sent.id) return phantom('its id is another')
  if (!open && !sent.ways.has(machine.id)) return phantom('it was for others')
  if (message.priority !== sent.priority) return phantom(`its priority is ${message.priority}`)
  if (message.guarantee !== sent.guarantee) return phantom(`its guarantee is ${message.guarantee}`)
  if (sent.state === 'refused' && sent.kind !== 'once' && !open)
    return phantom('its sender was told that nothing of it was kept')
  return sent
}

/** Gossip has come. */
function hear(run: Run, machine: Machine, boot: Boot, message: Message): void {
  if (boot.state === 'dead') return
  const sent = known(run, machine, message)
  if (sent === undefined) return
  const { text, kind, from } = sent
  run.counters.heard++
  run.history.add(machine.name, 'heard', { message: text })
  if (boot.begun.has(text)) fault(run, 'duplicated effect', `${text} at ${machine.name}: heard twice in one run`)
  boot.begun.add(text)
  if (kind === 'broadcast' && from.id === machine.id) fault(run, 'phantom', `${text}: a broadcast came back`)
}

/** A handler sends something by itself, under an id that is the same each time that it runs. */
async function thank(run: Run, machine: Machine, boot: Boot, { from }: Sent, context: HandlerContext): Promise<void> {
  const { agent } = boot
  if (agent === undefined || boot.state !== 'up' || from.id === machine.id) return
  const id = messageIdFrom(`${context.idempotencyKey} thanks of ${machine.name}`)
  // What is sent again by a machine with another disk is another thing.
  const text = `thanks-${id.slice(0, 8)}-${machine.generation}`
  const ttl = machine.doomed || from.doomed ? 60 : undefined
  const before = run.byText.get(text)
  const sent =
    before ?? newSent(run, machine, boot, { id, text, kind: 'message', to: [from], priority: 0, ttl, byHandler: true })
  if (before === undefined) run.counters.byHandlers++
  try {
    await agent.send(from.id, sent.content, { id, ttl, guarantee: sent.guarantee })
    sent.state = 'accepted'
  } catch (error) {
    if (!(error instanceof AfpError && error.code === 'DUPLICATE_MESSAGE'))
      throw new Error('a bad thanks', { cause: error })
  }
}
