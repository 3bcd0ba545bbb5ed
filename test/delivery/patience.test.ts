import { afterEach, describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { FrameType, frameOf } from '../../src/delivery/frames.ts'
import { type Lack, Patience } from '../../src/delivery/patience.ts'
import { readOpeningRow, readOutbox } from '../../src/delivery/rows.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld } from './world.ts'

const hole: Lack = { holes: [[2, 3]], awaited: false }

function waiting(...epochs: string[]) {
  const clock = new DrivenClock()
  const lacks = new Map(epochs.map(epoch => [epoch, hole]))
  const given: [string, number][] = []
  const patience = new Patience({
    clock,
    lacks: () => lacks,
    giveUp: epoch => {
      given.push([epoch, clock.monotonic() / 1_000])
      lacks.delete(epoch)
    },
  })
  return { clock, patience, given, lacks }
}

describe('patience with what is missing', () => {
  it('lasts for half a minute from the link on', async () => {
    const { clock, patience, given } = waiting('a')
    await clock.advance(60_000)
    expect(given).toEqual([])
    patience.linked()
    await clock.advance(31_000)
    expect(given).toEqual([['a', 90]])
  })

  it('is renewed for the epochs that the author names, and for no others', async () => {
    const { clock, patience, given } = waiting('a', 'b')
    patience.linked()
    for (let i = 0; i < 6; i++) {
      await clock.advance(20_000)
      patience.heard(new Set(['a', 'c']))
    }
    expect(given).toEqual([['b', 30]])
    await clock.advance(31_000)
    expect(given).toEqual([
      ['b', 30],
      ['a', 150],
    ])
  })

  it('waits while the author is away, and begins anew with its link', async () => {
    const { clock, patience, given } = waiting('a')
    patience.linked()
    await clock.advance(20_000)
    patience.unlinked()
    await clock.advance(100_000)
    expect(given).toEqual([])
    patience.linked()
    await clock.advance(29_000)
    expect(given).toEqual([])
    await clock.advance(2_000)
    expect(given).toEqual([['a', 150]])
  })

  it('ends without a word where what was missing came', async () => {
    const { clock, patience, given, lacks } = waiting('a')
    patience.linked()
    lacks.clear()
    patience.heard(new Set())
    await clock.advance(100_000)
    expect(given).toEqual([])
    expect(clock.pending).toBe(0)
  })
})

describe('an author that lost its disk', () => {
  let world: DeliveryWorld
  afterEach(() => world.close())

  it('holds back what had come from it no longer than order waits, though it has nothing to say', async () => {
    world = new DeliveryWorld()
    const { identity, store } = await world.machine()
    const bob = await world.start(await world.machine())
    let ada = await world.start({ identity, store })
    await ada.send(bob, 'never came')
    await ada.stop()
    ada = await world.start({ identity, store })
    const last = await ada.send(bob, 'came')
    ada.crash()
    // What came names the epoch of what did not.
    const rows = (await store.range('outbox', { prefix: [bob.id] })).map(readOutbox)
    const came = rows.find(({ row }) => row.messageId === last.id)
    const openings = (await store.range('epochs', { prefix: ['out', bob.id] })).map(readOpeningRow)
    const opening = openings.find(({ epoch }) => epoch === came?.epoch)
    await bob.delivery.received(ada.id, frameOf(FrameType.opening, opening?.row.packet as Uint8Array))
    await bob.delivery.received(ada.id, came?.row.frame as Uint8Array)
    expect(await bob.machine.store.count('inbox')).toBe(1)
    expect(bob.texts).toEqual([])

    ada = await world.start({ identity, store: memoryStore() })
    await ada.meet(bob)
    await world.clock.advance(29_000)
    expect(bob.texts).toEqual([])
    await world.clock.advance(2_000)
    expect(bob.texts).toEqual(['came'])
    expect(bob.holes).toEqual([[]])
    expect(await bob.machine.store.count('inbox')).toBe(0)
  })

  it('is heard all the same of what comes after that, which is told to be late', async () => {
    world = new DeliveryWorld()
    const { identity, store } = await world.machine()
    const bob = await world.start(await world.machine())
    let ada = await world.start({ identity, store })
    for (const text of ['one', 'two']) await ada.send(bob, text)
    ada.crash()
    const rows = (await store.range('outbox', { prefix: [bob.id] })).map(readOutbox)
    const [one, two] = rows.toSorted((a, b) => a.number - b.number).map(({ row }) => row.frame as Uint8Array)
    const [opening] = (await store.range('epochs', { prefix: ['out', bob.id] })).map(readOpeningRow)
    await bob.delivery.received(identity.id, frameOf(FrameType.opening, opening?.row.packet as Uint8Array))
    await bob.delivery.received(identity.id, two as Uint8Array)
    ada = await world.start({ identity, store: memoryStore() })
    await ada.meet(bob)
    await world.clock.advanceUntil(() => bob.texts.length === 1)
    await bob.delivery.received(identity.id, one as Uint8Array)
    await world.clock.advanceUntil(() => bob.texts.length === 2)
    expect(bob.got.map(({ message, late }) => [message.content, late])).toEqual([
      ['two', false],
      ['one', true],
    ])
  })
})
