import { describe, expect, onTestFinished, test } from 'vitest'
import { serveHealth } from '../../relay/health.ts'

describe('the health port', () => {
  test('it says that the process lives, and whether the relay is ready as of now', async () => {
    let ready = false
    const health = await serveHealth({ host: '127.0.0.1', port: 0, ready: () => ready })
    onTestFinished(() => health.close())
    const status = async (path: string, method = 'GET') => (await fetch(`${health.url}${path}`, { method })).status
    expect(await status('/healthz')).toBe(200)
    expect(await status('/readyz')).toBe(503)
    ready = true
    expect(await status('/readyz?probe=1')).toBe(200)
    expect(await status('/readyz', 'HEAD')).toBe(200)
    expect(await status('/readyz', 'POST')).toBe(405)
    expect(await status('/')).toBe(404)
    expect(await status('/healthz/..%2f')).toBe(404)
  })

  test('a port in use is an error that says so', async () => {
    const first = await serveHealth({ host: '127.0.0.1', port: 0, ready: () => true })
    onTestFinished(() => first.close())
    const port = Number(new URL(first.url).port)
    await expect(serveHealth({ host: '127.0.0.1', port, ready: () => true })).rejects.toMatchObject({
      code: 'NETWORK_FAILED',
      message: `the health port cannot be listened on: EADDRINUSE: address already in use 127.0.0.1:${port}`,
    })
  })
})
