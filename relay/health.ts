/** `/healthz` (the process answers) and `/readyz` (the relay takes connections), on a port of their own. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AfpError } from '../src/common/errors.ts'

/** A running health server. */
export interface HealthServer {
  /** Where it listens, e.g. `http://127.0.0.1:9092`. */
  readonly url: string
  close(): Promise<void>
}

/**
 * Answers 200 on `/healthz`, and on `/readyz` 200 or 503 as `ready()` says.
 * @throws AfpError NETWORK_FAILED for an address that cannot be listened on
 */
export async function serveHealth(options: {
  host: string
  port: number
  ready: () => boolean
}): Promise<HealthServer> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, (request, response) => {
    const path = request.url?.split('?', 1)[0]
    const known = path === '/healthz' || path === '/readyz'
    const allowed = request.method === 'GET' || request.method === 'HEAD'
    const ready = path === '/healthz' || options.ready()
    const status = !known ? 404 : !allowed ? 405 : ready ? 200 : 503
    const words = { 200: 'ok', 404: 'not found', 405: 'method not allowed', 503: 'not ready' }[status]
    response.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    })
    response.end(request.method === 'HEAD' ? undefined : `${words}\n`)
  })
  server.maxConnections = 64
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause => {
      const message = `the health port cannot be listened on: ${cause.message.replace(/^listen /, '')}`
      reject(new AfpError('NETWORK_FAILED', message, { cause }))
    })
    server.listen(options.port, options.host, resolve)
  })
  const { address, family, port } = server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
