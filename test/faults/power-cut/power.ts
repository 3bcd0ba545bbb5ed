/** Parties under a trace, whose disks lose what was not synced when they are killed. */

import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StageOptions } from '../parties.ts'
import type { Part } from '../party.ts'
import { Party } from '../party-process.ts'
import { Disk } from './disk.ts'
import { readSteps, strace } from './strace.ts'

/** How the stores of parties sync. */
export type Synchronous = 'FULL' | 'NORMAL' | 'OFF'

/** What a party is started with so that its store syncs in a way, and says so where it is not the store's own. */
export const planted = (synchronous: Synchronous) =>
  synchronous === 'FULL'
    ? {}
    : { options: ['--import', join(import.meta.dirname, 'plant.ts')], env: { AFP_SYNCHRONOUS: synchronous } }

/** How much longer a sync takes, ms: so that the power goes in the middle of one at times. */
export const SLOW = 10

/** What a store in SQLite consists of. */
const ENDS = ['', '-wal', '-journal']

/** The file of a party's store. */
export const storeOf = ({ role, folder }: Part): string => join(folder, `${role}.db`)

/** See the head of this file. */
export class Power implements StageOptions {
  readonly #folder: string
  readonly #synchronous: Synchronous
  readonly #survives: () => boolean
  readonly #traces = new Map<Party, string>()
  readonly #disks = new Map<Party, Disk>()
  /** How many changes were lost, of those that no sync had followed. */
  lost = 0
  #count = 0

  private constructor(folder: string, synchronous: Synchronous, survives: () => boolean) {
    this.#folder = folder
    this.#synchronous = synchronous
    this.#survives = survives
  }

  /** @param survives - whether a change does that was not synced */
  static async of(synchronous: Synchronous, survives: () => boolean): Promise<Power> {
    return new Power(await mkdtemp(join(tmpdir(), 'traces-')), synchronous, survives)
  }

  readonly make = (): Party => {
    const trace = join(this.#folder, `${++this.#count}`)
    const party = new Party('party.ts', [], strace(trace, { slow: SLOW }), planted(this.#synchronous))
    this.#traces.set(party, trace)
    return party
  }

  readonly entering = (party: Party, part: Part): void => {
    if (this.#synchronous !== 'FULL' && !party.lines.includes(`planted ${this.#synchronous}`))
      throw new Error('the store syncs as it always does')
    this.#disks.set(party, new Disk(ENDS.map(end => storeOf(part) + end)))
  }

  readonly killed = (party: Party): void => {
    const disk = this.#disks.get(party)
    if (disk === undefined) return
    for (const step of readSteps(this.#traces.get(party) as string)) disk.apply(step)
    disk.fail(() => {
      const survives = this.#survives()
      if (!survives) this.lost++
      return survives
    })
    rmSync(this.#traces.get(party) as string)
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
