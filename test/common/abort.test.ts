import { describe, expect, it } from 'vitest'
import { abortable, following, within } from '../../src/common/abort.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { AfpTimeoutError } from '../../src/common/errors.ts'

const reason = new Error('called off')
const never = new Promise<never>(() => {})

/** A signal that counts its listeners, to show that none stays behind. */
function counted(): { controller: AbortController; signal: AbortSignal; listeners: () => number } {
  const controller = new AbortController()
  const { signal } = controller
  const active = new Set<unknown>()
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (type: string, listener: EventListener, options?: AddEventListenerOptions) => {
    active.add(listener)
    add(type, listener, options)
  }
  signal.removeEventListener = (type: string, listener: EventListener) => {
    active.delete(listener)
    remove(type, listener)
  }
  return { controller, signal, listeners: () => active.size }
}

describe('abortable', () => {
  it('is the promise itself without a signal', async () => {
    const promise = Promise.resolve(1)
    expect(abortable(promise, undefined)).toBe(promise)
  })

  it('resolves and rejects as the promise does, and leaves no listener', async () => {
    const { signal, listeners } = counted()
    const failed = new Error('failed')
    const both = [abortable(Promise.resolve(1), signal), abortable(Promise.reject(failed), signal)]
    expect(listeners()).toBe(2)
    expect(await both[0]).toBe(1)
    await expect(both[1]).rejects.toBe(failed)
    await Promise.resolve()
    expect(listeners()).toBe(0)
  })

  it('rejects with the reason as soon as the signal fires, and swallows what the promise does later', async () => {
    const late = Promise.withResolvers<void>()
    const controller = new AbortController()
    const waiting = abortable(late.promise, controller.signal)
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    late.reject(new Error('nobody listens any more'))
  })

  it('rejects at once with a signal that has fired, and swallows what the promise does', async () => {
    await expect(abortable(Promise.reject(new Error('unheard')), AbortSignal.abort(reason))).rejects.toBe(reason)
    await expect(abortable(Promise.resolve(1), AbortSignal.abort(reason))).rejects.toBe(reason)
  })
})

describe('following', () => {
  it('aborts with the reason of the other signal, at once, also where that has fired before', () => {
    const { controller, signal, listeners } = counted()
    const { controller: own } = following(signal)
    controller.abort(reason)
    expect([own.signal.aborted, own.signal.reason]).toEqual([true, reason])
    expect(following(signal).controller.signal.reason).toBe(reason)
    expect(listeners()).toBe(1)
  })

  it('listens to it until it is released, and is aborted on its own without it', () => {
    const { controller, signal, listeners } = counted()
    const { controller: own, release } = following(signal)
    expect(listeners()).toBe(1)
    release()
    expect(listeners()).toBe(0)
    controller.abort(reason)
    expect(own.signal.aborted).toBe(false)
    const alone = following(undefined)
    alone.controller.abort(reason)
    alone.release()
    expect(alone.controller.signal.reason).toBe(reason)
  })
})

const late = (): AfpTimeoutError => new AfpTimeoutError('too late', { timeoutSeconds: 1.5 })

describe('within', () => {
  it('gives what the work gives, or its error, and leaves neither timer nor listener', async () => {
    const clock = new DrivenClock()
    const { signal, listeners } = counted()
    expect(await within(clock, 100, late, signal, async () => 7)).toBe(7)
    const failed = new Error('failed')
    await expect(within(clock, 100, late, signal, () => Promise.reject(failed))).rejects.toBe(failed)
    const thrown = (): never => {
      throw failed
    }
    await expect(within(clock, 100, late, signal, thrown)).rejects.toBe(failed)
    expect([clock.pending, listeners()]).toEqual([0, 0])
  })

  it('tells the work through its signal when the time is up, with the reason that is made then', async () => {
    const clock = new DrivenClock()
    let inner: AbortSignal | undefined
    const waiting = within(clock, 1_500, late, undefined, signal => {
      inner = signal
      return abortable(never, signal)
    })
    const outcome = waiting.catch((error: unknown) => error)
    await clock.advance(1_499)
    expect(inner?.aborted).toBe(false)
    await clock.advance(1)
    const error = await outcome
    expect(error).toMatchObject({ code: 'TIMEOUT', timeoutSeconds: 1.5 })
    expect(inner?.reason).toBe(error)
  })

  it('rejects with the reason of the signal, and tells the work', async () => {
    const clock = new DrivenClock()
    const { controller, signal, listeners } = counted()
    let inner: AbortSignal | undefined
    const waiting = within(clock, 100, late, signal, signal => {
      inner = signal
      return abortable(never, signal)
    })
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect(inner?.reason).toBe(reason)
    expect([clock.pending, listeners()]).toEqual([0, 0])
  })

  it('does not begin when the signal has fired', async () => {
    let begun = false
    const work = async (): Promise<void> => {
      begun = true
    }
    await expect(within(new DrivenClock(), 100, late, AbortSignal.abort(reason), work)).rejects.toBe(reason)
    expect(begun).toBe(false)
  })
})
