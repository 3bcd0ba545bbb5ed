import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, createAgent, type Message } from 'agent-flow-protocol'
import { sqliteStore } from 'agent-flow-protocol/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readAnswer } from '../../demo/behaviours/behaviour.ts'
import { type Demo, startDemo } from '../../demo/server.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'

let folder: string
let page: string
let demo: Demo

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'afp-demo-'))
  page = join(folder, 'page')
  await mkdir(join(page, 'assets'), { recursive: true })
  await writeFile(join(folder, 'secret.txt'), 'secret')
  await writeFile(join(page, 'index.html'), '<!doctype html><title>page</title>')
  await writeFile(join(page, 'assets', 'session-a1b2.js'), `// ${'x'.repeat(2_000)}`)
  await writeFile(join(page, 'assets', 'style-a1b2.css'), 'p{}')
  demo = await startDemo({ port: 0, page, mesh: 'test' })
})
afterAll(async () => {
  await demo.close()
  await rm(folder, { recursive: true })
})

/** A request with its path as written: `fetch` would tidy `..` away. */
function raw(
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(demo.url)
    request({ host: '127.0.0.1', port, path, headers, method }, response => {
      const parts: Buffer[] = []
      response.on('data', part => parts.push(part))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }))
    })
      .on('error', reject)
      .end()
  })
}

describe('the server of the demo', () => {
  it('serves the page under a policy that lets nothing run but its own files', async () => {
    const response = await fetch(demo.url)
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('<title>page</title>')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cache-control': 'no-cache',
      link: '</assets/session-a1b2.js>; rel=modulepreload',
    })
  })

  it('has hashed files kept for ever, compressed where that pays, and knows what a browser already has', async () => {
    const script = await fetch(`${demo.url}assets/session-a1b2.js`)
    expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(script.headers.get('content-encoding')).toBe('gzip')
    expect((await script.text()).length).toBe(2_003)
    const style = await fetch(`${demo.url}assets/style-a1b2.css`)
    expect(style.headers.get('content-encoding')).toBeNull()
    const again = await fetch(demo.url, {
      headers: { 'if-none-match': (await fetch(demo.url)).headers.get('etag') ?? '' },
    })
    expect(again.status).toBe(304)
  })

  it.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/assets/%00',
    '/%',
    '//secret.txt',
  ])('finds nothing outside the page at %s', async path => {
    const { status, body } = await raw(path)
    expect(status).toBe(404)
    expect(body).not.toContain('secret')
  })

  it('takes GET and HEAD only', async () => {
    expect((await raw('/', {}, 'POST')).status).toBe(405)
    expect(await raw('/', {}, 'HEAD')).toEqual({ status: 200, body: '' })
  })

  it('tells the page its mesh and its relay, by the host that the visitor used', async () => {
    const config = async (host: string): Promise<{ mesh: string; relays: string[] }> =>
      JSON.parse((await raw('/config.json', { host })).body)
    const [relay = ''] = demo.relays
    expect(relay).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\/12D3KooW/)
    expect(await config('localhost:8080')).toEqual({ mesh: 'test', relays: [relay] })
    expect((await config('demo.example')).relays).toEqual([relay.replace('/ip4/127.0.0.1', '/dns/demo.example')])
    expect((await config('"><script>/p2p/x')).relays).toEqual([relay])
  })

  it('sends a visitor of a server on every interface to the one address that the visitor used', async () => {
    await using open = await startDemo({ port: 0, page, host: '0.0.0.0', residents: false })
    const { relays } = (await (await fetch(`${open.url}config.json`)).json()) as { relays: string[] }
    expect(relays.map(relay => relay.split('/')[2])).toEqual(['127.0.0.1'])
  })

  it('takes another port when its own is in use, and says so', async () => {
    const other = createServer()
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    await using second = await startDemo({ port, page, residents: false })
    expect(second.moved).toBe(true)
    expect((await fetch(second.url)).status).toBe(200)
    await new Promise(resolve => other.close(resolve))
  })

  it('has no port above the last one for its relay: that takes a free one', async () => {
    await using last = await startDemo({ port: 65_535, page, residents: false })
    expect(last.relays[0]).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d{4,5}\/ws\/p2p\//)
  })

  it('leaves nothing running when a part cannot start, and says what it needs', async () => {
    await expect(startDemo({ port: 0, page: folder })).rejects.toThrow('index.html')
    for (const options of [null, { prot: 1 }, { port: 'x' }, { port: -1 }, { residents: 'no' }, { page: '/nowhere' }]) {
      await expect(startDemo(options as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    }
    await expect(startDemo({ port: 0, page, host: 'not an address' })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    // An address of documentation (RFC 5737), which no machine has.
    await expect(startDemo({ port: 0, page, host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'NETWORK_FAILED',
      message: expect.stringContaining('192.0.2.1'),
    })
    // Its port is free again, so the server that had it is gone.
    const { port } = new URL(demo.url)
    await demo.close()
    const wanted = Number(port)
    await expect(startDemo({ port: wanted, page, mesh: '' })).rejects.toMatchObject({
      name: expect.stringContaining('Afp'),
    })
    demo = await startDemo({ port: wanted, page, mesh: 'test' })
    expect(demo.moved).toBe(false)
  })
})

describe('what the demo keeps', () => {
  /** A port that was free a moment ago, and the next one too. */
  const freePort = async (): Promise<number> => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise(resolve => server.close(resolve))
    return port
  }
  /** Options of a demo that keeps things, on ports of its own. */
  const keeping = async (name: string) => ({
    port: await freePort(),
    relayPort: await freePort(),
    page,
    mesh: 'test',
    data: join(folder, name),
  })
  /** Tick's and Abacus's ids, as a visitor finds them. */
  const idsFor = (visitor: Agent): Promise<readonly string[]> =>
    Promise.all(['Tick', 'Abacus'].map(async name => (await visitor.waitFor(name, { timeout: 15_000 })).card.id))
  const residentsOf = async ({ relays, mesh }: Demo): Promise<readonly string[]> => {
    await using newcomer = await createAgent({ name: 'newcomer', mesh, relays })
    return await idsFor(newcomer)
  }

  it('has its relay and its agents again after a restart, and what waited for them is worked on', async () => {
    const options = await keeping('kept')
    await using before = await startDemo(options)
    await using visitor = await createAgent({ name: 'visitor', mesh: 'test', relays: before.relays })
    const ids = await idsFor(visitor)
    const gone = new Promise(resolve => visitor.addEventListener('peer:offline', resolve, { once: true }))
    await before.close()
    await gone
    const receipt = await visitor.send(ids[1] ?? '', '6 * 7')
    const { promise: answered, resolve } = Promise.withResolvers<Message>()
    visitor.handle(message => resolve(message))

    await using again = await startDemo(options)
    expect(again).toMatchObject({ moved: false, unkept: undefined, relays: before.relays })
    expect((await receipt.processed).get(ids[1] ?? '')?.state).toBe('processed')
    const answer = await answered
    expect([answer.sender, readAnswer(answer.content)?.answer]).toEqual([ids[1], '42'])
    expect(await residentsOf(again)).toEqual(ids)
  }, 60_000)

  it('has the port of its relay too, where that was another than the next one; if it is taken, that is told', async () => {
    const block = async (port: number) => {
      const server = createServer()
      await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
      const free = () => new Promise<void>(resolve => server.close(() => resolve()))
      return { port: (server.address() as AddressInfo).port, free }
    }
    const portOf = ({ relays }: Demo): number => Number(relays[0]?.split('/')[4])
    // Nobody is given a port below this by the system: no other test has the two by chance.
    const next = await block(20_000 + (process.pid % 10_000))
    const options = { port: next.port - 1, page, mesh: 'test', data: join(folder, 'relay-port'), residents: false }
    const first = await startDemo(options)
    await first.close()
    expect(first).toMatchObject({ moved: false, unkept: undefined, relayLeft: undefined })
    await next.free()

    const second = await startDemo(options)
    await second.close()
    expect(second).toMatchObject({ relays: first.relays, relayLeft: undefined })
    const blocked = await block(portOf(first))
    const third = await startDemo(options)
    await third.close()
    await blocked.free()
    expect([third.relayLeft, portOf(third)]).toEqual([portOf(first), next.port])
    const fourth = await startDemo(options)
    await fourth.close()
    expect(fourth).toMatchObject({ relays: third.relays, relayLeft: undefined })
  })

  it('is for its owner alone, and for its port and its mesh', async () => {
    const options = await keeping('apart')
    await using first = await startDemo(options)
    await using second = await startDemo({ ...options, port: await freePort(), relayPort: 0 })
    const ids = new Set([...(await residentsOf(first)), ...(await residentsOf(second))])
    expect(ids.size).toBe(4)
    expect(second.unkept).toBeUndefined()
    await first.close()
    await using elsewhere = await startDemo({ ...options, mesh: '../..' })
    expect(elsewhere.unkept).toBeUndefined()
    for (const id of await residentsOf(elsewhere)) expect(ids).not.toContain(id)
    const files = await readdir(options.data, { recursive: true, withFileTypes: true })
    const keys = files.filter(({ name }) => name.endsWith('.key'))
    expect(keys).toHaveLength(9)
    if (process.platform === 'win32') return
    for (const { parentPath, name } of keys) expect((await stat(join(parentPath, name))).mode & 0o077).toBe(0)
  }, 60_000)

  it('is nothing where another has it, where there is no folder to be had, or on another port each time', async () => {
    const options = { ...(await keeping('taken')), residents: false }
    await (await startDemo(options)).close()
    const [file] = (await readdir(options.data, { recursive: true })).filter(name => name.endsWith('tick.db'))
    const other = await sqliteStore(join(options.data, file ?? ''))
    try {
      await using without = await startDemo(options)
      expect(without.unkept).toBe('another demo has what is kept for this port')
      await using moved = await startDemo(options)
      expect(moved).toMatchObject({ moved: true, unkept: 'its next start has another port' })
    } finally {
      await other.close()
    }
    await writeFile(join(folder, 'file'), '')
    await using nowhere = await startDemo({ ...options, data: join(folder, 'file') })
    expect(nowhere.unkept).toContain(join(folder, 'file'))
  })

  it('is not replaced where it is no identity', async () => {
    const options = { ...(await keeping('broken')), residents: false }
    await (await startDemo(options)).close()
    const files = (await readdir(options.data, { recursive: true })).filter(name => name.endsWith('.key'))
    expect(files).toHaveLength(3)
    for (const file of files) {
      const path = join(options.data, file)
      await writeFile(path, 'something else')
      await expect(startDemo(options)).rejects.toMatchObject({ code: 'INVALID_IDENTITY' })
      await rm(path)
    }
    expect((await raw('/')).status).toBe(200)
    await (await startDemo(options)).close()
  })
})

describe('the agents that live in the demo', () => {
  it('talk in the lobby, answer visitors there, and answer requests by capability', async () => {
    const clock = new DrivenClock(Date.now())
    await using lively = await startDemo({ port: 0, page, mesh: 'test', clock })
    await using visitor = await createAgent({ name: 'visitor', mesh: 'test', relays: lively.relays })
    const said: Message[] = []
    const { promise: answered, resolve } = Promise.withResolvers<Message>()
    const lobby = visitor.subscribe({ topic: 'lobby' }, message => {
      said.push(message)
      if (message.parentId === question) resolve(message)
    })
    await Promise.all([visitor.waitFor('Tick', { timeout: 15_000 }), visitor.waitFor('Abacus', { timeout: 15_000 })])
    const sum = await visitor.request({ capability: 'calculate' }, '6 * 7')
    expect(readAnswer(sum.content)).toEqual({ answer: '42', value: 42 })
    const miles = await visitor.request({ capability: 'convert/units' }, '5 km to miles')
    expect(readAnswer(miles.content)?.unit).toBe('mi')
    expect(readAnswer((await visitor.request('Tick', 'what time is it')).content)?.answer).toContain('UTC')

    await lobby.ready
    const heardTick = (): boolean => said.some(({ content }) => String(content).includes('Seconds to the full hour'))
    // Tick speaks every nine seconds; its clock stays within what a relay allows two clocks to differ.
    await expect.poll(() => clock.advance(9_000).then(heardTick), { interval: 1_000, timeout: 12_000 }).toBe(true)
    const question = crypto.randomUUID()
    await visitor.publish('lobby', 'a question = 3 * 4', { id: question })
    expect(readAnswer((await answered).content)).toEqual({ answer: '12', value: 12 })
  }, 40_000)
})
