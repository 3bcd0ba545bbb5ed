/** What a recipient said is over once the disk has it, and not before. */

import { expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpDataStoreError } from '../../src/common/errors.ts'
import { Underway } from '../../src/common/underway.ts'
import { EpochEnds, type EpochEndsParts } from '../../src/delivery/epoch-ends.ts'
import { Heard, type HeardParts } from '../../src/delivery/heard.ts'
import type { OutEpoch } from '../../src/delivery/out-epoch.ts'
import { Entries } from '../../src/delivery/out-epoch.ts'
import { Recorder } from '../../src/delivery/recorder.ts'
import { AuthorFeed } from '../../src/feed/author-feed.ts'
import { memoryStore } from '../../src/store/memory.ts'

/** The author of one message, which its recipient has processed; its disk fails once if it is to. */
async function hear({ fails, closes }: { fails: boolean; closes: boolean }): Promise<AuthorFeed> {
  const clock = new DrivenClock()
  const store = memoryStore()
  const commit = store.commit.bind(store)
  const errors: unknown[] = []
  if (fails) {
    store.commit = async () => {
      store.commit = commit
      throw new AfpDataStoreError('STORE_FAILED', 'not just now')
    }
  }
  const ledger = {
    stage: () => ({ writes: [], committed: () => {}, abandoned: () => {} }),
    recall: () => undefined,
    inTurn: <T>(_: unknown, write: () => Promise<T>) => write(),
  }
  const recorder = new Recorder({ store, ledger, clock, onError: error => errors.push(error) })
  const feed = new AuthorFeed('e')
  feed.next(0)
  const epoch = {
    id: 'e',
    feed,
    entries: new Entries(),
    fences: new Map(),
    messages: new Map([[1, 'm']]),
    writing: new Underway(),
    recording: new Underway(),
  } as unknown as OutEpoch
  const epochs = { get: () => epoch }
  const parts = {
    identity: { id: 'ada' },
    recipient: 'bob',
    epochs,
    ends: new EpochEnds({ epochs, recorder } as unknown as EpochEndsParts),
    sender: { heard: () => {}, pump: () => {} },
    recorder,
    remove: () => {},
    onRollback: () => {},
  }
  const heard = new Heard(parts as unknown as HeardParts)
  const acked = heard.acked({ epoch: 'e', delivered: [1, []], processed: [1, []], refused: [], skipped: [0, []] })
  await clock.advance(0)
  expect(errors).toHaveLength(fails ? 1 : 0)
  if (closes) recorder.close()
  await clock.advance(5_000)
  await acked
  return feed
}

it('its author settles what was processed, where its disk fails for a while too', async () => {
  expect((await hear({ fails: false, closes: false })).base).toBe(1)
  expect((await hear({ fails: true, closes: false })).base).toBe(1)
})

it('one that closes before it could be written tells nobody that it is settled: the next run asks for it', async () => {
  expect((await hear({ fails: true, closes: true })).base).toBe(0)
})
