import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { describe, expect, test } from 'vitest'
import { freeAbandonedReservations } from '../../relay/reservations.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { createIdentity } from '../../src/identity/keys.ts'

async function slots() {
  const peer = peerIdFromString((await createIdentity()).id)
  let stopped = 0
  const table = new Map<PeerId, { signal: { clear(): void } }>()
  table.set(peer, { signal: { clear: () => void stopped++ } })
  const clock = new DrivenClock()
  const connected = new Set<string>()
  const timer = freeAbandonedReservations(table, clock, id => connected.has(id))
  return { peer, table, clock, connected, timer, stopped: () => stopped }
}

describe('slots of peers that are gone', () => {
  test('one is freed at the second sweep, and its own timer stopped lest it end a later slot of the same peer', async () => {
    const { table, clock, stopped } = await slots()
    await clock.advance(15_000)
    expect([table.size, stopped()]).toEqual([1, 0])
    await clock.advance(15_000)
    expect([table.size, stopped()]).toEqual([0, 1])
  })

  test('a peer that is back by the second sweep keeps it, and has both sweeps again when it goes', async () => {
    const { peer, table, clock, connected } = await slots()
    await clock.advance(15_000)
    connected.add(peer.toString())
    await clock.advance(15_000)
    connected.clear()
    await clock.advance(15_000)
    expect(table.size).toBe(1)
    await clock.advance(15_000)
    expect(table.size).toBe(0)
  })

  test('nothing is freed once the sweeping was stopped', async () => {
    const { table, clock, timer } = await slots()
    timer.cancel()
    await clock.advance(120_000)
    expect(table.size).toBe(1)
  })
})
