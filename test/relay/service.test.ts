import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { DaemonConfig } from '../../relay/config.ts'
import { startService } from '../../relay/service.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { LOOPBACK } from './support.ts'

const CONFIG: DaemonConfig = {
  relay: { listen: LOOPBACK, meshes: ['demo'] },
  healthPort: 0,
  healthHost: '127.0.0.1',
  drainSeconds: 0,
  file: undefined,
}

const status = async (url: string | undefined, path: string): Promise<number> => (await fetch(`${url}${path}`)).status

describe('a relay with its health port', () => {
  test('it is ready once started, unready while it drains, and gone afterwards', async () => {
    const clock = new DrivenClock()
    const service = await startService({ ...CONFIG, drainSeconds: 10 }, clock)
    expect(await status(service.healthUrl, '/readyz')).toBe(200)
    const stopped = service.stop()
    expect(await status(service.healthUrl, '/readyz')).toBe(503)
    expect(await status(service.healthUrl, '/healthz')).toBe(200)
    expect(service.relay.addresses()).toHaveLength(2)
    await clock.advance(10_000)
    await Promise.all([stopped, service.stop()])
    await expect(fetch(`${service.healthUrl}/healthz`)).rejects.toThrow()
    expect(service.relay.addresses()).toEqual([])
  })

  test('where the relay cannot start, the health port does not stay behind', async () => {
    const probe = createServer().listen(0, '127.0.0.1')
    await once(probe, 'listening')
    const { port } = probe.address() as { port: number }
    const free = createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const healthPort = (free.address() as { port: number }).port
    free.close()
    await once(free, 'close')
    onTestFinished(() => void probe.close())
    const relay = { ...CONFIG.relay, listen: [`/ip4/127.0.0.1/tcp/${port}`] }
    await expect(startService({ ...CONFIG, relay, healthPort })).rejects.toMatchObject({ code: 'NETWORK_FAILED' })
    const again = createServer().listen(healthPort, '127.0.0.1')
    await once(again, 'listening')
    again.close()
  })

  test('where the health port cannot be had, no relay runs', async () => {
    const blocker = createServer().listen(0, '127.0.0.1')
    await once(blocker, 'listening')
    onTestFinished(() => void blocker.close())
    const { port } = blocker.address() as { port: number }
    await expect(startService({ ...CONFIG, healthPort: port })).rejects.toThrow(/health port/)
  })

  test('a reload changes meshes and says what needs a restart', async () => {
    const service = await startService({ ...CONFIG, healthPort: undefined })
    onTestFinished(() => service.stop())
    expect(service.reload({ ...CONFIG, healthPort: undefined })).toEqual([])
    const next = {
      ...CONFIG,
      relay: { listen: ['/ip4/127.0.0.1/tcp/1'], meshes: ['other'], limits: { maxReservations: 5, maxTopics: 5 } },
      healthPort: 1,
    }
    expect(service.reload(next)).toEqual(['listen', 'healthPort', 'maxReservations'])
    expect(service.relay.stats().meshes.map(({ mesh }) => mesh)).toEqual(['other'])
  })
})
