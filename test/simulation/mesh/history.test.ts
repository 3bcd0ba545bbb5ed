import { expect, it } from 'vitest'
import type { MemoryEvent } from '../../../src/network/memory.ts'
import { History } from './history.ts'

it('The digest of a run changes with each thing that the network says of an event', () => {
  const event: MemoryEvent = { at: 1, type: 'sent', from: 'ada', to: 'bob', on: 'c1', bytes: 9 }
  const others: Partial<MemoryEvent>[] = [{ at: 2 }, { type: 'lost' }, { from: 'cleo' }, { to: 'cleo' }, { on: 'c2' }]
  const digests = [{}, ...others, { bytes: 8 }, { from: 'bob', to: 'ada' }].map(change =>
    new History(() => 0).digest([{ ...event, ...change }]),
  )
  expect(new Set(digests).size).toBe(digests.length)
  expect(new History(() => 0).digest([event])).toBe(digests[0])
})
