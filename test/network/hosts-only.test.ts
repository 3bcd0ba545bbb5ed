/** What a node dials: hosts, and nothing that an address leads to. */

import { Resolver } from 'node:dns/promises'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createIdentity } from '../../src/identity/keys.ts'
import { platformTransports } from '../../src/network/defaults.ts'
import { createNode } from '../../src/network/node.ts'

test.each<[string, (socket: string) => string]>([
  ['an address that stands for others', () => '/dnsaddr/a.example/tcp/1/ws'],
  ['a socket of this machine', socket => socket],
])('Whatever asks for it, %s is not dialled, and nothing is looked up', async (_what, addressTo) => {
  const folder = await mkdtemp(join(tmpdir(), 'afp-hosts-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 's')
  const socket = `/unix/${encodeURIComponent(path)}`
  const asked: string[] = []
  const resolveTxt = vi.spyOn(Resolver.prototype, 'resolveTxt').mockImplementation(async name => {
    asked.push(name)
    return [[`dnsaddr=${socket}`]]
  })
  onTestFinished(() => resolveTxt.mockRestore())
  let came = 0
  const server = createServer(knock => {
    came++
    knock.destroy()
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  onTestFinished(() => void server.close())
  const { seed } = await createIdentity()
  const node = await createNode({ seed, transports: platformTransports([]), listen: [] })
  onTestFinished(() => Promise.resolve(node.stop()))
  await node.start()
  await expect(node.dial(multiaddr(addressTo(socket)))).rejects.toThrow()
  expect([asked, came]).toEqual([[], 0])
})
