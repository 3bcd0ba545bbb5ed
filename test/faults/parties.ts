/** Processes that are killed, and what they leave on their disks. */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode } from '../../src/message/codec.ts'
import { contentFromWire } from '../../src/message/content.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Left, Sent } from './judge.ts'
import type { Part } from './party.ts'
import { Party } from './party-process.ts'

/** What else happens where processes are killed. */
export interface StageOptions {
  /** Makes a process that waits for its part. */
  readonly make?: () => Party
  /** One is about to get its part, and has touched no file yet. */
  readonly entering?: (party: Party, part: Part) => void
  /** One is dead. */
  readonly killed?: (party: Party) => void
}

/** Everything that runs in a test, and the folder for its stores. */
export class Stage {
  readonly folder: string
  readonly #parties = new Set<Party>()
  readonly #world: StageOptions
  #spare: Party

  private constructor(folder: string, world: StageOptions) {
    this.folder = folder
    this.#world = world
    this.#spare = this.#party()
  }

  static async open(world: StageOptions = {}): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), 'faults-')), world)
  }

  /** A process in a part. The one after it is already started, so that what is lost between two lives is little. */
  async enter(part: Part): Promise<Party> {
    const party = this.#spare
    this.#spare = this.#party()
    await party.says(/^standby$/)
    this.#world.entering?.(party, part)
    party.tell(JSON.stringify(part))
    return party
  }

  /** Kills some at once. */
  async kill(...parties: readonly Party[]): Promise<void> {
    await Promise.all(parties.map(party => party.kill()))
    for (const party of parties) {
      this.#parties.delete(party)
      this.#world.killed?.(party)
    }
  }

  /** What is on the disks of those that were killed. */
  async left(): Promise<Left> {
    const waiting: Record<string, number> = {}
    let noted: Left['noted'] = []
    for (const role of ['sender', 'receiver']) {
      const store = await sqliteStore(join(this.folder, `${role}.db`))
      for (const table of ['outbox', 'inbox']) waiting[`${table} of the ${role}`] = await store.count(table)
      if (role === 'receiver') {
        const rows = await store.range('app', { prefix: ['noted'] })
        noted = rows.map(({ key, value }) => [String(key[1]), contentFromWire(decode(value), 1_024) as number])
      }
      await store.close()
    }
    return { noted, waiting }
  }

  async close(): Promise<void> {
    await this.kill(...this.#parties)
    await rm(this.folder, { recursive: true, force: true })
  }

  #party(): Party {
    const party = this.#world.make?.() ?? new Party('party.ts')
    this.#parties.add(party)
    return party
  }
}

/** What a sender's lines say. They are read as far as they have come. */
export class Said implements Sent {
  readonly kept: number[] = []
  readonly replied: (readonly [n: number, place: number])[] = []
  /** The last number that was tried. */
  last = 0
  /** How many were processed. */
  processed = 0
  /** What `send` has resolved for, and the recipient has not said to be processed. */
  readonly inFlight = new Set<number>()
  readonly #party: Party
  #read = 0

  constructor(party: Party) {
    this.#party = party
  }

  /** Reads what has come since. */
  read(): this {
    const { lines } = this.#party
    for (; this.#read < lines.length; this.#read++) {
      const [word, n = Number.NaN, place = Number.NaN] = (lines[this.#read] as string)
        .split(' ')
        .map((part, i) => (i === 0 ? part : Number(part))) as [string, number?, number?]
      if (word === 'try') this.last = n
      else if (word === 'replied') this.replied.push([n, place])
      else if (word === 'kept') {
        this.kept.push(n)
        this.inFlight.add(n)
      } else if (word === 'processed') {
        this.processed++
        this.inFlight.delete(n)
      }
    }
    return this
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}
