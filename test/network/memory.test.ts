import { describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import type { MemoryFaults } from '../../src/network/memory.ts'
import { MemoryNet } from '../../src/network/memory.ts'
import { type CarrierWorld, carrierContract } from '../contracts/carrier.ts'

/** A world whose clock goes on by itself, five milliseconds a turn of the event loop. */
async function world(faults: Partial<MemoryFaults>): Promise<CarrierWorld> {
  const clock = new DrivenClock()
  const net = new MemoryNet({ clock, random: seededRandom(1), faults })
  let count = 0
  let over = false
  const driving = (async () => {
    while (!over) await clock.advance(5)
  })()
  return {
    create: async () => {
      const carrier = net.carrier(`peer-${count++}`)
      await carrier.start()
      return carrier
    },
    close: async () => {
      over = true
      await driving
    },
  }
}

describe('A carrier in memory that stops', () => {
  it('ends the channels of connections that have closed before, where the end of them has not come', async () => {
    const clock = new DrivenClock()
    const net = new MemoryNet({ clock, random: seededRandom(1) })
    const [ada, bob] = [net.carrier('ada'), net.carrier('bob')]
    await Promise.all([ada.start(), bob.start()])
    const ended: string[] = []
    const closed = (who: string) => ({ data: () => {}, closed: () => void ended.push(who) })
    bob.handle('/talk', channel => channel.attach(closed('bob')))
    const dialled = ada.dial('bob', bob.addresses())
    await clock.advance(10)
    const connection = await dialled
    const opened = connection.open('/talk')
    await clock.advance(10)
    const channel = await opened
    channel.attach(closed('ada'))
    // Whoever does not read does not get to the end either.
    channel.pause()
    await bob.connections()[0]?.close()
    await clock.advance(10)
    expect({ ended, open: ada.connections() }).toEqual({ ended: ['bob'], open: [] })
    await ada.stop()
    expect(ended).toEqual(['bob', 'ada'])
  })
})

carrierContract('The carrier in memory', () => world({}))
carrierContract('The carrier in memory with delays', () => world({ delay: [1, 20] }))
