/**
 * Real processes, real disks, SIGKILL, cycle after cycle: a sender, a recipient and, for some, a relay between them. What
 * is killed is started again and goes on; in the end everything is waited for, and judged by what is on the disks.
 */

import { setTimeout } from 'node:timers/promises'
import type { Random } from '../../src/common/random.ts'
import { faultsOf, type Sent } from './judge.ts'
import { freePort, Said, type Stage } from './parties.ts'
import type { Part } from './party.ts'
import type { Party } from './party-process.ts'
import { GUARANTEES, PRIORITIES, waysOf } from './ways.ts'

/** Who is killed. Where it is the relay, or all, everything goes through the relay. */
export type Victim = 'sender' | 'recipient' | 'relay' | 'all'
export const VICTIMS: readonly Victim[] = ['sender', 'recipient', 'relay', 'all']

/** What is killed how often. */
export interface KillRunOptions {
  readonly victim: Victim
  readonly kills: number
  /** How many messages are on their way at each kill, at least: taken by `send`, and not known to be processed. */
  readonly inFlight: number
  readonly random: Random
  /** How much later than the line that it waited for a kill of those at work comes, at the most, ms. Default: at once. */
  readonly later?: number
  /** Is told of each kill, by how many there were. */
  readonly onKill?: (kills: number) => void
  /** Whether there were enough of them earlier than that. */
  readonly enough?: () => boolean
}

/** What came of it. */
export interface KillRun {
  readonly faults: readonly string[]
  /** How many messages were on their way at each kill. */
  readonly inFlight: readonly number[]
  /** How many were processed in each life before its kill. */
  readonly processed: readonly number[]
  /** How long each was let live that was killed as it started, beyond those above, ms; and how many could work by then. */
  readonly starts: readonly number[]
  readonly ready: number
  readonly counters: Readonly<Record<string, number>>
}

/** After how many kills of those at work comes one of those that start. */
const START_EVERY = 3
/** How long one that is killed as it starts may live, ms: until it has taken up what the earlier ones left, or nearly. */
const START_MS = 600
/** How many more may be on their way than have to be, so that there are enough of them while some are processed. */
const MORE = 200
/** How many lines a sender may say between something that is processed and the kill. */
const LINES = 300

/** Kills until there were so many kills, and judges. */
export async function killRun(stage: Stage, options: KillRunOptions): Promise<KillRun> {
  const cast = new Cast(stage, options)
  if (options.victim === 'recipient') {
    // While its store is given to it, or just before or after.
    const [first] = await cast.begin(cast.victims)
    await first?.party.says(first.opened)
    await cast.kill(cast.victims)
  }
  await cast.enter(cast.all)
  const { victims } = cast
  const inFlight: number[] = []
  const processed: number[] = []
  const starts: number[] = []
  let ready = 0
  const { random, kills, onKill, enough } = options
  while (inFlight.length < kills && enough?.() !== true) {
    processed.push(await cast.work())
    inFlight.push(cast.said.read().inFlight.size)
    await cast.kill(victims)
    onKill?.(inFlight.length)
    if (inFlight.length % START_EVERY === 0) {
      const ms = Math.floor(random.float() * START_MS)
      const started = await cast.begin(victims)
      // The moment of the kill is what is varied. Where all is slow nothing would be taken up by then.
      await Promise.all([setTimeout(ms), ...started.map(({ party, opened }) => party.says(opened))])
      await cast.kill(victims)
      starts.push(ms)
      if (started.every(({ party }) => party.lines.some(line => /^(ready|try) /.test(line)))) ready++
    }
    await cast.enter(victims)
  }
  await cast.settle()
  const { lives } = cast
  const ways = lives.flatMap(({ kept }) => kept.map(waysOf))
  const left = await stage.left()
  const counters = {
    kept: ways.length,
    ...Object.fromEntries(GUARANTEES.map(name => [name, ways.filter(({ guarantee }) => guarantee === name).length])),
    'second class': ways.filter(({ priority }) => priority === PRIORITIES[1]).length,
    'requests answered': lives.flatMap(({ replied }) => replied).length,
    noted: left.noted.length,
  }
  return { faults: faultsOf(lives, left), inFlight, processed, starts, ready, counters }
}

type Role = 'relay' | 'receiver' | 'sender'

/** Who is on the stage, and what they have said. */
class Cast {
  readonly all: readonly Role[]
  readonly victims: readonly Role[]
  readonly #stage: Stage
  readonly #options: KillRunOptions
  readonly #parties = new Map<Role, Party>()
  readonly #ports = new Map<Role, number>()
  readonly #lives: Said[] = []
  #relay = ''
  #receiver = ''
  #to = ''

  constructor(stage: Stage, options: KillRunOptions) {
    this.#stage = stage
    this.#options = options
    const { victim } = options
    this.all = victim === 'relay' || victim === 'all' ? ['relay', 'receiver', 'sender'] : ['receiver', 'sender']
    this.victims = victim === 'all' ? this.all : [victim === 'recipient' ? 'receiver' : victim]
  }

  get lives(): readonly Sent[] {
    return this.#lives.map(life => life.read())
  }

  /** What the sender that lives has said. */
  get said(): Said {
    return this.#lives.at(-1) as Said
  }

  /** Starts some, one after the other as they need each other, and waits until each can work. */
  async enter(roles: readonly Role[]): Promise<void> {
    for (const role of roles) {
      const party = await this.#enter(role)
      if (role === 'sender') continue
      const [, id = '', address = ''] = await party.says(/^ready (\S+) (\S+)$/)
      if (role === 'relay') this.#relay = address
      else {
        if (this.#to !== '' && this.#to !== id) throw new Error(`the recipient was ${this.#to} and is ${id}`)
        this.#to = id
        this.#receiver = address
      }
    }
  }

  /** Starts some, with what says that they are at it. */
  async begin(roles: readonly Role[]): Promise<{ party: Party; opened: RegExp }[]> {
    const begun: { party: Party; opened: RegExp }[] = []
    for (const role of roles) {
      begun.push({ party: await this.#enter(role), opened: role === 'relay' ? /^standby$/ : /^open$/ })
    }
    return begun
  }

  /**
   * Lets them work until something more is processed, then for some lines that the sender says, so that the kill comes in the
   * middle of whatever is done then, and until enough are on their way.
   * @returns how many were processed meanwhile
   */
  async work(): Promise<number> {
    const { random, inFlight, later = 0 } = this.#options
    const sender = this.#parties.get('sender') as Party
    const { said } = this
    const before = said.read().processed
    await sender.until(() => said.read().processed > before)
    const enough = sender.lines.length + Math.floor(random.float() * LINES)
    // What says the last line of a chunk is said with the rest of it: some may have been processed since.
    do {
      await sender.until(() => sender.lines.length >= enough && said.read().inFlight.size >= inFlight)
      if (later > 0) await setTimeout(random.float() * later)
    } while (said.read().inFlight.size < inFlight)
    return said.processed - before
  }

  async kill(roles: readonly Role[]): Promise<void> {
    await this.#stage.kill(...roles.map(role => this.#parties.get(role) as Party))
  }

  /** Waits until nothing is on its way any more, and kills them all. */
  async settle(): Promise<void> {
    // What the recipient still has to say is for a sender that is there.
    for (const role of ['sender', 'receiver'] as const) {
      const party = this.#parties.get(role) as Party
      party.tell('enough')
      await party.says(/^done$/)
    }
    await this.kill(this.all)
  }

  async #enter(role: Role): Promise<Party> {
    const party = await this.#stage.enter(await this.#part(role))
    this.#parties.set(role, party)
    if (role === 'sender') this.#lives.push(new Said(party))
    return party
  }

  async #part(role: Role): Promise<Part> {
    const { folder } = this.#stage
    const relayed = this.all.includes('relay')
    const relays = relayed ? [this.#relay] : []
    if (role === 'sender') {
      const first = Math.max(0, ...this.lives.map(({ last }) => last)) + 1
      const ahead = this.#options.inFlight + MORE
      return { role, folder, to: this.#to, peers: relayed ? [] : [this.#receiver], relays, first, ahead }
    }
    const port = this.#ports.get(role) ?? (await freePort())
    this.#ports.set(role, port)
    const address = `/ip4/127.0.0.1/tcp/${port}`
    if (role === 'relay') return { role, folder, listen: [`${address}/ws`] }
    return { role, folder, listen: relayed ? [] : [address], relays, unnamed: true }
  }
}
