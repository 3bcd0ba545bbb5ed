/** The built page, read once at start: what is not among its files does not exist, so no path leads anywhere else. */

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, relative, sep } from 'node:path'
import { gzipSync } from 'node:zlib'

/** Only what the page itself brings may run, and nothing may be built from text. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/** Headers of every answer. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
}

const types: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
  ['.json', 'application/json'],
  ['.map', 'application/json'],
  ['.png', 'image/png'],
  ['.ico', 'image/x-icon'],
  ['.woff2', 'font/woff2'],
  ['.txt', 'text/plain; charset=utf-8'],
])

interface File {
  readonly body: Buffer
  readonly zipped: Buffer | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** Files of a folder by the path under which they are served. */
export type Pages = ReadonlyMap<string, File>

/** Reads a built page. Rejects when the folder has no `index.html`. */
export async function readPages(folder: string): Promise<Pages> {
  const pages = new Map<string, File>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    const path = `/${relative(folder, file).split(sep).join('/')}`
    const body = await readFile(file)
    const type = types.get(extname(path)) ?? 'application/octet-stream'
    const zipped = /text|json|svg/.test(type) ? gzipSync(body, { level: 9 }) : undefined
    // The bundler puts a hash of the content into the name of what it writes to `assets`.
    const hashed = path.startsWith('/assets/')
    pages.set(path, {
      body,
      zipped: zipped !== undefined && zipped.length < body.length ? zipped : undefined,
      headers: {
        'content-type': type,
        'cache-control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
        etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
        ...(zipped === undefined ? {} : { vary: 'accept-encoding' }),
      },
    })
  }
  const index = pages.get('/index.html')
  if (index === undefined) throw new Error(`${folder} has no index.html`)
  // The agent's code is the largest part and is wanted first: browsers fetch it while they still read the page.
  const first = [...pages.keys()].filter(path => /^\/assets\/session-[^/]+\.js$/.test(path))
  const link = first.map(path => `<${path}>; rel=modulepreload`).join(', ')
  return pages.set('/', link === '' ? index : { ...index, headers: { ...index.headers, link } })
}

/** The path that a request asks for, or undefined for what is no path. */
export function pathOf(request: IncomingMessage): string | undefined {
  try {
    return decodeURIComponent(new URL(`http://page${request.url}`).pathname)
  } catch {
    return undefined
  }
}

/** Answers with a file of the page. */
export function servePage(
  pages: Pages,
  path: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const file = path === undefined ? undefined : pages.get(path)
  if (file === undefined) {
    response
      .writeHead(404, { ...SECURITY_HEADERS, 'content-type': 'text/plain; charset=utf-8' })
      .end('There is no such page.\n')
    return
  }
  const headers = { ...SECURITY_HEADERS, ...file.headers }
  if (request.headers['if-none-match'] === file.headers.etag) {
    response.writeHead(304, headers).end()
    return
  }
  const zip = file.zipped !== undefined && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
  const body = zip && file.zipped !== undefined ? file.zipped : file.body
  response.writeHead(200, { ...headers, ...(zip ? { 'content-encoding': 'gzip' } : {}), 'content-length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}
