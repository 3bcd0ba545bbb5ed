/** What is sent at most once arrives in the order of the calls, however much of it goes together in one seal. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions, SendOptions } from '../../src/agent/options.ts'
import { seededRandom } from '../../src/common/random.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { MemoryAgents } from './memory-agents.ts'

/** More than goes together; one that is in a frame of its own. */
const LONG = 20_000

/** Registers the suite; `cipher` says what seals here. */
export function onceOrderContract(cipher: string): void {
  describe(`what is sent at most once, sealed by ${cipher},`, () => {
    let agents: MemoryAgents
    let ada: Agent
    const join = (name: string, options: Partial<AgentOptions> = {}): Promise<Agent> =>
      agents.join(name, { store: memoryStore(), guarantee: 'at-most-once', ...options })
    beforeEach(async () => {
      agents = new MemoryAgents('once', seededRandom(1))
      ada = await join('ada')
    })
    afterEach(() => agents.close())

    /** Another one that tells what comes: the first word of each text. */
    async function listening(name: string, count: number, options: Partial<AgentOptions> = {}) {
      const got: string[] = []
      const refused: string[] = []
      const { promise: all, resolve } = Promise.withResolvers<void>()
      const heard = (): void => void (got.length + refused.length >= count && resolve())
      const agent = await join(name, options)
      agent.handle(({ content }) => {
        got.push(String(content).split(' ')[0] as string)
        heard()
      })
      agent.addEventListener('refused', ({ detail }) => {
        refused.push(detail.reason)
        heard()
      })
      await Promise.all([agent.waitFor(ada.id), ada.waitFor(agent.id)])
      return { agent, got, refused, all }
    }

    const text = (number: number, bytes = 0): string => `${number} ${'x'.repeat(bytes)}`
    const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`)

    it('arrives in the order of the calls: short, long and for several, of any priority', async () => {
      const count = 300
      const bob = await listening('bob', count)
      const eve = await listening('eve', count / 10)
      const sends = Array.from({ length: count }, (_, i) => {
        const options: SendOptions = { priority: Math.floor(i / 4) % 3 }
        if (i % 10 === 7) return ada.send([bob.agent.id, eve.agent.id], text(i), options)
        return ada.send(bob.agent.id, text(i, i % 10 === 3 ? LONG : 0), options)
      })
      await Promise.all([...sends, bob.all, eve.all])
      expect(bob.got).toEqual(numbers(count))
      expect(eve.got).toEqual(numbers(count).filter(number => number.endsWith('7')))
      expect([...bob.refused, ...eve.refused]).toEqual([])
    })

    it('arrives whole where a long one comes behind more seals than are told apart', async () => {
      // Neighbours of another priority do not go together.
      const count = 1_500
      const bob = await listening('bob', count)
      const sends = Array.from({ length: count }, (_, i) =>
        ada.send(bob.agent.id, text(i, i === count - 1 ? LONG : 0), { priority: i % 2 }),
      )
      await Promise.all([...sends, bob.all])
      expect(bob.refused).toEqual([])
      expect(bob.got).toEqual(numbers(count))
    })

    it('arrives in order past a hook that takes its time, and what the hook refuses is refused alone', async () => {
      const count = 100
      const bob = await listening('bob', count, {
        hooks: {
          afterReceive: async ({ content }) => {
            await Promise.resolve()
            if (String(content).startsWith('5 ')) throw new Error('not this one')
          },
        },
      })
      await Promise.all([...numbers(count).map((_, i) => ada.send(bob.agent.id, text(i))), bob.all])
      expect(bob.got).toEqual(numbers(count).toSpliced(5, 1))
      expect(bob.refused).toEqual(['hook'])
    })

    it('to oneself arrives in order as well', async () => {
      const got: string[] = []
      const all = Promise.withResolvers<void>()
      ada.handle(({ content }) => {
        if (got.push(String(content).split(' ')[0] as string) === 50) all.resolve()
      })
      await Promise.all([...numbers(50).map((_, i) => ada.send(ada.id, text(i, i % 5 === 2 ? LONG : 0))), all.promise])
      expect(got).toEqual(numbers(50))
    })

    it('leaves without those that are called off', async () => {
      const bob = await listening('bob', 4)
      const off = new AbortController()
      const sends = [0, 1, 2, 3, 4].map(i =>
        ada.send(bob.agent.id, text(i), i === 2 ? { signal: off.signal } : {}).then(
          () => 'left',
          error => error.message,
        ),
      )
      off.abort(new Error('called off'))
      expect(await Promise.all(sends)).toEqual(['left', 'left', 'called off', 'left', 'left'])
      await bob.all
      expect(bob.got).toEqual(['0', '1', '3', '4'])
    })
  })
}
