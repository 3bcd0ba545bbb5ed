/** What goes back to an author at once: frames that everybody takes, however many epochs it is about. */

import { expect, test } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import { DueAnswers } from '../../src/delivery/answers.ts'
import { FrameType, frameOf, MAX_EPOCHS, readAcks, readEpochs, readLostKey } from '../../src/delivery/frames.ts'
import type { FeedAck } from '../../src/feed/index.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { decode } from '../../src/message/codec.ts'
import { LEAST_FRAME_BYTES } from '../../src/message/validate.ts'
import { MAX_EARLIER, MAX_OPENING_BYTES, makeOpening } from '../../src/security/opening.ts'
import { type Prekey, PrekeyRing } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { id } from '../feed/positions.ts'
import { range } from '../feed/reader-model.ts'

/** An acknowledgement with 1,024 gaps. */
const ackOf = (epoch: string): FeedAck => {
  const gaps = [0, new Array<number>(2_048).fill(1)] as const
  return { epoch, delivered: gaps, processed: gaps, refused: [], skipped: [0, []] }
}

const ids = range(1, MAX_EPOCHS + 60).map(id)

test('What is due for many epochs goes in frames that everybody takes, and of no more epochs than one may speak of', async () => {
  const frames: Uint8Array[] = []
  const signed = Promise.withResolvers<void>()
  const answers = new DueAnswers({
    author: 'ada',
    mesh: 'demo',
    sign: async () => new Uint8Array(64),
    ack: ackOf,
    credit: () => 7,
    send: frame => {
      frames.push(frame)
      if (frame[0] === FrameType.lostKey) signed.resolve()
    },
  })
  for (const epoch of ids) {
    answers.ack(epoch)
    answers.unknown(epoch)
    answers.lostKey(epoch)
  }
  await signed.promise
  const bodies = (type: number): Uint8Array[] =>
    frames.filter(frame => frame[0] === type).map(frame => frame.subarray(1))
  for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(LEAST_FRAME_BYTES)
  const first = ids.slice(0, MAX_EPOCHS)
  const acks = bodies(FrameType.acks).map(readAcks)
  expect(acks.length).toBeGreaterThan(1)
  expect(acks.flatMap(({ acks }) => acks)).toEqual(first.map(ackOf))
  expect(acks.every(({ credit }) => credit === 7)).toBe(true)
  const [unknown, lost] = [bodies(FrameType.unknownEpochs), bodies(FrameType.lostKey)]
  expect(unknown.map(body => readEpochs(decode(body)))).toEqual([first])
  expect(lost.map(body => readLostKey(body).epochs)).toEqual([first])
  // As docs/protocol.md has them, with the type.
  expect([...unknown, ...lost].map(({ length }) => 1 + length)).toEqual([2_179, 2_246])
})

test('The largest opening, of the widest mesh with as many earlier epochs as it can name, fits a frame', async () => {
  const random = seededRandom(1)
  const [author, bob] = [await createIdentity(undefined, random), await createIdentity(undefined, random)]
  const ring = new PrekeyRing({ store: memoryStore(), random })
  await ring.rotate(0)
  const prekey = ring.current() as Prekey
  const earlier = range(1, MAX_EARLIER).map(id)
  const parts = { author, mesh: '網'.repeat(64), recipient: bob.id, prekey, earlier, notAfter: 2 ** 50, random }
  const { packet } = await makeOpening(parts)
  expect(packet.length).toBeLessThanOrEqual(MAX_OPENING_BYTES)
  expect(frameOf(FrameType.opening, packet).length).toBeLessThan(LEAST_FRAME_BYTES)
  await expect(makeOpening({ ...parts, earlier: [...earlier, id(MAX_EARLIER + 1)] })).rejects.toMatchObject({
    code: 'INVALID_OPENING',
  })
})
