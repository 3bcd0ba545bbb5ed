/** The end of a run: nothing fails any more, everything comes to its end, and nothing is left over. */

import { readInbox, readOutbox } from '../../../src/delivery/rows.ts'
import { settleClones } from './acts.ts'
import { boot, close } from './machines.ts'
import { askLast } from './sends.ts'
import { fault, type Machine, type Run, type Sent } from './state.ts'
import { endClone } from './twins.ts'

/** How long everything may take once nothing fails, ms: the longest pauses of retries, breakers, order and redials, and some. */
const LONGEST = 400_000
const LOOK_EVERY = 1_000
/** After so long a copy is stopped that nobody has noticed, ms: that is promised only where the cards of the two meet. */
const UNNOTICED = 60_000

/** Runs everybody until nothing waits for anything. */
export async function settle(run: Run): Promise<void> {
  const { clock, machines, furthest } = run
  // What was made with a clock that was ahead waits until its time has come.
  const longest = LONGEST + furthest
  let left: string[] = []
  let asked = false
  for (let at = 0; at < longest; at += LOOK_EVERY) {
    settleClones(run)
    if (at === UNNOTICED) for (const machine of machines) endClone(run, machine, false)
    for (const machine of machines) if (machine.now === undefined && !machine.gone) boot(run, machine)
    await clock.advance(LOOK_EVERY)
    left = await waiting(run)
    if (left.length === 0 && asked) return
    if (left.length === 0) {
      asked = true
      await askLast(run)
    }
    await makeRoom(run)
  }
  for (const what of left) fault(run, 'stuck', `in the end ${what}`)
}

/** Where there is little room for letters somebody puts some away: else what ends waits for them. */
async function makeRoom({ machines }: Run): Promise<void> {
  for (const { now } of machines) {
    if (now?.state !== 'up' || now.agent === undefined) continue
    const { agent } = now
    void agent.deadLetters
      .list({ processed: false })
      .then(letters => Promise.all(letters.slice(-2).map(({ id }) => agent.deadLetters.markProcessed(id, 'put away'))))
      .catch(() => {})
  }
}

/** What waits, wherever it is. */
async function waiting(run: Run): Promise<string[]> {
  const { machines, begun, byId } = run
  const left: string[] = []
  const nameOf = (id: string): string => machines.find(machine => machine.id === id)?.name ?? id
  const isGone = (id: string): boolean =>
    machines.some(machine => machine.id === id && machine.original === undefined && machine.gone)
  const isForgotten = (id: string, sent: Sent | undefined): boolean =>
    sent === undefined
      ? machines.some(machine => machine.id === id && machine.generation > 0)
      : sent.ways.get(id)?.excused !== undefined
  for (const { what, boot } of begun.values()) if (boot.state === 'up' || boot.state === 'booting') left.push(what)
  for (const machine of machines) {
    const { name, disk, gone, original, now } = machine
    if (original !== undefined && !gone) left.push(`${name} runs beside ${original.name}, and neither has noticed`)
    if (gone) continue
    if (now?.state !== 'up') left.push(`${name} is not up`)
    for (const row of await disk.range('outbox')) {
      const { recipient, epoch, number, row: out } = readOutbox(row)
      // Nobody will ever take it, and nobody says what became of it.
      if (isGone(recipient)) continue
      // Since then its disk was set back or copied: its recipient may have settled its number with what is not there any more.
      const sent = byId.get(out.messageId)
      if (sent === undefined ? machine.generation > 0 : sent.forgotten || sent.ofTwo) continue
      // It arrived, and went with its recipient's disk: nobody has a last word on it.
      if (out.fence === 'delivered' && isForgotten(recipient, sent)) continue
      const kind = out.owes ? 'owed' : (out.fence ?? 'unsent')
      left.push(
        `${name} still has ${epoch.slice(0, 4)}:${number} to ${nameOf(recipient)}, ${kind}${out.awaited ? ', awaited' : ''}`,
      )
    }
    for (const row of await disk.range('inbox')) {
      const { author, epoch, number, row: inbox } = readInbox(row)
      left.push(
        `${name} still has ${epoch.slice(0, 4)}:${number} of ${nameOf(author)}, ${inbox.owes ? 'owed' : inbox.kind}`,
      )
    }
  }
  return left
}

/** Everybody closes; nothing is left of them but their disks. */
export async function checkClosed(run: Run): Promise<void> {
  const { machines, clock, relays } = run
  for (const machine of machines) close(run, machine, false)
  for (let at = 0; at < 60_000 && machines.some(({ now }) => now !== undefined); at += 500) await clock.advance(500)
  for (const { name, now } of machines) if (now !== undefined) fault(run, 'stuck', `${name} does not close`)
  for (const relay of relays) {
    const { carrier } = relay
    if (carrier === undefined) continue
    let stopped = false
    void carrier.stop().then(() => {
      stopped = true
    })
    await clock.advance(20_000)
    if (!stopped) fault(run, 'stuck', `${relay.name} does not stop`)
    if (carrier.connections().length > 0) fault(run, 'leaked', `connections of ${relay.name}, which has stopped`)
  }
  if (run.seed % 10 === 0) for (const machine of machines) if (!machine.gone) await checkAged(run, machine)
}

/** When all of it is long over, nothing is left of what was sent and what came. */
async function checkAged(run: Run, machine: Machine): Promise<void> {
  const { clock, counters } = run
  counters.aged++
  machine.skew = 200 * 86_400_000
  machine.mostSkew = machine.skew
  boot(run, machine)
  // The first look is after five minutes, and takes what is over.
  await clock.advance(700_000)
  const { now } = machine
  if (now?.state !== 'up') return fault(run, 'stuck', `${machine.name} does not start when it is old`)
  // The keys to what came are no longer there, but for the new one.
  const keys = await machine.disk.range('prekeys')
  if (keys.length > 1) fault(run, 'leaked', `${keys.length} prekeys of ${machine.name}, one of which is new`)
  for (const table of ['outbox', 'inbox', 'epochs', 'receipts']) {
    const all = await machine.disk.range(table)
    // As long as there is a letter its receipt says what became of it.
    const asked = new Set([...machine.book.there].map(id => machine.book.all.get(id)?.messageId))
    const rows = table === 'receipts' ? all.filter(({ key }) => !asked.has(String(key[0]))) : all
    if (rows.length > 0) fault(run, 'leaked', `${rows.length} rows of ${table} at ${machine.name}, ${rows[0]?.key}`)
  }
  close(run, machine, false)
  await clock.advance(30_000)
}
