/** Mistakes at the author's side: the outbox, fences, tries, receipts, and letters that are sent again. */

import type { Bug } from './plant.ts'

const outgoing = 'src/delivery/outgoing.ts'
const loading = 'src/delivery/loading.ts'

/** See the head of this file. */
export const AUTHOR_BUGS: readonly Bug[] = [
  {
    name: 'skip-lost',
    breaks: 'A number whose commit failed is never skipped: its recipient waits for it for ever.',
    file: outgoing,
    find: 'if (!epoch.messages.has(number)) {',
    put: 'if (epoch.messages.has(number)) {',
  },
  {
    name: 'row-deleted-when-sent',
    breaks: 'The row of a message goes as soon as its bytes are handed to a connection.',
    file: outgoing,
    find: 'onHanded: entry => parts.tries.handed(recipient, entry),',
    put: `onHanded: entry => {
        parts.tries.handed(recipient, entry)
        const key = outboxKey(recipient, entry.epoch.id, entry.number)
        parts.store.commit({ writes: [{ op: 'delete', table: 'outbox', key }] }).catch(() => {})
      },`,
  },
  {
    name: 'sent-before-its-commit',
    breaks: 'Bytes leave before their row is on the disk: after a crash nobody knows that they did.',
    file: outgoing,
    find: '      await commitFates(this.#parts, fates, batch)\n    } catch (error) {\n      // The one',
    put: '      void this.#parts.lines.send(this.recipient, frame).catch(() => {})\n      await commitFates(this.#parts, fates, batch)\n    } catch (error) {\n      // The one',
  },
  {
    name: 'earlier-epochs-not-named',
    breaks: 'An opening does not name what is left of earlier runs: order ends with each restart.',
    file: outgoing,
    find: 'earlier: this.#epochs.earlier() }',
    put: 'earlier: [] as string[] }',
  },
  {
    name: 'outbox-not-loaded',
    breaks: 'A restart does not take up what waits in the outbox.',
    file: loading,
    find: "await readAll(store, 'outbox', [], next, readHead)",
    put: '([] as ReturnType<typeof readHead>[])',
  },
  {
    name: 'own-epochs-not-loaded',
    breaks: 'A restart does not take up the epochs in which messages wait.',
    file: loading,
    find: "await readAll(store, 'epochs', ['out'], next, readOpeningRow)",
    put: '([] as ReturnType<typeof readOpeningRow>[])',
  },
  {
    name: 'unsealed-not-loaded',
    breaks: 'A restart does not take up what waits for a key.',
    file: outgoing,
    find: 'this.#unsealed.load(waiting, () => ++this.#order)',
    put: 'void waiting',
  },
  {
    name: 'time-to-live-not-kept',
    breaks: 'After a restart what waits in the outbox has no end.',
    file: 'src/delivery/rows.ts',
    find: 'expiresAt: time(expiresAt),',
    put: 'expiresAt: Number.MAX_SAFE_INTEGER,',
  },
  {
    name: 'backoff-by-the-wrong-clock',
    breaks: 'A time of day is taken for one of the monotonic clock: what waits for its next try never comes due.',
    file: 'src/delivery/sender.ts',
    find: 'return at > clock.now() ? clock.monotonic() + at - clock.now() : 0',
    put: 'return at > clock.now() ? at : 0',
  },
  {
    name: 'backoff-held-after-reload',
    breaks: 'What had failed before a restart is held after it, and never goes again.',
    file: outgoing,
    find: 'this.#sender.add(entry, entry.retry.nextAt)',
    put: 'this.#sender.add(entry, entry.retry.attempts > 0 ? Number.POSITIVE_INFINITY : 0)',
  },
  {
    name: 'overdue-forgotten',
    breaks: 'What is not acknowledged in time does not go again over the same connection.',
    file: outgoing,
    find: "if ('at' in step) this.#sender.again(entry, step.at)",
    put: "if ('at' in step) this.#sender.again(entry, Number.POSITIVE_INFINITY)",
  },
  {
    name: 'fence-left-out',
    breaks: 'A message of which nobody knows whether it arrived is sent again before its recipient has spoken.',
    file: 'src/delivery/letter-retry.ts',
    find: "if (standing === undefined ? inDoubt : standing.inDoubt) return 'waiting'",
    put: 'void inDoubt',
  },
  {
    name: 'left-taken-for-unknown',
    breaks: 'A message whose bytes have left is given up for certain, as if nobody could know of it.',
    file: 'src/delivery/out-epoch.ts',
    find: '!left && number > epoch.told',
    put: '(left || !left) && number > epoch.told',
    also: [
      {
        file: 'src/delivery/fencing.ts',
        find: 'inDoubt: entry.left, final: over }',
        put: 'inDoubt: entry.left && !over, final: over }',
      },
    ],
  },
  {
    name: 'fence-not-told',
    breaks: 'What is given up is not skipped in its epoch: nobody ever says whether it arrived.',
    file: 'src/delivery/fencing.ts',
    find: 'const end = epoch.feed.skip(number)',
    put: "const end: string = 'skipped'",
  },
  {
    name: 'fence-takes-delivered-for-skipped',
    breaks: 'The word that a message is there is taken for the one that it never comes.',
    file: 'src/delivery/consequences.ts',
    find: 'const skipped = new Set(news.skipped)',
    put: 'const skipped = new Set([...news.skipped, ...news.delivered.filter(number => epoch.fences.has(number))])',
  },
  {
    name: 'row-not-ended-with-its-letter',
    breaks: 'The dead letter of what its sender gives up is written, and its row stays as it was.',
    file: 'src/delivery/fencing.ts',
    find: 'recorder.record([fate], [write], [], heard)',
    put: 'recorder.record([fate], [], [], heard)',
  },
  {
    name: 'receipts-joined-wrongly',
    breaks: 'A change of a receipt is made from what is on the disk, and loses what is on its way there for others.',
    file: 'src/delivery/tracker.ts',
    find: 'entry && advance(entry.latest, recipient',
    put: 'entry && advance(entry.receipt, recipient',
  },
  {
    name: 'word-of-the-recipient-ignored',
    breaks: 'What its sender has given up stays that, though its recipient says that it is handled.',
    file: 'src/delivery/receipts.ts',
    find: '      // Also over what the sender has given up: the recipient knows.\n',
    put: '      if (failed) return undefined\n',
  },
  {
    name: 'fence-not-kept',
    breaks: 'No row says that a message was given up and waits for a word: after a restart nobody takes it in.',
    file: 'src/delivery/fencing.ts',
    find: 'const write = over ? deleteRow(recipient, entry)',
    put: 'const write = epoch ? deleteRow(recipient, entry)',
  },
]
