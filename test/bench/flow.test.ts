/** How benchmarks send: never more under way than the window has room for, whoever is compared. */

import { describe, expect, test } from 'vitest'
import { Arrivals, Credits, contentOf, creditFrame, creditOf, type Flow, KIND, pump, SendWindow } from './flow.ts'

const content = contentOf(64)

/** A way on which messages are under way until the test says otherwise. */
function slowFlow(batch = 1, acknowledged = true) {
  let sent = 0
  const flow: Flow = {
    batch,
    acknowledged,
    send: () => {
      sent += batch
      return undefined
    },
  }
  return { flow, sent: () => sent }
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

describe('a window', () => {
  test('holds back what it has no room for, and ends when all is acknowledged', async () => {
    const window = new SendWindow()
    window.reset(4)
    const { flow, sent } = slowFlow()
    let over = false
    const pumping = pump(flow, window, content, { count: 6 }).then(count => {
      over = true
      return count
    })
    await turns()
    expect(sent()).toBe(4)
    window.free(1)
    await turns()
    expect(sent()).toBe(5)
    window.free(2)
    await turns()
    expect([sent(), over]).toEqual([6, false])
    window.free(3)
    expect(await pumping).toBe(6)
  })

  test('has room for a batch only as a whole', async () => {
    const window = new SendWindow()
    window.reset(4)
    const { flow, sent } = slowFlow(3, false)
    const pumping = pump(flow, window, content, { count: 6 })
    await turns()
    expect(sent()).toBe(3)
    window.free(1)
    await turns()
    expect(sent()).toBe(3)
    window.free(1)
    expect(await pumping).toBe(6)
  })

  test('gives an error to whoever waits, and to whoever comes', async () => {
    const window = new SendWindow()
    window.reset(1)
    const pumping = pump(slowFlow().flow, window, content, { count: 2 })
    await turns()
    window.fail(new Error('lost'))
    await expect(pumping).rejects.toThrow('lost')
    await expect(pump(slowFlow().flow, window, content, { count: 1 })).rejects.toThrow('lost')
  })

  test('is not made larger by late word of what was before', async () => {
    const window = new SendWindow()
    window.reset(2)
    window.free(5)
    const { flow, sent } = slowFlow()
    const pumping = pump(flow, window, content, { count: 3 })
    await turns()
    expect(sent()).toBe(2)
    window.free(3)
    await turns()
    window.free(3)
    expect(await pumping).toBe(3)
  })

  test('waits for a way that is full', async () => {
    const window = new SendWindow()
    window.reset(8)
    const drained = Promise.withResolvers<void>()
    let sent = 0
    const send = () => {
      sent++
      return sent === 2 ? drained.promise : undefined
    }
    const pumping = pump({ batch: 1, acknowledged: false, send }, window, content, { count: 3 })
    await turns()
    expect(sent).toBe(2)
    drained.resolve()
    expect(await pumping).toBe(3)
  })
})

describe('credits', () => {
  test('tell an eighth of the window at a time, so that its sender never waits for the rest', () => {
    for (const size of [1, 2, 7, 8, 64, 1_024]) {
      const window = new SendWindow()
      window.reset(size)
      const credits = new Credits(count => window.free(count))
      credits.reset(size)
      for (let message = 0; message < size * 3; message++) {
        expect(window.hasRoom(1)).toBe(true)
        window.take(1)
        credits.arrived()
      }
    }
  })

  test('are no messages and no questions', () => {
    expect(creditOf(creditFrame(70_000))).toBe(70_000)
    for (const kind of [KIND.message, KIND.question]) expect(creditOf(contentOf(64, kind))).toBeUndefined()
    expect(creditOf(contentOf(64, KIND.credit))).toBeUndefined()
  })
})

describe('arrivals', () => {
  test('are counted until they are enough', async () => {
    const arrivals = new Arrivals()
    const end = arrivals.end(2)
    arrivals.arrived()
    arrivals.arrived()
    expect(await end).toBe(2)
    arrivals.reset()
    arrivals.arrived()
    expect(await arrivals.end(1)).toBe(1)
  })

  test('that stay away are missed, not waited for', async () => {
    const arrivals = new Arrivals()
    arrivals.arrived()
    expect(await arrivals.end(2, 1)).toBe(1)
  })
})
