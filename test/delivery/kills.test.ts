/** Real processes, real disks, kill -9 at any moment: what a send has promised is there, once, in order. */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import { decode } from '../../src/message/codec.ts'
import { contentFromWire } from '../../src/message/content.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'

const KILLS = 25
const seed = Number(process.env.AFP_SEED ?? 1)

let folder: string
const parties: Party[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kills-'))
})
afterEach(async () => {
  await Promise.all(parties.splice(0).map(party => party.kill()))
  await rm(folder, { recursive: true, force: true })
})

/** A process, and what it says. */
class Party {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #listeners = new Set<(line: string) => void>()
  readonly lines: string[] = []

  constructor(...args: string[]) {
    const script = join(import.meta.dirname, 'kills/party.ts')
    const options = ['--conditions=afp-source', '--disable-warning=ExperimentalWarning']
    this.#child = spawn(process.execPath, [...options, script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', line => {
      this.lines.push(line)
      for (const listener of this.#listeners) listener(line)
    })
    this.#ended = new Promise(resolve => this.#child.once('close', () => resolve()))
    parties.push(this)
  }

  /** The first line, from now on or before, that matches. */
  says(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (line: string): void => {
        const match = pattern.exec(line)
        if (match === null) return
        this.#listeners.delete(look)
        resolve(match)
      }
      this.#listeners.add(look)
      for (const line of this.lines.slice(from)) look(line)
      void this.#ended.then(() => reject(new Error(`it ended without ${pattern}: ${this.lines.slice(-3)}`)))
    })
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}

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
    const receive = (): Party => new Party('receiver', folder, `${port}`)
    let receiver = receive()
    const [, , address = ''] = await receiver.says(/^ready (\S+) (\S+)$/)
    let next = 1
    const kept: number[] = []
    const send = (): Party => new Party('sender', folder, address, `${next}`)
    const harvest = (party: Party): void => {
      for (const line of party.lines) {
        const [word, n] = line.split(' ')
        if (word === 'try') next = Number(n) + 1
        if (word === 'kept') kept.push(Number(n))
      }
    }
    let sender = send()
    for (let i = 0; i < KILLS; i++) {
      // At a message of its choice, and then within it.
      const party = victim === 'sender' ? sender : receiver
      const at = sender.lines.length + Math.floor(random.float() * 40)
      while (sender.lines.length <= at) await sender.says(/./, sender.lines.length)
      await party.kill()
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
