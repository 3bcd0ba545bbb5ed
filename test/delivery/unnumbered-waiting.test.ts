/** Unnumbered envelopes that come as fast as they are read: what was read is not kept. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { EnvelopeReader } from '../../src/delivery/envelope-reader.ts'
import type { Envelope } from '../../src/delivery/frames.ts'
import { InEpoch } from '../../src/delivery/in-epoch.ts'
import { UnnumberedReader } from '../../src/delivery/unnumbered-reader.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const SLICE = 512
const ROUNDS = 20

test('What was read of them is let go of, though others have come by the time it is', async () => {
  const kept = { id: '00'.repeat(16), key: new Uint8Array(32), notAfter: Number.MAX_SAFE_INTEGER, earlier: [] }
  const epoch = await InEpoch.open(kept, false)
  let number = 0
  let rounds = 0
  let read = 0
  const there: WeakRef<Envelope>[] = []
  const over = Promise.withResolvers<void>()
  const come = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const header = { number: ++number } as Envelope['header']
      const envelope = { header, headerBytes: new Uint8Array(), sealed: new Uint8Array(64), shared: undefined }
      there.push(new WeakRef(envelope))
      void reader.take(epoch, envelope)
    }
  }
  const reader = new UnnumberedReader({
    author: 'ada',
    reader: {
      open: (_, { sealed }) => ({ payload: sealed }),
      judge: () => {
        read++
        return new Error('not wanted')
      },
    } as Partial<EnvelopeReader> as EnvelopeReader,
    onOnce: () => undefined,
    onRefused: () => {},
    onRejected: () => {},
    nextTask: async () => {
      // A task later as many have come as were read.
      await new Promise(setImmediate)
      if (++rounds === ROUNDS) over.resolve()
      else if (rounds < ROUNDS) come(SLICE)
    },
  })
  come(2 * SLICE)
  await over.promise
  collectGarbage()
  expect(read).toBeGreaterThan((ROUNDS - 2) * SLICE)
  expect(there.filter(ref => ref.deref() !== undefined).length).toBeLessThan(4 * SLICE)
})
