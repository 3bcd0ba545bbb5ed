import { beforeEach, describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { CircuitBreaker } from '../../src/delivery/breaker.ts'
import { CircuitBreakers } from '../../src/delivery/breakers.ts'

let clock: DrivenClock
let breakers: CircuitBreakers
beforeEach(() => {
  clock = new DrivenClock()
  breakers = new CircuitBreakers({ clock, limit: 3, failureThreshold: 2 })
})

const names = (): string[] => breakers.all().map(({ name }) => name)

function open(name: string): CircuitBreaker {
  const breaker = breakers.getOrCreate(name)
  for (let i = 0; i < 2; i++) breaker.admit()?.fail(new Error('down'))
  expect(breaker.state).toBe('open')
  return breaker
}

describe('a registry of circuit breakers', () => {
  it('makes a breaker at the first request for its name, with the defaults it was given, and keeps it', () => {
    expect(breakers.get('bob')).toBeUndefined()
    const bob = breakers.getOrCreate('bob')
    expect(breakers.getOrCreate('bob')).toBe(bob)
    expect(breakers.get('bob')).toBe(bob)
    expect(breakers.get('eve')).toBeUndefined()
    expect(breakers.size).toBe(1)
    bob.admit()?.fail(new Error('down'))
    expect(bob.state).toBe('closed')
    bob.admit()?.fail(new Error('down'))
    expect(bob.state).toBe('open')
  })

  it('takes other options for one of them', () => {
    const bob = breakers.getOrCreate('bob', { failureThreshold: 1, resetTimeout: undefined })
    bob.admit()?.fail(new Error('down'))
    expect(bob).toMatchObject({ state: 'open', retryAfter: 30_000 })
  })

  it('tells all of them, their states, and resets all', () => {
    open('bob')
    breakers.getOrCreate('eve').forceOpen()
    breakers.getOrCreate('ada')
    expect([...breakers.states()]).toEqual([
      ['bob', 'open'],
      ['eve', 'open'],
      ['ada', 'closed'],
    ])
    breakers.resetAll()
    expect([...breakers.states().values()]).toEqual(['closed', 'closed', 'closed'])
  })

  it('takes any name, also those that objects have of themselves', () => {
    for (const name of ['__proto__', 'constructor', '']) breakers.getOrCreate(name)
    expect([...breakers.states().keys()]).toEqual(['__proto__', 'constructor', ''])
  })

  it('refuses a name that could not be kept were it forced open, and makes none', () => {
    for (const name of ['x'.repeat(4_001), 'é'.repeat(2_001), '\ud800', 7, undefined]) {
      expect(() => breakers.getOrCreate(name as string)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
    expect(breakers.size).toBe(0)
  })

  it('tries one that can be reached again at once, and goes on to let it give way', () => {
    const bob = breakers.borrow('bob')
    bob.forceOpen()
    breakers.tryNow('bob')
    expect(bob.state).toBe('open')
    bob.reset()
    for (let i = 0; i < 5; i++) bob.admit()?.fail(new Error('down'))
    expect(bob.state).toBe('open')
    for (const name of ['bob', 'eve']) breakers.tryNow(name)
    expect(bob.state).toBe('half-open')
    bob.reset()
    breakers.giveBack('bob')
    expect(breakers.size).toBe(0)
  })

  it('removes one, and the next of that name begins anew', () => {
    open('bob')
    expect(breakers.remove('bob')).toBe(true)
    expect(breakers.remove('bob')).toBe(false)
    expect(breakers.getOrCreate('bob')).toMatchObject({ state: 'closed', failureCount: 0 })
  })

  it('closes one that is lent out instead of removing it: whoever has it goes by it', () => {
    const lent = breakers.borrow('bob')
    lent.forceOpen()
    const told: string[] = []
    breakers.addEventListener('change', ({ detail }) => told.push(`${detail.name} ${detail.to}`))
    expect(breakers.remove('bob')).toBe(true)
    expect(lent).toMatchObject({ state: 'closed', forced: false, failureCount: 0 })
    lent.admit()?.fail(new Error('down'))
    expect(breakers.remove('bob')).toBe(true)
    expect(lent.failureCount).toBe(0)
    expect(breakers.getOrCreate('bob')).toBe(lent)
    lent.forceOpen()
    expect(told).toEqual(['bob closed', 'bob open'])
    lent.reset()
    breakers.giveBack('bob')
    expect(breakers.remove('bob')).toBe(true)
    expect(breakers.size).toBe(0)
  })

  it('closes one that is held open by hand as it is removed, and tells so', () => {
    const bob = breakers.getOrCreate('bob')
    bob.forceOpen()
    const told: unknown[] = []
    breakers.addEventListener('change', ({ detail }) => told.push(detail))
    expect(breakers.remove('bob')).toBe(true)
    expect(told).toMatchObject([{ name: 'bob', from: 'open', to: 'closed', forced: false }])
    expect(bob.state).toBe('closed')
    expect(breakers.size).toBe(0)
  })

  it('passes on the events of those it keeps', () => {
    const told: string[] = []
    breakers.addEventListener('change', ({ detail }) => told.push(`${detail.name} ${detail.to}`))
    const bob = open('bob')
    open('eve')
    breakers.remove('bob')
    bob.reset()
    expect(told).toEqual(['bob open', 'eve open'])
  })

  it('refuses options that make no sense', () => {
    for (const options of [{ limit: 0 }, { limit: 1.5 }, { failureThreshold: 0 }]) {
      expect(() => new CircuitBreakers({ clock, ...options })).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      )
    }
  })
})

describe('a full registry', () => {
  it('lets the closed one go that was asked for longest ago', () => {
    for (const name of ['a', 'b', 'c', 'a']) breakers.getOrCreate(name)
    breakers.getOrCreate('d')
    expect(names()).toEqual(['c', 'a', 'd'])
  })

  it('keeps what is open while something is closed, however many strangers come', () => {
    open('down')
    for (let i = 0; i < 100; i++) breakers.getOrCreate(`stranger ${i}`)
    expect(names()).toEqual(['down', 'stranger 98', 'stranger 99'])
  })

  it('takes back what nobody asked for by its name, and nothing that has something to say', () => {
    const lent = ['plain', 'named', 'failing'].map(name => breakers.borrow(name))
    expect(breakers.get('named')).toBe(lent[1])
    lent[2]?.admit()?.fail(new Error('down'))
    for (const { name } of lent) breakers.giveBack(name)
    expect(names()).toEqual(['named', 'failing'])
    lent[2]?.reset()
    breakers.giveBack('failing')
    breakers.getOrCreate('made')
    breakers.giveBack('made')
    expect(names()).toEqual(['named', 'made'])
  })

  it('lets the oldest open one go when none is closed', () => {
    for (const name of ['a', 'b', 'c']) open(name)
    breakers.getOrCreate('d')
    expect(names()).toEqual(['b', 'c', 'd'])
  })

  it('keeps what is lent out, beyond its limit, until it is given back', () => {
    const lent = ['a', 'b', 'c', 'd'].map(name => breakers.borrow(name))
    for (let i = 0; i < 10; i++) breakers.getOrCreate(`stranger ${i}`)
    expect(names()).toEqual(['a', 'b', 'c', 'd', 'stranger 7', 'stranger 8', 'stranger 9'])
    expect(breakers.borrow('a')).toBe(lent[0])
    for (const name of ['a', 'b', 'c', 'd']) breakers.giveBack(name)
    expect(names()).toEqual(['stranger 7', 'stranger 8', 'stranger 9'])
  })

  it('keeps what was forced open beyond its limit', () => {
    for (const name of ['a', 'b', 'c']) breakers.getOrCreate(name).forceOpen()
    for (let i = 0; i < 10; i++) breakers.getOrCreate(`stranger ${i}`)
    expect(names()).toEqual(['a', 'b', 'c', 'stranger 7', 'stranger 8', 'stranger 9'])
  })
})
