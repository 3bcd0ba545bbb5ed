import { describe, expect, it } from 'vitest'
import { PriorityQueue } from '../../src/delivery/priority-queue.ts'

describe('a priority queue', () => {
  it('keeps the order of each class', () => {
    const queue = new PriorityQueue<[number, number]>()
    for (let i = 0; i < 5_000; i++) queue.push(i % 10, i, [i % 10, i])
    const last = new Map<number, number>()
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      expect(item[1]).toBeGreaterThan(last.get(item[0]) ?? -1)
      last.set(item[0], item[1])
    }
    expect(queue.empty).toBe(true)
    expect(last.size).toBe(10)
  })

  it('puts what comes back where it was in its class', () => {
    const queue = new PriorityQueue<number>()
    for (const order of [5, 6, 2, 3]) queue.push(0, order, order)
    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([2, 3, 5, 6])
  })

  it('lets a higher class go a hundred times as often as the lowest, and starves none', () => {
    const queue = new PriorityQueue<number>()
    for (let i = 0; i < 2_000; i++) {
      queue.push(9, i, 9)
      queue.push(0, i, 0)
    }
    const firsts = Array.from({ length: 1_010 }, () => queue.shift())
    expect(firsts.filter(item => item === 0)).toHaveLength(10)
  })

  it('has a class owe nothing for what went because it was the oldest', () => {
    const queue = new PriorityQueue<number>()
    for (let i = 0; i < 1_500; i++) {
      queue.push(0, i, 0)
      queue.push(9, 10_000 + i, 9)
    }
    for (let i = 0; i < 500; i++) expect(queue.shift(true)).toBe(0)
    const firsts = Array.from({ length: 1_010 }, () => queue.shift())
    expect(firsts.filter(item => item === 0)).toHaveLength(10)
  })

  it('gives a class nothing for the time it was empty', () => {
    const queue = new PriorityQueue<number>()
    for (let i = 0; i < 1_000; i++) queue.push(9, i, 9)
    for (let i = 0; i < 1_000; i++) queue.shift()
    for (let i = 0; i < 200; i++) {
      queue.push(9, i, 9)
      queue.push(0, i, 0)
    }
    const firsts = Array.from({ length: 100 }, () => queue.shift())
    expect(firsts.filter(item => item === 0).length).toBeLessThanOrEqual(2)
  })
})
