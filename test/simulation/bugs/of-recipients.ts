/** Mistakes at the recipient's side: the inbox, handlers and what they write, and ends. */

import type { Bug } from './plant.ts'

const incoming = 'src/delivery/incoming.ts'
const loading = 'src/delivery/loading.ts'
const processing = 'src/delivery/processing.ts'
const writer = 'src/delivery/end-writer.ts'
const commit = 'await store.commit({ writes: [putInbox(inboxKey(this.author, epoch.id, number), row), ...opening] })'

/** See the head of this file. */
export const RECIPIENT_BUGS: readonly Bug[] = [
  {
    name: 'ack-before-commit',
    breaks: 'A message is acknowledged while it is on its way to the disk.',
    file: incoming,
    find: commit,
    put: `void ${commit.slice('await '.length)}.catch(() => {})`,
  },
  {
    name: 'ack-of-what-is-not-stored',
    breaks: 'A message is acknowledged also where the disk refused it.',
    file: incoming,
    find: commit,
    put: `${commit}.catch(() => {})`,
  },
  {
    name: 'number-stays-under-way',
    breaks: 'After a commit that failed, other copies of the message count as duplicates for ever.',
    file: incoming,
    find: 'if (begun) this.#epochs.abandon(epoch.id, number)',
    put: '',
  },
  {
    name: 'position-not-written',
    breaks: 'The end of a message takes its row away, and does not note its number: a copy of it is new.',
    file: incoming,
    find: "{ op: 'delete', table: 'inbox', key }, ...writes],",
    put: "{ op: 'delete', table: 'inbox', key }],",
  },
  {
    name: 'inbox-not-loaded',
    breaks: 'A restart does not take up messages whose handlers were not done.',
    file: loading,
    find: "paged(store, 'inbox', [], next)",
    put: "paged(store, 'inbox', ['nobody'], next)",
  },
  {
    name: 'in-epochs-not-loaded',
    breaks: 'A restart does not take up the epochs of authors.',
    file: loading,
    find: 'else mine.kept.push({ id: epoch, ...row })',
    put: '',
  },
  {
    name: 'redelivered-not-set',
    breaks: 'A handler that runs again after a restart is not told that it ran before.',
    file: loading,
    find: 'late: false, redelivered: true',
    put: 'late: false, redelivered: false',
  },
  {
    name: 'row-deleted-before-its-handler',
    breaks: 'The row of a message goes when its handler starts: what a crash cuts off is lost.',
    file: processing,
    find: 'const offers = this.#offers\n',
    put: `const offers = this.#offers
    const { author, epoch, number } = entry
    store.commit({ writes: [{ op: 'delete', table: 'inbox', key: [author, epoch, number] }] }).catch(() => {})
`,
  },
  {
    name: 'effect-and-position-in-two-commits',
    breaks: 'What a handler wrote is on the disk before the end of its message is.',
    file: writer,
    find: 'if (ending.reply === undefined || lost !== undefined) await store.commit(batch())',
    put: `if (ending.reply === undefined || lost !== undefined) {
          await store.commit({ checks, writes })
          await store.commit({ writes: batch().writes.slice(writes.length) })
        }`,
  },
  {
    name: 'reads-not-checked',
    breaks: 'What a handler read may have changed by the time it is done: it overwrites what others wrote.',
    file: writer,
    find: 'const checks = [...(ending.checks ?? []), ...underway',
    put: 'const checks = [...underway',
  },
  {
    name: 'reply-in-a-commit-of-its-own',
    breaks: 'The reply to a request is on its way before what its handler wrote is on the disk.',
    file: writer,
    find: 'else await reply(ending.reply, batch)',
    put: `else {
          await reply(ending.reply, () => ({ writes: [] }))
          await store.commit(batch())
        }`,
  },
  {
    name: 'expired-handler-starts',
    breaks: 'A handler starts although the time of its message is over.',
    file: processing,
    find: "if (entry.message.isExpired(clock.now())) return this.#dead(entry, ['expired'])",
    put: 'void clock',
  },
  {
    name: 'failed-handler-never-due',
    breaks: 'A time of day is taken for one of the monotonic clock: a handler that failed never runs again.',
    file: processing,
    find: 'entry.notBefore = clock.monotonic() + nextAt - now',
    put: 'entry.notBefore = nextAt',
  },
  {
    name: 'failure-overtaken',
    breaks: 'What comes behind a message does not wait for its handler to succeed.',
    file: processing,
    find: 'if (ended) leave(lane, entry)\n          else this.#waiting.add(entry)',
    put: 'leave(lane, entry)\n          if (!ended) this.#rest(entry)',
  },
  {
    name: 'letter-without-an-end',
    breaks: 'The dead letter of what could not be handled is written, and its row stays.',
    file: 'src/delivery/dead-ends.ts',
    find: 'await store.commit({ writes: [...letter.writes, ...writes] })',
    put: 'await store.commit({ writes: [...letter.writes, ...writes.slice(1)] })',
  },
  {
    name: 'end-without-a-letter',
    breaks: 'What could not be handled has its end, and no dead letter.',
    file: 'src/delivery/dead-ends.ts',
    find: 'await store.commit({ writes: [...letter.writes, ...writes] })',
    put: 'await store.commit({ writes })',
  },
]
