import { describe, expect, it } from 'vitest'
import { TypedEventTarget } from '../../src/common/events.ts'

interface Events {
  joined: { readonly name: string }
  left: { readonly name: string; readonly reason: string }
}

describe('a typed event target', () => {
  it('calls the listeners of a type in their order, with the detail, before emit returns', () => {
    const target = new TypedEventTarget<Events>()
    const calls: string[] = []
    target.addEventListener('joined', event => calls.push(`1 ${event.type} ${event.detail.name}`))
    target.addEventListener('joined', event => calls.push(`2 ${event.detail.name}`))
    target.addEventListener('left', event => calls.push(`left ${event.detail.reason}`))
    target.emit('joined', { name: 'ada' })
    expect(calls).toEqual(['1 joined ada', '2 ada'])
    target.emit('left', { name: 'ada', reason: 'closed' })
    expect(calls[2]).toBe('left closed')
  })

  it('removes a listener by function, by signal and after once', () => {
    const target = new TypedEventTarget<Events>()
    const calls: string[] = []
    const controller = new AbortController()
    const byFunction = (): number => calls.push('function')
    target.addEventListener('joined', byFunction)
    target.addEventListener('joined', () => calls.push('signal'), { signal: controller.signal })
    target.addEventListener('joined', () => calls.push('once'), { once: true })
    target.emit('joined', { name: 'ada' })
    expect(calls.splice(0)).toEqual(['function', 'signal', 'once'])
    target.emit('joined', { name: 'ada' })
    expect(calls.splice(0)).toEqual(['function', 'signal'])
    controller.abort()
    target.removeEventListener('joined', byFunction)
    target.emit('joined', { name: 'ada' })
    expect(calls).toEqual([])
  })

  it('calls a listener that was added twice once', () => {
    const target = new TypedEventTarget<Events>()
    let calls = 0
    const listener = (): void => {
      calls++
    }
    target.addEventListener('joined', listener)
    target.addEventListener('joined', listener)
    target.emit('joined', { name: 'ada' })
    expect(calls).toBe(1)
  })

  it('does not reach the listeners of another target', () => {
    const [one, two] = [new TypedEventTarget<Events>(), new TypedEventTarget<Events>()]
    const names: string[] = []
    one.addEventListener('joined', ({ detail }) => names.push(`one ${detail.name}`))
    two.addEventListener('joined', ({ detail }) => names.push(`two ${detail.name}`))
    two.emit('joined', { name: 'bob' })
    expect(names).toEqual(['two bob'])
  })
})
