import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createRelay, type Relay } from '../../relay/index.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import { addressOf, hasSlot, LOOPBACK, testPeer, testRelay, until } from './support.ts'

const portOf = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)?.[1])

describe('a relay', () => {
  test('it listens for WebSockets and TCP, and each of its addresses ends in its id', async () => {
    const relay = await testRelay()
    expect(relay.addresses()).toHaveLength(2)
    for (const address of relay.addresses()) expect(address.endsWith(`/p2p/${relay.id}`)).toBe(true)
    for (const dial of ['ws', 'tcp'] as const) {
      const peer = await testPeer([relay], { dial })
      expect(peer.node.getConnections()).toHaveLength(1)
    }
  })

  test('the same seed gives the same id, no seed a new one', async () => {
    const { seed, id } = await createIdentity()
    expect((await testRelay({ seed })).id).toBe(id)
    expect((await testRelay()).id).not.toBe((await testRelay()).id)
  })

  test('started again with the same identity file it has the same id', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'afp-relay-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const identityFile = join(folder, 'relay.key')
    const first = await testRelay({ identityFile })
    await first.close()
    expect((await testRelay({ identityFile })).id).toBe(first.id)
    await writeFile(identityFile, 'something else')
    await expect(createRelay({ listen: LOOPBACK, identityFile })).rejects.toMatchObject({ code: 'INVALID_IDENTITY' })
  })

  test.each(['', '/ws'])(
    'a port in use (%s) is an error that names the address, and nothing is left running',
    async kind => {
      const blocker = createServer().listen(0, '127.0.0.1')
      onTestFinished(() => void blocker.close())
      await once(blocker, 'listening')
      const { port } = blocker.address() as { port: number }
      const free = createServer().listen(0, '127.0.0.1')
      await once(free, 'listening')
      const { port: other } = free.address() as { port: number }
      free.close()
      await once(free, 'close')
      const started = createRelay({ listen: [`/ip4/127.0.0.1/tcp/${other}`, `/ip4/127.0.0.1/tcp/${port}${kind}`] })
      await expect(started).rejects.toMatchObject({
        code: 'NETWORK_FAILED',
        message: `the relay cannot listen on /ip4/127.0.0.1/tcp/${port}${kind}: EADDRINUSE: address already in use 127.0.0.1:${port}`,
      })
      const again = createServer().listen(other, '127.0.0.1')
      await once(again, 'listening')
      again.close()
    },
  )

  test('it announces what it is told to, with its id', async () => {
    const relay = await testRelay({ announce: ['/dns4/relay.example/tcp/443/wss'] })
    expect(relay.addresses()).toEqual([`/dns4/relay.example/tcp/443/wss/p2p/${relay.id}`])
  })

  test.each([
    [{ listen: [] }, 'INVALID_OPTION'],
    [{ listen: ['127.0.0.1:9090'] }, 'INVALID_ADDRESS'],
    [{ listen: ['/ip4/127.0.0.1/udp/0/webrtc-direct'] }, 'INVALID_OPTION'],
    [{ listen: ['/ip4/127.0.0.1/tcp/0/tls/ws'] }, 'INVALID_OPTION'],
    [{ listen: ['/dns4/relay.example/tcp/0'] }, 'INVALID_OPTION'],
    [{ announce: ['wss://relay.example'] }, 'INVALID_ADDRESS'],
    [{ announce: ['/dns4/relay.example'] }, 'INVALID_OPTION'],
    [
      { announce: ['/dns4/a.example/tcp/443/wss/p2p/12D3KooWPgitE6cKQWySX3cQs2EpznERpHfqAn7GYP5fFEZKQXg8'] },
      'INVALID_OPTION',
    ],
    [{ meshes: 'demo' }, 'INVALID_OPTION'],
    [{ meshes: ['*'] }, 'INVALID_NAME'],
    [{ limits: { maxPeers: 5 } }, 'INVALID_OPTION'],
    [{ seed: new Uint8Array(31) }, 'INVALID_IDENTITY'],
    [{ seed: new Uint8Array(32), identityFile: '/tmp/x' }, 'INVALID_OPTION'],
  ])('the options %j are refused with %s', async (options, code) => {
    await expect(createRelay({ listen: LOOPBACK, ...(options as object) })).rejects.toMatchObject({ code })
  })

  test('fourteen connections at once from one address are all taken', async () => {
    const relay = await testRelay()
    const peers = await Promise.all(
      Array.from({ length: 14 }, (_, i) => testPeer([relay], { dial: i % 2 ? 'ws' : 'tcp' })),
    )
    await until(() => relay.stats().peers === 14, [relay, 'peer:connect'])
    expect(peers.every(peer => peer.node.getConnections().length === 1)).toBe(true)
  })

  test('connections beyond the limit are refused, and taken again when there is room', async () => {
    const relay = await testRelay({ limits: { maxConnections: 2 } })
    const first = await testPeer([relay])
    await testPeer([relay])
    await until(() => relay.stats().connections === 2, [relay, 'peer:connect'])
    await expect(testPeer([relay])).rejects.toThrow()
    const left = nextDisconnect(relay)
    await first.node.stop()
    await left
    await testPeer([relay])
  })

  test('closing it tells its peers, frees its ports, and may be done twice', async () => {
    const relay = await testRelay()
    const peer = await testPeer([relay])
    const port = portOf(addressOf(relay, 'ws'))
    const lost = until(() => peer.node.getConnections().length === 0, [peer.node, 'peer:disconnect'])
    await Promise.all([relay.close(), relay.close()])
    await relay.close()
    await lost
    expect(relay.addresses()).toEqual([])
    const next = createServer().listen(port, '127.0.0.1')
    await once(next, 'listening')
    next.close()
  })

  test.each(['ws', 'tcp'] as const)('a %s socket that says nothing does not keep it from closing', async kind => {
    const relay = await testRelay()
    const socket = connect(portOf(addressOf(relay, kind)), '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    // By the time another peer is connected the silent socket has been accepted too.
    await testPeer([relay], { dial: kind })
    const closed = once(socket, 'close')
    await relay.close()
    await closed
  })

  test('a socket that says nothing is dropped after five seconds', async () => {
    const clock = new DrivenClock(Date.now())
    const relay = await testRelay({ clock })
    const socket = connect(portOf(addressOf(relay, 'ws')), '127.0.0.1')
    await once(socket, 'connect')
    const peer = await testPeer([relay], { dial: 'ws' })
    const closed = once(socket, 'close')
    await clock.advance(5_000)
    await closed
    expect(peer.node.getConnections()).toHaveLength(1)
  })
})

describe('the slots of a relay', () => {
  test('more peers than libp2p’s own limit of 15 get one', async () => {
    const relay = await testRelay()
    const peers = await Promise.all(Array.from({ length: 17 }, () => testPeer([relay], { reserve: true })))
    await Promise.all(peers.map(hasSlot))
    expect(relay.stats().reservations).toBe(17)
  })

  test('a peer beyond the limit gets none, and the slot of one that is gone is free half a minute later', async () => {
    const clock = new DrivenClock(Date.now())
    const relay = await testRelay({ clock, limits: { maxReservations: 1 } })
    const first = await testPeer([relay], { reserve: true })
    await hasSlot(first)
    const gone = nextDisconnect(relay)
    await first.node.stop()
    await gone
    await clock.advance(15_000)
    expect(relay.stats().reservations).toBe(1)
    await clock.advance(15_000)
    expect(relay.stats().reservations).toBe(0)
    await hasSlot(await testPeer([relay], { reserve: true }))
  })

  test('a peer that stays keeps its slot', async () => {
    const clock = new DrivenClock(Date.now())
    const relay = await testRelay({ clock })
    const peer = await testPeer([relay], { reserve: true })
    await hasSlot(peer)
    await clock.advance(60_000)
    expect(relay.stats().reservations).toBe(1)
  })

  test('a peer with a slot is reached through the relay by one without', async () => {
    const relay = await testRelay()
    const [ada, bob] = await Promise.all([testPeer([relay], { reserve: true }), testPeer([relay])])
    await hasSlot(ada)
    const address = multiaddr(`${addressOf(relay, 'tcp')}/p2p-circuit/p2p/${ada.id}`)
    const connection = await bob.node.dial(address)
    expect(connection.remotePeer.toString()).toBe(ada.id)
    expect(connection.limits).toBeDefined()
    expect(await bob.node.services.ping.ping(address)).toBeGreaterThanOrEqual(0)
  })
})

/** Resolves when a peer has left the relay. */
function nextDisconnect(relay: Relay): Promise<unknown> {
  return new Promise(resolve => relay.addEventListener('peer:disconnect', resolve, { once: true }))
}
