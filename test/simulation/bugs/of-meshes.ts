/** Mistakes in what only a whole mesh has: agents that start and close, presence, gossip over relays, disks in files. */

import type { Bug } from './plant.ts'

const by = ['mesh']

/** See the head of this file. */
export const MESH_BUGS: readonly Bug[] = [
  {
    name: 'ends-overtake',
    breaks: 'What a handler has written does not wait until what was ahead of it in its class is on the disk.',
    by,
    file: 'src/delivery/end-writer.ts',
    find: ', ...underway.ahead.map(({ entry }) => this.#incoming.over(entry))]',
    put: ']',
  },
  {
    name: 'private-keys-stay',
    breaks: 'The private half of a prekey that is over its time is forgotten, and stays on the disk.',
    by,
    file: 'src/security/prekeys.ts',
    find: "writes.push({ op: 'delete', table: 'prekeys', key: [key.id] })",
    put: '',
  },
  {
    name: 'look-after-close',
    breaks: 'Presence that is stopped goes on looking who is silent.',
    by,
    file: 'src/network/presence.ts',
    find: '    this.#sweep?.cancel()\n',
    put: '',
  },
  {
    name: 'deletions-stay-in-the-log',
    breaks:
      'What was deleted in the redo log is not deleted in the tables: as its row leaves the log it is there again.',
    by,
    file: 'src/store/sqlite-store.ts',
    find: 'for (const write of row.writes) if (!write.superseded) this',
    put: 'for (const write of row.writes) if (!write.superseded && write.value !== undefined) this',
  },
  {
    name: 'card-counted-by-the-clock',
    breaks: 'The number of a card is the time alone: where a clock is set back nobody believes the newer one.',
    by,
    file: 'src/agent/card-keeper.ts',
    find: 'const seq = Math.max(last + 1, Math.floor(now))',
    put: 'void last\n  const seq = Math.floor(now)',
  },
  {
    name: 'receipt-of-several-implied',
    breaks:
      'The receipt of a message to several is not written while nothing has happened: one row does not say who they are.',
    by,
    file: 'src/delivery/receipts.ts',
    find: 'if (only === undefined || recipients.size > 1) return false',
    put: 'if (only === undefined) return false',
  },
  {
    name: 'receipts-purged-by-the-wrong-clock',
    breaks: 'A monotonic time is taken for one of day: receipts are never old enough to go.',
    by,
    file: 'src/agent/open-delivery.ts',
    find: 'const wall = clock.now()',
    put: 'const wall = clock.monotonic()',
  },
  {
    name: 'gone-for-good',
    breaks: 'Who has said goodbye is never believed to be back, though it is another run of it that says so.',
    by,
    file: 'src/network/presence.ts',
    find: 'if (ended !== undefined && (card.instance === ended.instance || card.seq <= ended.seq)) return true',
    put: 'if (ended !== undefined) return true',
  },
  {
    name: 'kept-taken-for-unkept',
    breaks:
      'After a start what is kept for one of several recipients is told not to be, as if the power had failed before.',
    by,
    file: 'src/delivery/unkept.ts',
    find: 'if (kept.get(recipient)?.has(messageId)) continue',
    put: 'if (kept.get(recipient)?.has(messageId) && recipients.size === 1) continue',
  },
  {
    name: 'short-time-to-live-cut',
    breaks: 'What is to live for seconds alone is given up as soon as it is sent.',
    by,
    file: 'src/delivery/drafts.ts',
    find: 'const { id, recipients, guarantee, priority, expiresAt } = message',
    put: 'const { id, recipients, guarantee, priority, timestamp, ttl } = message\n  const expiresAt = ttl < 10 ? Math.ceil(timestamp) + 1 : message.expiresAt',
  },
]
