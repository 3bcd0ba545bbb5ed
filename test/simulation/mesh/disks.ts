/** Disks of machines: what is told of them, and how they are copied, set back and lost. */

import { readInbox, readOutbox } from '../../../src/delivery/rows.ts'
import { encode } from '../../../src/message/codec.ts'
import { contentToWire } from '../../../src/message/content.ts'
import { decodeMessage } from '../../../src/message/envelope.ts'
import { KEPT_LIMITS } from '../../../src/message/validate.ts'
import type { Batch, Store, Write } from '../../../src/store/store.ts'
import { storedReceipt } from '../../delivery/stored-receipt.ts'
import { isRetried, type LetterBook, watchedDisk } from '../disk.ts'
import { FileDisk } from './file-disk.ts'
import { mayComeTwice } from './handlers.ts'
import { putAll, type Snapshot } from './snapshot.ts'
import { fault, isKnown, type Machine, type Run } from './state.ts'

const SECURITY = { level: 'high', authenticatedBy: 'signature', roles: [] } as const

/** An empty disk, or one with rows. What it has from the start is nobody's news. */
export async function newDisk(
  run: Run,
  machine: Pick<Machine, 'id' | 'name' | 'arrived'>,
  rows: Snapshot = [],
): Promise<{ disk: Store; book: LetterBook }> {
  const { counters, byId, history } = run
  let quiet = true
  const { disk, book } = watchedDisk({
    letter: (entry, before) => {
      if (quiet) return
      const { side, peer, messageId = '', reason } = entry
      const way = byId.get(messageId)?.ways.get(side === 'sender' ? peer : machine.id)
      if (before === undefined) {
        counters.letters++
        const twice = book.open.some(
          other => other.id !== entry.id && other.side === side && other.messageId === messageId && other.peer === peer,
        )
        const message = byId.get(messageId)?.text ?? messageId
        history.add(machine.name, 'letter', { side, message, reason })
        if (twice && !comesTwice(run, machine, messageId))
          fault(run, 'phantom', `${message} at ${machine.name}: a second letter of one ${side}`)
      }
      if (way === undefined || !isRetried(entry) || (before !== undefined && isRetried(before))) return
      // It has no place among the others any more.
      way.loose = true
      if (side === 'recipient') way.handledAgain = true
      else {
        way.sentAgain = true
        // A copy of its machine has the letter too, and sends it under a number of its own.
        if (run.machines.some(({ id, original, gone }) => id === machine.id && original !== undefined && !gone))
          way.mayGoTwice = true
        // Its sender may have stopped before it was told that it is under way again.
        way.over = false
      }
      history.add(machine.name, 'letter retried', { side, message: byId.get(messageId)?.text ?? messageId })
    },
    gone: () => {},
    owes: () => {},
    told: () => {},
  })
  await putAll(disk, rows)
  quiet = false
  const watched: Store = {
    ...disk,
    commit: async batch => {
      await disk.commit(run.blind ? withTimes(run, batch) : batch)
      noteArrivals(run, machine, batch)
    },
  }
  return { disk: watched, book }
}

/** What is written blindly says when: nothing else tells in which order it was. */
function withTimes(run: Run, batch: Batch): Batch {
  const timed = (write: Write): Write =>
    write.op === 'put' && write.table === 'app' && write.key[0] === 'effect'
      ? { ...write, value: encode(contentToWire(run.written++)) }
      : write
  return { ...batch, writes: batch.writes.map(timed) }
}

/** Whether a message may come to one machine, or end at it, twice: see the head of the checker. */
function comesTwice({ byId, machines }: Run, { id }: Pick<Machine, 'id'>, messageId: string): boolean {
  const sent = byId.get(messageId)
  if (sent === undefined || !isKnown(sent)) return true
  const to = machines.filter(machine => machine.id === id)
  return to.length > 1 || [...sent.ways.values()].some(way => mayComeTwice(sent, way))
}

/** What came is on the disk from here on. */
function noteArrivals({ history, byId }: Run, machine: Pick<Machine, 'name' | 'arrived'>, { writes }: Batch): void {
  for (const write of writes) {
    if (write.op !== 'put' || write.table !== 'inbox') continue
    const { author, row } = readInbox(write)
    const { message } = decodeMessage(row.message, { sender: author, security: SECURITY, limits: KEPT_LIMITS })
    if (machine.arrived.has(message.id)) continue
    machine.arrived.add(message.id)
    history.add(machine.name, 'arrived', { message: byId.get(message.id)?.text ?? row.kind })
  }
}

/** What a machine starts with: its disk, or in some runs the same in files. */
export function opened(run: Run, machine: Machine): Store {
  const { files, counters } = run
  if (files === undefined) return machine.disk
  const { file } = machine
  if (file?.model === machine.disk) {
    if (machine.now !== undefined) throw new Error(`${machine.name} runs`)
    return file
  }
  if (file !== undefined) run.over.push(file)
  machine.file = new FileDisk(machine.disk, files, {
    cut: landed => {
      counters.filesTorn++
      if (landed) counters.filesTornWhole++
    },
    wrong: what => fault(run, 'lost', `${machine.name}: ${what}`),
  })
  return machine.file
}

/** When the last of what waits on a disk is tried again, ms since 1970: its receipt says so, its row only what was at first. */
export async function nextTry(disk: Store): Promise<number> {
  const rows = (await disk.range('outbox')).map(readOutbox)
  const times = rows.map(async ({ recipient, row }) => {
    const receipt = await storedReceipt(disk, row.messageId)
    return receipt?.recipients.get(recipient)?.retry.nextAt ?? 0
  })
  return Math.max(0, ...(await Promise.all(times)))
}
