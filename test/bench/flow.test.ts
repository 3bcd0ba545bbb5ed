/** How benchmarks send: never more under way than the window has room for, whoever is compared. */

import { describe, expect, test } from 'vitest'
import {
  Arrivals,
  Credits,
  contentOf,
  creditFrame,
  creditOf,
  type Flow,
  KIND,
  pump,
  roundTrips,
  SendWindow,
  timed,
} from './flow.ts'

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

test('sending ends when what was acknowledged is deleted', async () => {
  const window = new SendWindow()
  window.reset(2)
  const deleted = Promise.withResolvers<void>()
  let asked = 0
  const settled = () => {
    asked++
    return deleted.promise
  }
  let over = false
  const pumping = pump({ ...slowFlow().flow, settled }, window, content, { count: 2 }).then(() => {
    over = true
  })
  await turns()
  expect(asked).toBe(0)
  window.free(2)
  await turns()
  expect([asked, over]).toEqual([1, false])
  deleted.resolve()
  await pumping
})

describe('what is timed', () => {
  test('goes on until it was done often enough, for ten times as long at most', async () => {
    expect(await timed({ ms: 0, least: 30 }, turns)).toHaveLength(0)
    expect(await timed({ ms: 1e-6, least: 1_000 }, turns)).toHaveLength(1)
    expect((await timed({ ms: 10, least: 1 }, turns)).length).toBeGreaterThan(1)
    const some = await timed({ ms: 200, least: 5 }, async () => {
      const start = performance.now()
      while (performance.now() - start < 50);
    })
    expect(some).toHaveLength(5)
    for (const time of some) expect(time).toBeGreaterThanOrEqual(50)
  })

  test('is nothing where nothing comes back', async () => {
    expect(await roundTrips(slowFlow().flow, content, { ms: 1_000, least: 5 })).toEqual([])
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
    await end
    arrivals.reset()
    arrivals.arrived()
    await arrivals.end(1)
  })

  test('that stay away are missed, not waited for', async () => {
    const arrivals = new Arrivals()
    arrivals.arrived()
    await expect(arrivals.end(2, undefined, 1)).rejects.toThrow('1 of 2 messages arrived')
  })

  test('are not more than were sent', async () => {
    const arrivals = new Arrivals()
    for (let message = 0; message < 3; message++) arrivals.arrived()
    await expect(arrivals.end(2)).rejects.toThrow('3 of 2 messages arrived')
  })

  test('are all there when what was processed is deleted', async () => {
    const arrivals = new Arrivals()
    const deleted = Promise.withResolvers<void>()
    let over = false
    const end = arrivals
      .end(1, () => deleted.promise)
      .then(() => {
        over = true
      })
    arrivals.arrived()
    await turns()
    expect(over).toBe(false)
    deleted.resolve()
    await end
  })
})
