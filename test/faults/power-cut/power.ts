/** Parties under a trace, whose disks lose what was not synced when they are killed. */

import { readFileSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Random } from '../../../src/common/random.ts'
import type { StageOptions } from '../parties.ts'
import type { Part } from '../party.ts'
import { Party } from '../party-process.ts'
import { Disk } from './disk.ts'
import { readTrace, type Step, strace } from './strace.ts'

/** How the stores of parties sync. */
export type Synchronous = 'FULL' | 'NORMAL' | 'OFF'

/** What a store in SQLite consists of. */
const ENDS = ['', '-wal', '-journal']

/** The file of a party's store. */
export const storeOf = ({ role, folder }: Part): string => join(folder, `${role}.db`)

/** See the head of this file. */
export class Power implements StageOptions {
  readonly #folder: string
  readonly #synchronous: Synchronous
  readonly #random: Random
  readonly #traces = new Map<Party, string>()
  readonly #disks = new Map<Party, Disk>()
  /** How many changes were lost, of those that no sync had followed. */
  lost = 0
  #count = 0

  private constructor(folder: string, synchronous: Synchronous, random: Random) {
    this.#folder = folder
    this.#synchronous = synchronous
    this.#random = random
  }

  /** @param random - what decides which changes survive that were not synced */
  static async of(synchronous: Synchronous, random: Random): Promise<Power> {
    return new Power(await mkdtemp(join(tmpdir(), 'traces-')), synchronous, random)
  }

  readonly make = (): Party => {
    const trace = join(this.#folder, `${++this.#count}`)
    const planted = this.#synchronous !== 'FULL'
    const party = new Party('party.ts', [], strace(trace), {
      options: planted ? ['--import', join(import.meta.dirname, 'plant.ts')] : [],
      env: { AFP_SYNCHRONOUS: this.#synchronous },
    })
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
    for (const step of this.steps(party)) disk.apply(step)
    // Sometimes all is gone that can be, sometimes a part of it, in any order.
    const chance = this.#random.float() < 0.5 ? 0 : this.#random.float()
    disk.fail(() => {
      const survives = this.#random.float() < chance
      if (!survives) this.lost++
      return survives
    })
    rmSync(this.#traces.get(party) as string)
  }

  /** What a party has done so far. */
  steps(party: Party): Step[] {
    return readTrace(readFileSync(this.#traces.get(party) as string, 'latin1'))
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
