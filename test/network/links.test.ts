import { describe, expect, it } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { Links } from '../../src/network/links.ts'

describe('Links that stop', () => {
  it('have nobody wait for one any more, nor a timer for whoever did', async () => {
    const clock = new DrivenClock()
    const links = new Links({ onOpen: () => {}, onChanged: () => {}, onClosed: () => {} })
    const soon = links.soon('bob', clock, 10_000)
    const opened = links.opened('bob')
    links.stop()
    await expect(soon).resolves.toBeUndefined()
    await expect(opened).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(links.opened('eve')).rejects.toMatchObject({ code: 'CLOSED' })
    expect(clock.pending).toBe(0)
  })
})
