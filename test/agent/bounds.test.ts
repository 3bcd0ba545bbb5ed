import { afterEach, describe, expect, test } from 'vitest'
import { collect, failure, until } from './waiting.ts'
import { type AgentWorld, acquainted, ada, adaAndBob, bob, loopbackWorld, world } from './worlds.ts'

describe('What waits is bounded in bytes', () => {
  adaAndBob()

  test('for receive, and beyond the bound the newest are dropped with an event', async () => {
    const carol = await world.join('carol', { limits: { queuedBytes: 50_000 } })
    await world.during(ada.waitFor('carol'))
    const dropped = collect(carol, 'message:dropped')
    for (let i = 0; i < 6; i++) await world.during(ada.send('carol', new Uint8Array(10_000).fill(i)))
    await world.pass()
    expect(dropped).toMatchObject([
      { peer: ada.id, reason: 'inbox-full' },
      { peer: ada.id, reason: 'inbox-full' },
    ])
    expect(carol.receiveAll().map(({ content }) => (content as Uint8Array)[0])).toEqual([0, 1, 2, 3])
    await world.during(ada.send('carol', 'room again'))
    expect((await world.during(carol.receive())).content).toBe('room again')
  })

  test('for the reader of a subscription, whose filter may still be on its way', async () => {
    const carol = await world.join('carol', { limits: { queuedBytes: 50_000 } })
    await world.during(ada.waitFor('carol'))
    const subscriptions = [carol.subscribe({}), carol.subscribe({ contentType: /octet/ })]
    const dropped = collect(carol, 'message:dropped')
    for (let i = 0; i < 5; i++) await world.during(ada.send('carol', new Uint8Array(10_000).fill(i)))
    await world.pass()
    expect(dropped).toMatchObject([{ reason: 'subscription-full' }, { reason: 'subscription-full' }])
    for (const subscription of subscriptions) {
      // What still waits for the filter when it is finished was not taken.
      await world.during(subscription.ready)
      subscription.finish()
      const got: unknown[] = []
      for await (const { content } of subscription) got.push((content as Uint8Array)[0])
      expect(got).toEqual([0, 1, 2, 3])
    }
  })

  test('for a peer that reads slowly', async () => {
    const gate = Promise.withResolvers<void>()
    await world.join('slow', { hooks: { afterReceive: () => gate.promise } })
    const carol = await world.join('carol', { limits: { queuedBytes: 50_000 } })
    await world.during(acquainted([ada, bob, carol]))
    await world.during(carol.waitFor('slow'))
    let full = 0
    const sends = []
    while (full === 0) {
      const sending = carol.send('slow', new Uint8Array(10_000), { timeout: 600_000 })
      sends.push(sending.catch((error: { code?: string }) => error.code === 'QUEUE_FULL' && full++))
      await world.clock.advance(1)
    }
    // What was on the way when its reader stopped, and five: with room for 16 MiB it would be over a thousand.
    expect(sends.length).toBeLessThan(500)
    expect(await world.during(failure(carol.send('slow', new Uint8Array(10_000))))).toMatchObject({
      code: 'QUEUE_FULL',
    })
    gate.resolve()
    await world.during(Promise.all(sends))
  })
})

describe('Over TCP', () => {
  let live: AgentWorld
  afterEach(() => live.close())

  test('ten thousand messages of 1 KiB that nobody waits for are all sent, and arrive in order', async () => {
    live = await loopbackWorld()
    const eve = await live.join('eve')
    const dan = await live.join('dan')
    await acquainted([eve, dan])
    const count = 10_000
    const got: number[] = []
    const all = Promise.withResolvers<void>()
    dan.subscribe({}, ({ content }) => {
      if (got.push(Number((content as string).slice(0, 5))) === count) all.resolve()
    })
    const dropped = until(dan, 'message:dropped').then(({ reason }) => Promise.reject(new Error(reason)))
    const texts = Array.from({ length: count }, (_, i) => `${i}`.padStart(5, '0').padEnd(1_024, 'x'))
    // On a machine that is busy the last of them leave later than a send waits unless it is told to.
    const receipts = await Promise.all(texts.map(text => eve.send('dan', text, { timeout: 60_000 })))
    expect(receipts.filter(({ recipients }) => recipients.get(dan.id)?.status === 'sent')).toHaveLength(count)
    await Promise.race([all.promise, dropped])
    expect(got).toEqual(Array.from({ length: count }, (_, i) => i))
  })
})

describe('Handlers that are slower than what comes', () => {
  test('hold the sender back: none of ten thousand messages that were sent without waiting is lost', async () => {
    const loopback = await loopbackWorld()
    try {
      const bob = await loopback.join('bob')
      const ada = await loopback.join('ada')
      await acquainted([ada, bob])
      const dropped = collect(bob, 'message:dropped')
      let atWork = 0
      let handled = 0
      const all = Promise.withResolvers<void>()
      bob.handle(async () => {
        atWork++
        await new Promise(resolve => setImmediate(resolve))
        atWork--
        if (++handled === 10_000) all.resolve()
      })
      await Promise.all(Array.from({ length: 10_000 }, (_, i) => ada.send('bob', i, { timeout: 60_000 })))
      await all.promise
      expect(dropped).toEqual([])
      expect(atWork).toBe(0)
    } finally {
      await loopback.close()
    }
  })

  describe('of one sender', () => {
    adaAndBob()

    test('do not keep another from being answered', async () => {
      const carol = await world.join('carol')
      await world.during(acquainted([ada, bob, carol]))
      const gate = Promise.withResolvers<void>()
      bob.handle({ metadata: { slow: true } }, () => gate.promise)
      bob.handle(() => 'quick')
      // More than bob takes from one sender: the last of them wait at carol.
      for (let i = 0; i < 1_100; i++) failure(carol.send('bob', 'x', { metadata: { slow: true } })).catch(() => {})
      await world.pass()
      expect((await world.during(ada.request('bob', null))).content).toBe('quick')
      gate.resolve()
    })
  })
})
