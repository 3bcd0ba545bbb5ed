/** Real processes, real disks, kill -9 at any moment: what a send has promised is there, once, in order. */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import { decode } from '../../src/message/codec.ts'
import { contentFromWire } from '../../src/message/content.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import { Party } from './party-process.ts'

const KILLS = 25
const seed = Number(process.env.AFP_SEED ?? 1)

let folder: string
const parties: Party[] = []
const party = (...args: string[]): Party => {
  const started = new Party('kills/party.ts', args)
  parties.push(started)
  return started
}
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kills-'))
})
afterEach(async () => {
  await Promise.all(parties.splice(0).map(started => started.kill()))
  await rm(folder, { recursive: true, force: true })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

/** What the recipient noted, in its order. */
async function noted(): Promise<number[]> {
  const store = await sqliteStore(join(folder, 'receiver.db'))
  const rows = await store.range('app', { prefix: ['noted'] })
  await store.close()
  return rows.map(({ value }) => contentFromWire(decode(value), 1_024) as number)
}

describe.each([['sender'], ['receiver']] as const)('%s killed', victim => {
  test(`${KILLS} times: nothing that was kept is lost, nothing is noted twice or out of order`, {
    timeout: 240_000,
  }, async () => {
    const random = seededRandom(seed)
    const port = await freePort()
    const receive = (): Party => party('receiver', folder, `${port}`)
    let receiver = receive()
    const [, , address = ''] = await receiver.says(/^ready (\S+) (\S+)$/)
    let next = 1
    const kept: number[] = []
    const send = (): Party => party('sender', folder, address, `${next}`)
    const harvest = (killed: Party): void => {
      for (const line of killed.lines) {
        const [word, n] = line.split(' ')
        if (word === 'try') next = Number(n) + 1
        if (word === 'kept') kept.push(Number(n))
      }
    }
    let sender = send()
    for (let i = 0; i < KILLS; i++) {
      // At a message of its choice, and then within it.
      const chosen = victim === 'sender' ? sender : receiver
      const at = sender.lines.length + Math.floor(random.float() * 40)
      while (sender.lines.length <= at) await sender.says(/./, sender.lines.length)
      await chosen.kill()
      if (victim === 'sender') {
        harvest(sender)
        sender = send()
        await sender.says(/^kept/)
      } else {
        receiver = receive()
        await receiver.says(/^ready/)
      }
    }
    sender.tell('enough')
    await sender.says(/^done$/)
    harvest(sender)
    await receiver.kill()
    const got = await noted()
    expect(kept.length, `seed ${seed}`).toBeGreaterThan(KILLS)
    expect(new Set(got).size).toBe(got.length)
    expect(got).toEqual(got.toSorted((a, b) => a - b))
    expect(kept.filter(n => !got.includes(n))).toEqual([])
  })
})
