/**
 * What must not have happened, by its name. The checker is as strict as docs/claims.md, and is loose where that is:
 *
 * - what a recipient's disk had, and was lost or set back, need not be there (`Way.excused`), nor its effect; nor need what
 *   was not processed yet, as its sender knew, when its recipient became two machines;
 * - what its sender's disk no longer knows, since that was lost, set back or copied, may be lost before it arrived;
 * - a message of which a letter was retried, and its sender's disk set back since, may come twice: the letter is there again;
 *   so may one that waited on a copy of that disk without a number, or whose recipient lost its keys or is two machines: it
 *   gets another one;
 * - such a message, and what such a disk has given up, may also wait until its time to live ends, where its recipient has
 *   settled its number already;
 * - of what was on its way while its sender was two machines each of these may be told what is so of the other's alone, or
 *   nothing; that it was processed is so of one of them;
 * - order holds between messages of one sender, recipient and class that went under their first numbers to keys that the
 *   recipient still has (`Way.loose`), and not between those of two disks of the sender, nor of what was on its way when
 *   that of its sender or its recipient was lost, set back or copied, or its recipient's keys were lost, nor of what may have
 *   expired by a clock of its sender that was set back then;
 * - what ends undelivered has its dead letter, unless the disk of its sender or recipient was changed since;
 * - in the end everybody asks somebody, and has a reply, unless something is before it that nobody waits for: of a disk that
 *   was changed, or for one that never returns;
 * - a message to a machine that never returns has no end that anybody could wait for here; one of its own has it where it came;
 * - a machine that has lost its disk, or whose disk took its time, has a clock that is not set back before it has started and
 *   shown a card, and one whose disk refuses writes has none that is: else its old one is believed;
 * - two machines with one identity are noticed where their cards meet, which two that have all their links with the same
 *   others need not;
 * - at most once and gossip may be lost, and may come twice over a restart of who hears it.
 */

import type { RecipientReceipt } from '../../../src/delivery/receipts.ts'
import { storedReceipt } from '../../delivery/stored-receipt.ts'
import { effectsOn, isCounted, logsOn, readValue, TOTAL } from '../delivery/state.ts'
import { isOpen } from '../disk.ts'
import { cipherNews } from './crypto.ts'
import { countedAs, mayComeTwice } from './handlers.ts'
import { fault, isKnown, type Machine, type Run, type Sent, type Way } from './state.ts'

type Effects = Awaited<ReturnType<typeof effectsOn>>

/** Finds what should not have happened, once everything has come to its end. */
export async function check(run: Run): Promise<void> {
  const { machines, sent, begun } = run
  const effects = new Map<Machine, Effects>()
  for (const machine of machines) {
    effects.set(machine, await effectsOn(machine.disk))
    await checkTotal(run, machine)
    await checkOrder(run, machine)
  }
  for (const { what, boot } of begun.values())
    if (boot.state === 'up') fault(run, 'stuck', `${what}, and that comes to no end`)
  for (const entry of sent) {
    if (entry.state === 'asked' && entry.boot.state === 'up' && entry.ways.size > 0 && !entry.byHandler)
      fault(run, 'stuck', `${entry.text}: no word of it`)
    for (const way of entry.ways.values()) {
      const count = (effects.get(way.to) as Effects)(countedAs(entry), entry.from.id, entry.text)
      await checkWay(run, entry, way, count)
    }
  }
  for (const at of cipherNews().reused) fault(run, 'nonce', `two things are sealed under one: ${at}`)
}

/** One message and one of its recipients. */
async function checkWay(run: Run, entry: Sent, way: Way, effects: number): Promise<void> {
  const { counters } = run
  const { id, text, kind, guarantee, from, state } = entry
  const { to } = way
  const stored = await storedReceipt(from.disk, id)
  const receipt = stored?.recipients.get(to.id)
  const late = [...to.book.all.values()].filter(
    letter => letter.side === 'recipient' && letter.messageId === id && letter.peer === from.id,
  )
  const say = (category: 'lost' | 'duplicated effect' | 'phantom' | 'stuck', what: string): void => {
    const letters = late.map(({ reason, notes }) => `${reason}${notes.length > 0 ? ', dealt with' : ''}`)
    const told = receipt === undefined ? 'no receipt' : JSON.stringify(receipt)
    const way = `${from.name} to ${to.name}, ${kind}, ${guarantee}, ${state}`
    fault(run, category, `${text} (${way}): ${what}; ${effects} effects, letters there: [${letters}], ${told}`)
  }
  if (effects > 0) counters[kind === 'once' ? 'handledOnce' : 'handled'] += effects
  if (effects > 1 && kind !== 'once' && !mayComeTwice(entry, way)) say('duplicated effect', 'it counts more than once')
  if (effects > 1 && kind === 'once' && to.boots === 1) say('duplicated effect', 'it counts more than once in one run')
  if (kind === 'once') return
  if (state === 'refused' && effects > 0) say('phantom', 'its sender was told that nothing of it was kept')
  const settled = to.generation === way.generation && isKnown(entry)
  if (state === 'replied' && settled && effects === 0) say('phantom', 'it was answered, and has no effect')
  if (kind === 'request') return
  // Handlers on a disk that was lost send another thing under the same id: a letter there may be of that.
  const isAlone = run.sent.every(other => other === entry || other.id !== id)
  if (settled && isAlone && late.some(isOpen) && effects > 0)
    say('phantom', 'it was handled, and there is a letter that says it failed')
  if (settled && way.over && effects > 0 && !way.handledAgain)
    say('phantom', 'it was handled, though its sender was told that it would not be')
  if (state !== 'accepted' || entry.forgotten || from.gone) return
  if (receipt === undefined) return say('lost', 'nothing is known of it')
  if (receipt.state === 'expired') counters.expired++
  else if (receipt.reason === 'attempts-exhausted') counters.exhausted++
  else if (receipt.reason === 'handler-error') counters.failedForGood++
  if (to.gone || way.excused !== undefined) return
  counters.judged++
  if (entry.ofTwo) {
    if (effects === 0 && receipt.state === 'processed') say('lost', 'it has no effect, and its sender was told of one')
    return
  }
  if (effects > 0) {
    // On a disk that was set back it is not handled yet, whatever its sender was told of that.
    const again = way.handledAgain || mayComeTwice(entry, way) || to.generation !== way.generation
    if (receipt.state !== 'processed' && !again) say('stuck', 'it was handled, and its sender is not told so')
    return
  }
  const letterHere = [...from.book.all.values()].some(
    letter => letter.side === 'sender' && letter.messageId === id && letter.peer === to.id,
  )
  if (!isHonest(entry, way, receipt, { letterHere, letterThere: late.length > 0 }))
    say('lost', 'it has neither effect nor an end that its sender was told')
}

/** Whether a message without effect has the end that its sender asked for, or that its recipient made. */
function isHonest(
  entry: Sent,
  way: Way,
  receipt: RecipientReceipt,
  { letterHere, letterThere }: { readonly letterHere: boolean; readonly letterThere: boolean },
): boolean {
  const { ttl, ownRetry } = entry
  const { state, reason, inDoubt, final, error } = receipt
  // All have spoken to each other: nothing is in doubt any more.
  if (inDoubt || !final) return false
  // Of several recipients there may be some for whom it is not kept: the receipt that `send` resolves with says so.
  if (state === 'cancelled') return way.calledOff || (way.unkept && error?.code === 'CLOSED')
  // Its letter went with the disk of one of them, or is on neither.
  const hasLetter = letterThere || letterHere || !isKnown(entry) || way.to.generation !== way.generation
  if (state === 'expired') return (ttl !== undefined || letterThere) && hasLetter
  // Its effect went with its recipient's disk, to which it comes back as not handled yet: what becomes of it then has a letter.
  if (state === 'processed') return letterThere && way.to.generation !== way.generation
  if (state !== 'dead') return false
  if (reason === 'handler-error') return letterThere
  // What its recipient was told to skip by a run of which its sender knows nothing any more.
  if (reason === 'rejected') return letterThere || !isKnown(entry)
  return reason === 'attempts-exhausted'
    ? (ownRetry || way.sentAgain) && hasLetter
    : way.unkept && (reason === 'quota' || reason === 'not-kept')
}

/** Handlers that read and write one value do not lose what others wrote. */
async function checkTotal(run: Run, { name, disk }: Machine): Promise<void> {
  const value = await disk.get('app', TOTAL)
  const total = value === undefined ? 0 : Number(readValue(value))
  let effects = 0
  for (const { texts } of await logsOn(disk)) effects += texts.filter(isCounted).length
  for (const { key, value } of await disk.range('app', { prefix: ['count'] })) {
    if (isCounted(String(key[3]))) effects += readValue(value) as number
  }
  if (total !== effects)
    fault(run, total > effects ? 'duplicated effect' : 'lost', `${name} counted ${total} of ${effects}`)
}

/** Messages of one author and class are handled in the order in which they were sent. */
async function checkOrder(run: Run, { id, name, disk }: Machine): Promise<void> {
  const { sent, machines } = run
  for (const { author, priority, texts } of await logsOn(disk)) {
    const mine = sent.filter(
      entry => entry.from.id === author && entry.priority === priority && entry.kind === 'message' && !entry.byHandler,
    )
    // Between what was sent from a disk that is gone and what came after nothing tells an order.
    for (const same of Map.groupBy(mine, entry => `${entry.from.name} ${entry.generation}`).values()) {
      const firm = same.filter(({ ways }) => ways.get(id)?.loose === false).map(({ text }) => text)
      const wanted = firm.filter(text => texts.includes(text))
      run.counters.inOrder += wanted.length
      const seen = [...new Set(texts)].filter(text => firm.includes(text))
      if (seen.join() === wanted.join()) continue
      const of = machines.find(machine => machine.id === author)?.name
      fault(run, 'order', `at ${name} of ${of}, class ${priority}: ${seen} instead of ${wanted}`)
    }
  }
}
