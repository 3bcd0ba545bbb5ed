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

carrierContract('The carrier in memory', () => world({}))
carrierContract('The carrier in memory with delays', () => world({ delay: [1, 20] }))
