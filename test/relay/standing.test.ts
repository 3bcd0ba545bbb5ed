import { describe, expect, test } from 'vitest'
import { Standing } from '../../relay/standing.ts'

/** Below this score gossipsub no longer listens to a peer. */
const GRAYLIST = -80

function standing(rate: number) {
  const time = { now: 0 }
  return { time, peers: new Standing(rate, () => time.now) }
}

describe('how a peer stands with the relay', () => {
  test('a peer without a fault has the score 0', () => {
    const { peers } = standing(10)
    expect(peers.message('ada')).toBe(true)
    expect(peers.score('ada')).toBe(0)
    expect(peers.score('never seen')).toBe(0)
  })

  test('a peer that forwards forgeries is no longer listened to after nine, and is again when they have faded', () => {
    const { time, peers } = standing(10)
    for (let i = 0; i < 8; i++) peers.rejected('eve')
    expect(peers.score('eve')).toBe(GRAYLIST)
    peers.rejected('eve')
    expect(peers.score('eve')).toBeLessThan(GRAYLIST)
    time.now = 90_000
    expect(peers.score('eve')).toBeCloseTo(0)
  })

  test('a burst of twice the rate is within it, more is charged', () => {
    const { time, peers } = standing(10)
    const within = Array.from({ length: 20 }, () => peers.message('ada'))
    expect(within.every(Boolean)).toBe(true)
    expect(peers.message('ada')).toBe(false)
    expect(peers.score('ada')).toBeLessThan(0)
    time.now = 1_000
    expect(peers.message('ada')).toBe(true)
  })

  test('a steady flood leads to silence, and ends within ten minutes of the last message', () => {
    const { time, peers } = standing(10)
    for (let second = 0; second < 60; second++) {
      time.now = second * 1_000
      for (let i = 0; i < 1_000; i++) peers.message('eve')
    }
    expect(peers.score('eve')).toBeLessThan(GRAYLIST)
    expect(peers.score('eve')).toBe(-600)
    time.now += 600_000
    expect(peers.score('eve')).toBeCloseTo(0)
  })

  test('it remembers peers that left, but only so many', () => {
    const { peers } = standing(10)
    peers.rejected('eve')
    for (let i = 0; i < 8_191; i++) peers.message(`p${i}`)
    expect(peers.score('eve')).toBe(-10)
    peers.message('one more')
    expect(peers.score('eve')).toBe(0)
  })
})
