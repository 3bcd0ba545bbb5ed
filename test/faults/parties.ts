/** Processes that are killed, and what they leave on their disks. */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode } from '../../src/message/codec.ts'
import { contentFromWire } from '../../src/message/content.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Part } from './party.ts'
import { Party } from './party-process.ts'

/** Everything that runs in a test, and the folder for its stores. */
export class Stage {
  readonly folder: string
  readonly #parties = new Set<Party>()
  #spare: Party

  private constructor(folder: string) {
    this.folder = folder
    this.#spare = this.#party()
  }

  static async open(): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), 'faults-')))
  }

  /** A process in a part. The one after it is already started, so that what is lost between two lives is little. */
  async enter(part: Part): Promise<Party> {
    const party = this.#spare
    this.#spare = this.#party()
    await party.says(/^standby$/)
    party.tell(JSON.stringify(part))
    return party
  }

  /** What the recipient noted, in its order. */
  async noted(): Promise<number[]> {
    const store = await sqliteStore(join(this.folder, 'receiver.db'))
    const rows = await store.range('app', { prefix: ['noted'] })
    await store.close()
    return rows.map(({ value }) => contentFromWire(decode(value), 1_024) as number)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#parties].map(party => party.kill()))
    await rm(this.folder, { recursive: true, force: true })
  }

  #party(): Party {
    const party = new Party('party.ts')
    this.#parties.add(party)
    return party
  }
}

/** What a sender was promised. */
export interface Sent {
  /** What `send` resolved for. */
  readonly kept: readonly number[]
  /** The requests that were answered, with the place of the note that the reply tells of. */
  readonly replied: readonly (readonly [n: number, place: number])[]
}

/** What a sender's lines say, and the number to go on with. */
export function sentBy(party: Party): Sent & { next: number } {
  const after = (word: string): number[][] =>
    party.lines.flatMap(line => (line.startsWith(`${word} `) ? [line.split(' ').slice(1).map(Number)] : []))
  const first = ([n = Number.NaN]: number[]): number => n
  return {
    kept: after('kept').map(first),
    replied: after('replied').map(([n = Number.NaN, place = Number.NaN]) => [n, place]),
    next: first(after('try').at(-1) ?? [0]) + 1,
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}
