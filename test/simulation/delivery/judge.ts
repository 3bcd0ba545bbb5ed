/** What is looked at when a run of the simulation is over. */

import type { AfpError } from '../../../src/common/errors.ts'
import type { LetterEntry } from '../../../src/delivery/dead-letter.ts'
import type { RecipientReceipt } from '../../../src/delivery/receipts.ts'
import { storedReceipt } from '../../delivery/stored-receipt.ts'
import { isOpen } from '../disk.ts'
import { Refused } from '../mortal-store.ts'
import { retriable } from './letters.ts'
import {
  effectsOn,
  isCounted,
  isKnown,
  type Life,
  logsOn,
  type Run,
  readValue,
  type Sent,
  TOTAL,
  type Way,
} from './state.ts'

/** What a machine has in the end. */
interface Remains {
  readonly effect: Awaited<ReturnType<typeof effectsOn>>
  /** All dead letters that its disk ever had, by the ids of their messages. */
  readonly letters: ReadonlyMap<string, readonly LetterEntry[]>
}

/** As what letters are counted. */
const COUNTED: Partial<Record<string, 'expired' | 'failed' | 'rejected'>> = {
  expired: 'expired',
  'handler-error': 'failed',
  rejected: 'rejected',
}

/** Finds what should not have happened. */
export async function judge(run: Run): Promise<void> {
  const { lives, sent, begun, faults } = run
  const remains = new Map<Life, Remains>()
  for (const life of lives) {
    const letters = Map.groupBy(life.book.all.values(), ({ messageId }) => messageId ?? '')
    remains.set(life, { effect: await effectsOn(life.disk), letters })
    await judgeLetters(run, life)
    await judgeTotal(run, life)
    await judgeOrder(run, life)
  }
  for (const { what, node } of begun.values())
    if (lives.some(({ now }) => now?.node === node)) faults.push(`${what}, and that comes to no end`)
  const of = (life: Life): Remains => remains.get(life) as Remains
  for (const entry of sent) {
    if (entry.state === 'asked' && entry.from.now?.node === entry.node) faults.push(`${entry.text}: no word of it`)
    for (const way of entry.ways.values()) {
      await judgeWay(run, entry, way, of)
      if (entry.kind === 'request') judgeReply(run, entry, way, of)
    }
  }
}

/** One message and one of its recipients. */
async function judgeWay({ counters, faults }: Run, entry: Sent, way: Way, of: (life: Life) => Remains): Promise<void> {
  const { id, text, kind, guarantee, from, state } = entry
  const { to } = way
  const known = isKnown(entry)
  const effects = of(to).effect(kind, from.id, text)
  const everLate = (of(to).letters.get(id) ?? []).filter(({ side }) => side === 'recipient')
  const everEarly = (of(from).letters.get(id) ?? []).filter(({ side, peer }) => side === 'sender' && peer === to.id)
  const [late, early] = [everLate, everEarly].map(letters => letters.filter(isOpen)) as [LetterEntry[], LetterEntry[]]
  const letters = [...late, ...early]
  const fault = (what: string): void => {
    const seen = letters.map(({ side, reason, inDoubt }) => `${reason} at the ${side}${inDoubt ? ', in doubt' : ''}`)
    const receipt = JSON.stringify(receiptOfWay)
    faults.push(
      `${text} (${kind}, ${guarantee}, ${state}): ${what}; ${effects} effects, letters: [${seen}], ${receipt}`,
    )
  }
  const receipt = known ? await storedReceipt(from.disk, id) : undefined
  const receiptOfWay = receipt?.recipients.get(to.id)
  counters.handled += effects
  if (way.failedIn !== undefined && effects > 0 && !way.handledAgain) counters.unlike++
  for (const { reason } of letters) counters[COUNTED[reason] ?? 'exhausted']++
  if (effects > 1 && guarantee === 'exactly-once') fault('handled twice')
  if (state === 'thrown') {
    if (effects > 0 || letters.length > 0) fault('was not taken')
    if (receipt !== undefined) fault('was not taken, and has a receipt')
    return
  }
  if (late.length > 1 || early.length > 1) fault('two letters of one side')
  if (late.length > 0 && effects > 0) fault('handled, and a letter of its recipient')
  if (way.handledAgain && to.lostDisks === way.disk && effects === 0) fault('said to be handled again, and was not')
  if (early.some(({ inDoubt }) => !inDoubt) && effects > 0) fault('handled, and a letter that says it was not')
  if (way.over && effects > 0 && !way.handledAgain) fault('handled, though its sender was told that it would not be')
  if (!known || state !== 'kept') return
  if (receiptOfWay === undefined) return fault('has no receipt')
  if (receiptOfWay.state === 'cancelled') {
    counters.cancelled += receiptOfWay.inDoubt ? 0 : 1
    if (letters.length > 0) fault('called off, and a letter')
  } else if (effects === 0 && letters.length === 0 && !way.lost && !(way.unsaid && from.now?.node !== entry.node)) {
    // The next run calls requests off as well.
    const isOff = way.calledOff || kind === 'request'
    if (!isOff || receiptOfWay.reason !== 'rejected') fault('lost')
  }
  // What it knew of it, and what its sender was still to hear, may have gone with a disk.
  if (to.lostDisks > way.disk) return
  if (!receiptOfWay.final) fault('nothing final is known of it')
  if (receiptOfWay.final && receiptOfWay.inDoubt) fault('it is in doubt for good')
  if (effects > 0 && !way.handledAgain && receiptOfWay.state !== 'processed') fault('handled, and its receipt is wrong')
  if (effects === 0 && receiptOfWay.state === 'processed') fault('not handled, and its receipt is wrong')
  // What it failed with is told, whatever has become of the letter since.
  const told = isTold(receiptOfWay)
  const wrong = everLate.length > 0 ? everLate.some(({ reason }) => reason !== told) : told === 'handler-error'
  if (wrong) fault(`it is told that ${told}, of letters of ${everLate.map(({ reason }) => reason)}`)
}

/** A request has its effect exactly when its reply is on its way. */
function judgeReply(run: Run, entry: Sent, { to, disk }: Way, of: (life: Life) => Remains): void {
  const { counters, faults } = run
  const { text, from, guarantee } = entry
  const effects = of(to).effect('request', from.id, text)
  const failed = from.book.open.filter(
    ({ messageId = '', side }) => side === 'recipient' && run.replies.get(messageId) === text,
  )
  // A request goes to one agent: no other has replied.
  const replies = of(from).effect('reply', to.id, text) + failed.length
  counters.replies += replies
  if (to.lostDisks > disk || from.lostDisks > entry.disk) return
  if (guarantee === 'exactly-once' ? replies === effects : replies >= effects && replies > 0 === effects > 0) return
  faults.push(`${text}: ${effects} effects and ${replies} replies`)
}

/** Handlers that read and write one value do not lose what others wrote. */
async function judgeTotal({ faults }: Run, { id, disk }: Life): Promise<void> {
  const value = await disk.get('app', TOTAL)
  const total = value === undefined ? 0 : readValue(value)
  let effects = 0
  for (const { texts } of await logsOn(disk)) effects += texts.filter(isCounted).length
  for (const { key, value } of await disk.range('app', { prefix: ['count'] })) {
    if (isCounted(String(key[3]))) effects += readValue(value) as number
  }
  if (total !== effects) faults.push(`${id} counted ${total} effects of ${effects}`)
}

/** Messages of one author and class are handled in the order in which they were sent. */
async function judgeOrder({ sent, faults }: Run, { id, disk }: Life): Promise<void> {
  for (const { author, priority, texts } of await logsOn(disk)) {
    const mine = sent.filter(
      entry => entry.from.id === author && entry.priority === priority && entry.kind === 'message',
    )
    // Between what was sent from a disk that is lost and what came after nothing tells an order.
    for (const same of Map.groupBy(mine, entry => entry.disk).values()) {
      const firm = same.filter(({ ways }) => ways.get(id)?.loose === false).map(({ text }) => text)
      const wanted = firm.filter(text => texts.includes(text))
      const seen = [...new Set(texts)].filter(text => firm.includes(text))
      if (seen.join() === wanted.join()) continue
      faults.push(`order at ${id} of ${author}, class ${priority}: ${seen} instead of ${wanted}`)
    }
  }
}

/** What an agent says of its letters is what its disk has, and nothing has failed that should not. */
async function judgeLetters({ faults }: Run, { now, id, book }: Life): Promise<void> {
  for (const error of (now?.node.errors ?? []) as AfpError[]) {
    // A reply that there is no room for is tried again, as is what a disk refused.
    if (error.code !== 'QUEUE_FULL' && !(error instanceof Refused)) faults.push(`error at ${id}: ${error.stack}`)
  }
  const letters = (await now?.node.deadLetters.list({ limit: 10_000, processed: false })) ?? []
  const listed = letters.map(letter => letter.id).sort()
  const there = retriable(book)
  if (listed.join() !== there.join()) faults.push(`letters of ${id} are ${listed}, and on its disk ${there}`)
}

/** Why its sender is told that it came and was not handled; undefined where that is not so. */
function isTold({ state, arrived, reason }: RecipientReceipt): string | undefined {
  if (!arrived) return undefined
  return state === 'expired' ? 'expired' : reason
}
