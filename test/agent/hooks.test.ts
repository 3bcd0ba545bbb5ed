import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { collect, failure } from './waiting.ts'
import { acquainted, ada, adaAndBob, bob, world } from './worlds.ts'

adaAndBob()

describe('Hooks', () => {
  test('a hook refuses what leaves, and nothing of it leaves', async () => {
    const seen: unknown[] = []
    const carol = await world.join('carol', {
      hooks: {
        beforeSend: async ({ content }) => {
          seen.push(content)
          if (content === 'secret') throw new Error('not that')
        },
      },
    })
    await world.during(acquainted([ada, carol]))
    const error = expect.objectContaining({
      code: 'HOOK_REFUSED',
      cause: expect.objectContaining({ message: 'not that' }),
    })
    for (const attempt of [
      carol.send('ada', 'secret'),
      carol.request('ada', 'secret'),
      carol.publish('t', 'secret'),
      carol.broadcast('secret'),
    ].map(attempt => failure(attempt))) {
      expect(await attempt).toEqual(error)
    }
    await world.during(carol.send('ada', 'public'))
    await world.pass()
    expect(ada.receiveAll().map(({ content }) => content)).toEqual(['public'])
    expect(seen.filter(content => content !== null)).toEqual(['secret', 'secret', 'secret', 'secret', 'public'])
  })

  test('a hook refuses what comes, and its sender learns nothing', async () => {
    const carol = await world.join('carol', {
      hooks: {
        afterReceive: ({ metadata }) => {
          if (metadata.spam) throw new Error('spam')
        },
      },
    })
    await world.during(acquainted([ada, carol]))
    const refused = collect(carol, 'refused')
    await ada.send('carol', 'x', { metadata: { spam: true } })
    await ada.broadcast('x', { metadata: { spam: true } })
    await ada.send('carol', 'y')
    await world.pass()
    expect(carol.receiveAll().map(({ content }) => content)).toEqual(['y'])
    expect(refused).toMatchObject([
      { peer: ada.id, reason: 'hook' },
      { peer: ada.id, reason: 'hook' },
    ])
    expect(carol.metrics.counter('refused', { reason: 'hook' }).value).toBe(2)
  })

  test('a hook that takes its time keeps the order of its sender and holds up nobody else', async () => {
    const gate = Promise.withResolvers<void>()
    const carol = await world.join('carol', {
      hooks: { afterReceive: ({ content }) => (content === 'slow' ? gate.promise : undefined) },
    })
    await world.during(acquainted([ada, bob, carol]))
    await ada.send('carol', 'slow')
    await ada.send('carol', 'quick')
    await bob.send('carol', 'from bob')
    await world.pass()
    expect(carol.receiveAll().map(({ content }) => content)).toEqual(['from bob'])
    gate.resolve()
    await world.pass()
    expect(carol.receiveAll().map(({ content }) => content)).toEqual(['slow', 'quick'])
    bob.receiveAll()
  })

  test('gossip beyond a thousand messages that a hook has not done with is refused', async () => {
    const gate = Promise.withResolvers<void>()
    const carol = await world.join('carol', {
      hooks: { afterReceive: ({ content }) => (content === null ? undefined : gate.promise) },
    })
    let got = 0
    carol.subscribe({ topic: 'flood' }, () => {
      got++
    })
    await world.during(acquainted([ada, carol]))
    await Promise.all(Array.from({ length: 1_100 }, (_, i) => ada.publish('flood', i)))
    await world.pass()
    expect(carol.metrics.counter('refused', { reason: 'overflow' }).value).toBe(1_100 - 1_024)
    gate.resolve()
    await world.pass()
    await ada.publish('flood', 'room again')
    await world.pass()
    expect(got).toBe(1_025)
  })

  /** What is waited for like a promise, but is none of this realm: it calls back when `gate` opens. */
  const thenable = (gate: Promise<void>, refuse: boolean): PromiseLike<void> =>
    ({
      // biome-ignore lint/suspicious/noThenProperty: this is what the tests are about
      then: (resolve: () => void, reject: (error: Error) => void) =>
        void gate.then(() => (refuse ? reject(new Error('not that')) : resolve())),
    }) as unknown as PromiseLike<void>
  const otherRealm = (gate: Promise<void>, refuse: boolean): PromiseLike<void> =>
    runInNewContext('gate.then(() => { if (refuse) throw new Error("not that") })', {
      // A function of the other realm, so that nothing of this one is in the promise.
      gate: runInNewContext('(open => new Promise(resolve => open(resolve)))')((resolve: () => void) => {
        void gate.then(resolve)
      }),
      refuse,
    })

  test.each([
    ['a thenable', thenable],
    ['a promise of another realm', otherRealm],
  ])('%s that refuses what leaves is waited for, and nothing leaves', async (_what, make) => {
    const gate = Promise.withResolvers<void>()
    const carol = await world.join('carol', {
      hooks: { beforeSend: ({ content }) => make(gate.promise, content === 'secret') },
    })
    await world.during(carol.waitFor('ada'))
    const refused = failure(carol.send('ada', 'secret'))
    const sent = carol.send('ada', 'public')
    await world.pass()
    expect(ada.receiveAll()).toEqual([])
    gate.resolve()
    expect(await refused).toMatchObject({ code: 'HOOK_REFUSED', cause: { message: 'not that' } })
    await sent
    await world.pass()
    expect(ada.receiveAll().map(({ content }) => content)).toEqual(['public'])
  })

  test.each([
    ['a thenable', thenable],
    ['a promise of another realm', otherRealm],
  ])('%s that refuses what comes is waited for, and nobody gets it', async (_what, make) => {
    const gate = Promise.withResolvers<void>()
    const carol = await world.join('carol', {
      hooks: { afterReceive: ({ content }) => make(gate.promise, content === 'spam') },
    })
    await world.during(acquainted([ada]))
    await world.during(ada.waitFor('carol'))
    await world.during(Promise.all([ada.send('carol', 'spam'), ada.send('carol', 'ham')]))
    await world.pass()
    expect(carol.receiveAll()).toEqual([])
    gate.resolve()
    await world.pass()
    expect(carol.receiveAll().map(({ content }) => content)).toEqual(['ham'])
    expect(carol.metrics.counter('refused', { reason: 'hook' }).value).toBe(1)
  })

  test('a hook whose result throws when it is looked at refuses the message', async () => {
    const carol = await world.join('carol', {
      hooks: {
        beforeSend: () =>
          Object.defineProperty({}, 'then', {
            get: () => {
              throw new Error('odd')
            },
          }) as never,
      },
    })
    expect(await world.during(failure(carol.send('ada', 'x')))).toMatchObject({
      code: 'HOOK_REFUSED',
      cause: { message: 'odd' },
    })
  })

  test('a predicate that answers with a promise of another realm lets nothing through', async () => {
    const errors = collect(bob, 'handler:error')
    const got: unknown[] = []
    const where = (() => runInNewContext('Promise.resolve(true)')) as never
    bob.subscribe({ where }, message => void got.push(message))
    await ada.send('bob', 'x')
    await world.pass()
    expect(got).toEqual([])
    expect(errors).toMatchObject([{ error: { code: 'INVALID_FILTER' } }])
  })

  test('what is sent to one recipient leaves in the order of the calls, however long the hook takes over each', async () => {
    const gates = new Map<unknown, PromiseWithResolvers<void>>()
    const carol = await world.join('carol', {
      hooks: {
        beforeSend: ({ content }) => {
          if (typeof content !== 'number') return
          const gate = Promise.withResolvers<void>()
          gates.set(content, gate)
          return gate.promise
        },
      },
    })
    await world.during(acquainted([ada, bob]))
    await world.during(Promise.all([carol.waitFor('ada'), carol.waitFor('bob')]))
    await world.during(acquainted([ada, bob, carol]))
    const aborting = new AbortController()
    const refused = failure(carol.send('ada', 1))
    const called = failure(carol.send('ada', 2, { signal: aborting.signal }))
    const sends = [
      carol.send(['ada', 'bob'], 3),
      carol.send('ada', 'quick'),
      carol.send('bob', 'after three'),
      carol.broadcast(4),
      carol.broadcast('last'),
    ]
    await world.pass()
    await carol.send('carol', 'to nobody else')
    aborting.abort(new Error('never mind'))
    expect(await called).toMatchObject({ message: 'never mind' })
    gates.get(3)?.resolve()
    gates.get(4)?.resolve()
    await world.pass()
    expect(ada.receiveAll().map(({ content }) => content)).toEqual([4, 'last'])
    gates.get(1)?.reject(new Error('not that'))
    expect(await refused).toMatchObject({ code: 'HOOK_REFUSED' })
    // The one that was called off is out of the way as well, though its own hook has not answered.
    await world.during(Promise.all(sends))
    await world.pass()
    expect(ada.receiveAll().map(({ content }) => content)).toEqual([3, 'quick'])
    expect(bob.receiveAll().map(({ content }) => content)).toEqual([4, 'last', 3, 'after three'])
  })
})
