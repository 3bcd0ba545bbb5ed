/** The workers of a workload, in two processes, and the one that has them work, in this one. */

import { Helper } from '../../../e2e/fixtures/process.ts'
import type { Kind } from '../targets.ts'
import { until } from '../until.ts'
import type { Made } from '../workload-process.ts'
import { agentMember } from './agents.ts'
import type { Duty, Member } from './member.ts'
import { plainMember } from './plain.ts'

/** How long no connection is made where none will be, ms. */
const CALM = 1_500
/** How long that is waited for, ms. */
const PATIENCE = 90_000

/** See the head of this file. */
export class Crew {
  readonly lead: Member
  readonly #helpers: readonly Helper[]
  readonly #places: ReadonlyMap<string, Helper>
  readonly #addresses: Readonly<Record<string, unknown>>
  readonly #met = new Set<string>()

  private constructor(
    lead: Member,
    helpers: readonly Helper[],
    places: ReadonlyMap<string, Helper>,
    addresses: object,
  ) {
    this.lead = lead
    this.#helpers = helpers
    this.#places = places
    this.#addresses = { ...addresses }
  }

  /** Names of so many workers; one after the other they are in different processes. */
  static names(count: number): string[] {
    return Array.from({ length: count }, (_, i) => `worker-${i + 1}`)
  }

  static async start(kind: Kind, count: number, folder: string): Promise<Crew> {
    const lead = kind === 'plain' ? await plainMember('lead') : await agentMember(kind, 'lead', folder)
    const helpers = Array.from({ length: Math.min(2, count) }, () => new Helper('test/bench/workload-process.ts'))
    const places = new Map<string, Helper>()
    const addresses: Record<string, unknown> = { lead: lead.address }
    for (const [i, helper] of helpers.entries()) {
      const own = Crew.names(count).filter((_, worker) => worker % helpers.length === i)
      for (const name of own) places.set(name, helper)
      const made: Made[] = own.map(name => ({ kind, name, folder }))
      Object.assign(addresses, await helper.call<object>('make', made))
    }
    return new Crew(lead, helpers, places, addresses)
  }

  /** Tells who does what; each gets to know the one it sends to, which stays the same. */
  async assign(duties: Readonly<Record<string, Duty>>): Promise<void> {
    for (const [name, duty] of Object.entries(duties)) {
      await this.#call(name, 'serve', duty)
      const { next } = duty
      if (next === undefined || this.#met.has(name)) continue
      this.#met.add(name)
      await this.#call(name, 'meet', { [next]: this.#addresses[next] })
    }
  }

  /** The lead gets to know workers. */
  meet(names: readonly string[]): Promise<void> {
    return this.lead.meet(Object.fromEntries(names.map(name => [name, this.#addresses[name]])))
  }

  /** Resolves once no more connections are made: agents get to know each other, and link up, by themselves. */
  async settled(): Promise<void> {
    const start = performance.now()
    let [before, since] = [-1, start]
    await until(async () => {
      const all = await Promise.all(this.#helpers.map(helper => helper.call<number>('links')))
      const links = all.reduce((sum, each) => sum + each, this.lead.links())
      if (links !== before) since = performance.now()
      before = links
      const now = performance.now()
      return now - since > CALM || now - start > PATIENCE
    }, 200)
  }

  async end(): Promise<void> {
    await this.lead.close()
    for (const helper of this.#helpers) await helper.kill()
  }

  #call(name: string, what: string, given: unknown): Promise<unknown> {
    return (this.#places.get(name) as Helper).call(what, name, given)
  }
}
