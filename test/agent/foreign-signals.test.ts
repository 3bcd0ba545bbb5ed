/** Signals that are not the platform's own: of another window or worker realm, of a test environment, of a polyfill. */

import { describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { failure } from './waiting.ts'
import { ada, adaAndBob, bob, loopbackWorld, world } from './worlds.ts'

/** Has what an AbortSignal has, and is none to the platform. Counts who listens. */
class ForeignSignal extends EventTarget {
  aborted = false
  reason: unknown
  readonly #listening = new Set<unknown>()

  get listeners(): number {
    return this.#listening.size
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason
  }

  override addEventListener(type: string, listener: EventListener, options?: AddEventListenerOptions): void {
    this.#listening.add(listener)
    super.addEventListener(type, listener, options)
  }

  override removeEventListener(type: string, listener: EventListener): void {
    this.#listening.delete(listener)
    super.removeEventListener(type, listener)
  }

  abort(reason: unknown): void {
    this.aborted = true
    this.reason = reason
    this.dispatchEvent(new Event('abort'))
  }
}

const foreign = (): { signal: AbortSignal; own: ForeignSignal } => {
  const own = new ForeignSignal()
  return { signal: own as unknown as AbortSignal, own }
}

/** What an agent does that can be called off and does not end by itself. */
const waits: [what: string, begin: (agent: Agent, signal: AbortSignal) => Promise<unknown>][] = [
  ['a request that is kept', (agent, signal) => agent.request('bob', 'x', { guarantee: 'at-least-once', signal })],
  ['a request that is not', (agent, signal) => agent.request('bob', 'x', { signal })],
  ['a request to a name that nobody has', (agent, signal) => agent.request('zoe', 'x', { signal })],
  ['a message to a name that nobody has', (agent, signal) => agent.send('zoe', 'x', { signal })],
  ['the wait for an agent', (agent, signal) => agent.waitFor('zoe', { signal })],
  ['the wait for a message', (agent, signal) => agent.receive({ signal })],
]

describe('A signal of another realm', () => {
  adaAndBob()

  test.each(waits)('calls off %s, and nobody listens to it afterwards', async (_what, begin) => {
    bob.handle(() => new Promise(() => {}))
    const { signal, own } = foreign()
    const waiting = failure(begin(ada, signal))
    await world.pass()
    expect(own.listeners).toBeGreaterThan(0)
    const reason = new Error('called off')
    own.abort(reason)
    expect(await world.during(waiting)).toBe(reason)
    expect(own.listeners).toBe(0)
  })

  test('that has fired lets nothing begin', async () => {
    for (const [, begin] of waits) {
      const { signal, own } = foreign()
      const reason = new Error('before it began')
      own.abort(reason)
      expect(await world.during(failure(begin(ada, signal)))).toBe(reason)
      expect(own.listeners).toBe(0)
    }
  })

  test('that never fires is let go by all that ends by itself, however often', async () => {
    bob.handle(({ content }) => content)
    const { signal, own } = foreign()
    for (let i = 0; i < 5; i++) {
      for (const guarantee of ['at-most-once', 'at-least-once'] as const) {
        expect((await world.during(ada.request('bob', i, { guarantee, signal }))).content).toBe(i)
        await world.during(ada.send('bob', i, { guarantee, signal }))
      }
      await world.during(ada.waitFor('bob', { signal }))
      await failure(world.during(ada.waitFor('zoe', { timeout: 50, signal })))
      await failure(world.during(ada.request('zoe', i, { timeout: 50, signal })))
      await failure(world.during(ada.receive({ timeout: 50, signal })))
      await world.during(ada.connect(bob.addresses[0] as string, { signal }))
      await world.during(ada.drain({ signal }))
    }
    await world.pass()
    expect(own.listeners).toBe(0)
  })

  test.each(['throwIfAborted', 'addEventListener', 'removeEventListener'])(
    'without %s is refused by name, before anything listens to it',
    async method => {
      const { own } = foreign()
      const signal = Object.defineProperty(own, method, { value: undefined }) as unknown as AbortSignal
      for (const [, begin] of waits) {
        expect(await failure(begin(ada, signal))).toMatchObject({
          code: 'INVALID_OPTION',
          message: expect.stringContaining('signal has to be an AbortSignal'),
        })
      }
      expect(() => ada.subscribe({ signal })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
      expect(own.listeners).toBe(0)
    },
  )
})

test('A signal of another realm calls off a dial over libp2p, or is let go when that is done', async () => {
  const loopback = await loopbackWorld()
  const one = await loopback.join('ada')
  const other = await loopback.join('bob', { peers: [] })
  const [address] = other.addresses as [string]
  const { signal, own } = foreign()
  expect(await one.connect(address, { signal })).toMatchObject({ peer: other.id })
  expect(own.listeners).toBe(0)
  await other.close()
  const waiting = failure(one.connect(address, { signal }))
  const reason = new Error('called off')
  own.abort(reason)
  expect(await waiting).toBe(reason)
  expect(own.listeners).toBe(0)
  await loopback.close()
})
