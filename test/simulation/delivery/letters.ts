/** What the simulation does with dead letters, and what must never become of them. */

import type { DeadLetter, LetterEntry, LetterSide } from '../../../src/delivery/dead-letter.ts'
import type { DeadLettersOptions } from '../../../src/delivery/dead-letters.ts'
import { fixedRetry } from '../../../src/delivery/retry.ts'
import { readOutbox } from '../../../src/delivery/rows.ts'
import type { Row } from '../../../src/store/store.ts'
import { AWAY, isRetried, type LetterBook, type Owed, owedBy, watchedDisk } from '../disk.ts'
import { Refused } from '../mortal-store.ts'
import { begin, crash, type Life, pick, type Run, type Way } from './state.ts'

/** Options of the letters of a run of a machine: in some there is little room for them, in some they are retried. */
export function letterOptions({ random, roomy }: Run): Pick<DeadLettersOptions, 'maxEntries' | 'policies'> {
  const few = !roomy && random.float() < 0.4
  const policy = fixedRetry({ delay: 300 + random.float() * 3_000, retries: 1 + Math.floor(random.float() * 2) })
  const policies = { 'handler-error': policy, expired: policy, 'attempts-exhausted': policy, rejected: policy }
  return {
    maxEntries: few ? 1 + Math.floor(random.float() * 3) : undefined,
    policies: random.float() < 0.3 ? policies : undefined,
  }
}

/** A machine has a new disk. */
export function newDisk(run: Run, life: Pick<Life, 'id' | 'putAway'>): Pick<Life, 'disk' | 'book'> {
  const owed = new Set<string>()
  const { counters, faults } = run
  const added = new Set<LetterSide>()
  const { disk, book } = watchedDisk({
    letter: (entry, before) => {
      const way = wayOf(run, life, entry)
      if (before === undefined) {
        added.add(entry.side)
        if (owed.delete(nameOf(entry))) counters.paid++
        if (entry.side === 'recipient' && way !== undefined) way.ended = true
        const twice = book.open.some(other => other.id !== entry.id && nameOf(other) === nameOf(entry))
        if (twice) faults.push(`a second letter at ${life.id}: ${nameOf(entry)}`)
      }
      if (!isRetried(entry) || (before !== undefined && isRetried(before)) || way === undefined) return
      // It has no place among the others any more.
      way.loose = true
      if (entry.side === 'recipient') way.handledAgain = true
    },
    gone: entry => {
      if (entry.processed) counters.gaveWay++
      else if (!life.putAway.has(entry.id)) faults.push(`${life.id} has lost a letter: ${nameOf(entry)}`)
    },
    owes: it => {
      owed.add(nameOf(it))
      counters[it.side === 'sender' ? 'owedToSenders' : 'owedToRecipients']++
      const way = wayOf(run, life, it)
      if (it.side === 'recipient' && way !== undefined) way.ended = true
    },
    told: () => {
      for (const side of added) judgeRoom(run, life, book, side)
      added.clear()
    },
  })
  return { disk, book }
}

const nameOf = ({ side, peer, messageId }: Owed | LetterEntry): string => `${messageId} at its ${side}, of ${peer}`

/** The message of a letter and the recipient that it is about. */
const wayOf = ({ byId }: Run, { id }: Pick<Life, 'id'>, letter: Owed | LetterEntry): Way | undefined =>
  byId.get(letter.messageId ?? '')?.ways.get(letter.side === 'sender' ? letter.peer : id)

/** Who makes a new letter keeps to the bound: what the disk refuses to delete is back, beyond it. */
function judgeRoom(
  { lives, refusals, faults }: Run,
  { id }: Pick<Life, 'id'>,
  book: LetterBook,
  side: LetterSide,
): void {
  const most = lives.find(life => life.id === id)?.letterRoom
  if (most === undefined || refusals !== undefined) return
  const count = [...book.there].filter(letter => book.all.get(letter)?.side === side).length
  if (count > most) faults.push(`${id} has ${count} letters of the ${side}'s, and room for ${most}`)
}

/** The letters that can be retried; undefined where its power goes meanwhile. */
async function openLetters({ world }: Run, { now }: Life): Promise<DeadLetter[] | undefined> {
  let letters: DeadLetter[] | undefined
  void now?.node.deadLetters.list({ processed: false }).then(list => {
    letters = list
  })
  await world.clock.advanceUntil(() => letters !== undefined || now === undefined || now.store.dead)
  return letters
}

/** Somebody looks through letters: a part of them is put away. */
export async function putAway(run: Run, life: Life, part = 0.5): Promise<void> {
  const { random, counters, faults } = run
  const letters = await openLetters(run, life)
  if (letters === undefined || life.now === undefined) return
  const { node } = life.now
  const { deadLetters } = node
  const does = (what: string, work: Promise<unknown>): void => {
    begin(run, what, node, work)
    work.catch(error => {
      if (!(error instanceof Refused)) faults.push(`${what}: ${error}`)
    })
  }
  for (const { id } of letters) {
    if (random.float() >= part) continue
    life.putAway.add(id)
    counters.putAway++
    if (random.float() < 0.5) does('a letter is discarded', deadLetters.discard(id))
    else does('a letter is put away', deadLetters.markProcessed(id, AWAY))
  }
  if (random.float() < 0.2) does('letters are purged', deadLetters.purge())
}

/** Somebody retries a letter; sometimes the power goes meanwhile. */
export async function retryOne(run: Run, life: Life): Promise<void> {
  const { random, counters, world, byHand } = run
  const letters = await openLetters(run, life)
  if (letters === undefined || letters.length === 0 || life.now === undefined) return
  const { node, store } = life.now
  // What is in doubt may turn out to be delivered: it is tried more often than there is of it.
  const doubtful = letters.filter(({ inDoubt }) => inDoubt)
  const some = doubtful.length > 0 && random.float() < 0.6 ? doubtful : letters
  const { id, side } = pick(random, some)
  byHand.add(id)
  let over = false
  const retrying = node.deadLetters.retry(id)
  begin(run, 'a letter is retried', node, retrying)
  retrying.then(
    outcome => {
      over = true
      if (store.dead) return
      if (outcome === 'retried') counters[side === 'sender' ? 'sentAgain' : 'handledAgain']++
      else counters[outcome === 'delivered' ? 'foundDelivered' : 'waiting']++
    },
    () => {
      over = true
      counters.retriesFailed++
    },
  )
  if (random.float() >= 0.5) return
  await world.clock.advance(random.float() * 30)
  if (life.now?.node !== node) return
  if (!over) counters.retriesCutOff++
  crash(run, life)
}

/** Follows what policies do in a run of a machine, which has just begun. */
export function follow({ counters, byHand }: Run, life: Life): void {
  const { deadLetters } = life.now?.node ?? {}
  deadLetters?.addEventListener('dead-letter:retried', ({ detail: { id, outcome } }) => {
    if (byHand.has(id) || outcome !== 'retried') return
    counters[life.book.all.get(id)?.side === 'sender' ? 'sentByPolicy' : 'handledByPolicy']++
  })
  deadLetters?.start()
}

/** How much waits for room for its letter, and how much else is on the disk that waits. */
export async function waitingOn({ sent, world, begun }: Run, life: Life): Promise<{ owed: number; others: string[] }> {
  const { disk, book } = life
  // What was not taken for one of its recipients is nowhere else.
  const told = new Set(Array.from(book.all.values(), nameOf))
  const untold = sent
    .filter(({ node }) => node === life.now?.node)
    .flatMap(({ id, ways }) =>
      [...ways].flatMap(([peer, { unsaid }]) => (unsaid ? nameOf({ side: 'sender', peer, messageId: id }) : [])),
    )
    .filter(name => !told.has(name))
  let owed = untold.length
  const others = Array.from(begun.values()).flatMap(({ what, node }) => (node === life.now?.node ? what : []))
  for (const table of ['outbox', 'inbox']) {
    for (const row of await disk.range(table)) {
      if (owedBy(table, row) === undefined && !isGivenUp(table, row, world.clock.now()))
        others.push(`${table} ${row.key}`)
      else owed++
    }
  }
  return { owed, others }
}

/** Whether nothing of a message leaves any more, and its bytes are there for its letter alone. */
function isGivenUp(table: string, row: Row, now: number): boolean {
  if (table !== 'outbox') return false
  const { fence, frame, expiresAt } = readOutbox(row).row
  return frame.length > 0 && (fence !== undefined || expiresAt < now)
}

/** Ids of letters that are there and can be retried. */
export const retriable = ({ all, there }: LetterBook): string[] =>
  [...there].filter(id => all.get(id)?.processed === false).sort()
