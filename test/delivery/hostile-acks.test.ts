/** Acknowledgements that nobody owes, and those of a recipient that says anything. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Receipt } from '../../src/agent/options.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { failure } from '../agent/waiting.ts'
import { epochBytes, epochOf, Hostile, NOTHING } from './hostile-member.ts'
import { HostileWorld } from './hostile-world.ts'

let world: HostileWorld
let mallory: Hostile
beforeEach(async () => {
  world = await HostileWorld.make()
  await world.hold()
  mallory = await Hostile.join(world, world.ada.agent, world.bob.agent)
})
afterEach(async () => {
  await world.unharmed()
  await world.close()
})

/** Acks of one epoch, as a frame. */
function acks(
  epoch: string,
  delivered: unknown,
  processed: unknown,
  refused: unknown = [],
  skipped: unknown = NOTHING,
) {
  return mallory.frame('acks', [100, [[epochBytes(epoch), delivered, processed, refused, skipped]]])
}

describe('Acknowledgements by somebody else', () => {
  test.each([
    [
      'as processed',
      [
        [3, []],
        [3, []],
      ],
    ],
    ['as refused', [NOTHING, NOTHING, [[2, 'rejected']]]],
    ['as skipped', [NOTHING, NOTHING, [], [3, []]]],
  ])('end nothing: %s', async (_how, [delivered, processed, refused, skipped]) => {
    const { ada, bob } = world
    bob.tap.drop(FrameType.envelope)
    const receipt = await world.say(ada, 'wanted')
    await world.until(() => bob.tap.of(FrameType.envelope, ada.id).length > 1)
    const rows = await ada.rows('outbox')
    const epoch = epochOf(bob.tap.of(FrameType.envelope, ada.id)[0] as Uint8Array)
    mallory.send(ada, acks(epoch, delivered, processed, refused, skipped))
    await world.until(() => ada.reasons(mallory).length > 0)
    expect(ada.reasons(mallory)).toEqual(['unknown-epoch'])
    expect(ada.counted('unknown-epoch')).toBe(1)
    expect(receipt.status).toBe('sent')
    expect(await ada.rows('outbox')).toEqual(rows)
    bob.tap.behave()
    await world.during(receipt.delivered)
  })

  test('are told also where nothing was ever sent to them', async () => {
    const { bob } = world
    mallory.send(bob, acks('00'.repeat(16), [9, []], [9, []]))
    await world.until(() => bob.reasons(mallory).length > 0)
    expect(bob.reasons(mallory)).toEqual(['unknown-epoch'])
  })
})

describe('A recipient', () => {
  let receipts: Receipt[]
  let epoch: string
  /** Two messages have left for it, and are in the outbox. */
  beforeEach(async () => {
    const { ada } = world
    receipts = [1, 2].map(() => undefined as never)
    for (const i of [0, 1]) receipts[i] = await world.during(ada.agent.send(mallory.id, `for you ${i + 1}`))
    await world.until(() => envelopes().length >= 2)
    epoch = epochOf(envelopes()[0] as Uint8Array)
  })
  const envelopes = () => mallory.of(FrameType.envelope, world.ada)
  const waiting = async () => (await world.ada.rows('outbox')).filter(({ key }) => key[0] === mallory.id).length
  /** An honest word at last: everything is processed. */
  const finish = async () => {
    mallory.send(world.ada, acks(epoch, [2, []], [2, []]))
    for (const receipt of receipts) await world.during(receipt.processed)
    await world.emptied(world.ada, 'outbox', mallory)
  }

  const far = 2 ** 48 - 1
  test.each<[string, unknown[]]>([
    ['delivered numbers that were never given out', [[3, []], NOTHING]],
    [
      'processed ones',
      [
        [2, []],
        [3, []],
      ],
    ],
    ['refused ones', [NOTHING, NOTHING, [[3, 'rejected']]]],
    ['skipped ones', [NOTHING, NOTHING, [], [0, [2, 1]]]],
    [
      'all numbers that there can be',
      [
        [far, []],
        [far, []],
      ],
    ],
    ['a range up to the last of them', [[0, [1, far - 1]], NOTHING]],
    ['a range beyond it', [[0, [1, far]], NOTHING]],
    ['a floor beyond it', [[2 ** 48, []], NOTHING]],
    ['a floor of less than nothing', [[-1, []], NOTHING]],
    ['a floor that is no whole number', [[1.5, []], NOTHING]],
    ['a floor beyond every double', [[2n ** 60n, []], NOTHING]],
    ['a floor in words', [['2', []], NOTHING]],
    ['no floor', [[[]], NOTHING]],
    ['ranges that touch', [[0, [1, 1, 0, 1]], NOTHING]],
    ['a range that overlaps the one before', [[0, [1, 1, -1, 1]], NOTHING]],
    ['a range of nothing', [[0, [1, 0]], NOTHING]],
    ['half a range', [[0, [1]], NOTHING]],
    ['2,049 ranges', [[0, new Array(2 * 2_049).fill(1)], NOTHING]],
    ['no set', [null, NOTHING]],
    ['a refusal without a reason', [NOTHING, NOTHING, [[1]]]],
    ['a refusal for an empty reason', [NOTHING, NOTHING, [[1, '']]]],
    ['a refusal for 65 characters', [NOTHING, NOTHING, [[1, 'x'.repeat(65)]]]],
    ['a refusal for a number', [NOTHING, NOTHING, [[1, 7]]]],
    ['a refusal of no number', [NOTHING, NOTHING, [[0, 'rejected']]]],
    [
      'two refusals of one',
      [
        NOTHING,
        NOTHING,
        [
          [1, 'rejected'],
          [1, 'expired'],
        ],
      ],
    ],
    ['1,025 refusals', [NOTHING, NOTHING, Array.from({ length: 1_025 }, (_, i) => [i + 1, 'rejected'])]],
  ])('that acknowledges %s is not believed in anything', async (_what, [delivered, processed, refused, skipped]) => {
    const { ada } = world
    mallory.send(ada, acks(epoch, delivered, processed, refused, skipped))
    await world.until(() => ada.reasons(mallory).length > 0)
    expect(ada.reasons(mallory)).toEqual(['malformed'])
    expect(ada.counted('malformed')).toBe(1)
    expect(receipts.map(({ status }) => status)).toEqual(['sent', 'sent'])
    expect(await waiting()).toBe(2)
    await finish()
  })

  test.each<[string, unknown]>([
    ['nothing', new Uint8Array()],
    ['garbage', Uint8Array.of(0xff, 0, 0x9f)],
    ['no list', [1, 2]],
    ['no credit', [null, []]],
    ['a negative credit', [-1, []]],
    ['an epoch of 15 bytes', [0, [[new Uint8Array(15), NOTHING, NOTHING, [], NOTHING]]]],
    ['six fields', [0, [[new Uint8Array(16), NOTHING, NOTHING, [], NOTHING, 1]]]],
    ['129 epochs', [0, new Array(129).fill([new Uint8Array(16), NOTHING, NOTHING, [], NOTHING])]],
  ])('that sends %s as acknowledgements is refused', async (_what, body) => {
    const { ada } = world
    mallory.send(ada, mallory.frame('acks', body))
    await world.until(() => ada.reasons(mallory).length > 0)
    expect(ada.reasons(mallory)).toEqual(['malformed'])
    expect(await waiting()).toBe(2)
    await finish()
  })

  test('that speaks of an epoch twice at once is believed in nothing', async () => {
    const { ada } = world
    const word = [epochBytes(epoch), [1, []], [1, []], [], NOTHING]
    mallory.send(ada, mallory.frame('acks', [0, [word, word]]))
    await world.until(() => ada.reasons(mallory).length > 0)
    expect(ada.reasons(mallory)).toEqual(['malformed'])
    for (const { status } of receipts) expect(status).toBe('sent')
    await finish()
  })

  test('that has processed what it does not say is delivered has both, once', async () => {
    const { ada } = world
    mallory.send(ada, acks(epoch, NOTHING, [1, []]), acks(epoch, NOTHING, [1, []]))
    const first = receipts[0] as Receipt
    await world.during(first.processed)
    expect(first.recipients.get(mallory.id)).toMatchObject({ status: 'delivered', state: 'processed' })
    expect((receipts[1] as Receipt).status).toBe('sent')
    expect(await waiting()).toBe(1)
    await finish()
  })

  test('that skips what its author never gave up is sent it again', async () => {
    const { ada } = world
    const before = envelopes().length
    mallory.send(ada, acks(epoch, NOTHING, NOTHING, [], [2, []]))
    await world.until(() => envelopes().length >= before + 2)
    expect(receipts.map(({ status }) => status)).toEqual(['sent', 'sent'])
    expect(await waiting()).toBe(2)
    expect(ada.reasons(mallory)).toEqual([])
    await finish()
  })

  test('that refuses for a reason that nobody knows leaves a dead letter with its author', async () => {
    const { ada } = world
    mallory.send(ada, acks(epoch, NOTHING, NOTHING, [[1, 'because']]))
    const [first] = receipts as [Receipt]
    expect(await world.during(failure(first.processed))).toMatchObject({ code: 'DELIVERY_FAILED' })
    expect(first.recipients.get(mallory.id)).toMatchObject({ state: 'dead', reason: 'rejected' })
    expect(await ada.agent.deadLetters.list()).toMatchObject([
      { side: 'sender', reason: 'rejected', messageId: first.id, peer: mallory.id },
    ])
    mallory.send(ada, acks(epoch, [2, []], [0, [1, 1]], [[1, 'because']]))
    await world.during((receipts[1] as Receipt).processed)
    await world.emptied(ada, 'outbox', mallory)
  })

  test('that takes back what it has said loses nothing for its author, who tells of it', async () => {
    const { ada } = world
    const rollbacks = ada.events('feed:rollback')
    mallory.send(ada, acks(epoch, [2, []], [1, []]))
    await world.during((receipts[1] as Receipt).delivered)
    mallory.send(ada, acks(epoch, NOTHING, NOTHING))
    await world.until(() => rollbacks.length > 0)
    expect(rollbacks).toEqual([{ peer: mallory.id }])
    expect(receipts.map(receipt => receipt.recipients.get(mallory.id)?.state)).toEqual(['processed', 'delivered'])
    expect(await waiting()).toBe(1)
    await finish()
  })
})

describe('A network', () => {
  test('that plays old acknowledgements again undoes nothing and ends nothing', async () => {
    const { ada, bob } = world
    const receipt = await world.say(ada, 'second')
    await world.during(receipt.delivered)
    const before = await ada.rows('outbox')
    const old = ada.tap.of(FrameType.acks, bob.id)
    expect(old.length).toBeGreaterThan(1)
    for (const frame of [...old, ...old.toReversed()]) ada.tap.inject(bob.id, frame)
    await world.clock.advance(2_000)
    expect(await ada.rows('outbox')).toEqual(before)
    expect(receipt.recipients.get(bob.id)).toMatchObject({ state: 'delivered' })
  })
})
