/** One end of a pair in a process of its own: it sends, or it takes what is sent. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { answerCalls } from '../../e2e/fixtures/process.ts'
import { cpuTime, profiled } from './figures.ts'
import {
  Arrivals,
  contentOf,
  type Extent,
  pump,
  type Queued,
  queue,
  roundTrips,
  SendWindow,
  type Spell,
} from './flow.ts'
import type { Place, Receiving, Sending } from './peers/adapter.ts'
import { PEERS, type Peer } from './peers/peers.ts'

const arrivals = new Arrivals()
const window = new SendWindow()
let receiving: Receiving | undefined
let sending: Sending | undefined
let profiling: { readonly stop: () => void; readonly written: Promise<void> } | undefined

const adapterOf = ({ peer }: Place) => (PEERS[peer] as Peer).adapter()

/** What a run of messages is like. */
export interface Run {
  readonly mode: string
  readonly bytes: number
  readonly window: number
  readonly extent: Extent
  /** Where to leave a processor profile. */
  readonly profile?: string | undefined
}

/** What a process has of the memory, bytes. */
export interface Memory {
  /** Objects and buffers, after garbage is collected. */
  readonly heap: number
  readonly rss: number
}

let collect: (() => void) | undefined

answerCalls({
  receive: async (place: Place) => {
    await mkdir(place.folder, { recursive: true })
    receiving = await (await adapterOf(place)).receive(place, () => arrivals.arrived())
    return receiving.address
  },
  send: async (place: Place, address: unknown) => {
    sending = await (await adapterOf(place)).send(place, address, window)
  },
  /** The recipient begins to count; tells its processor time so far. */
  begin: ({ window, profile }: Run) => {
    arrivals.reset()
    receiving?.begin(window)
    if (profile !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>()
      profiling = { stop: resolve, written: profiled(join(profile, 'recipient.cpuprofile'), () => promise) }
    }
    return cpuTime()
  },
  /** The recipient tells its processor time so far, once so many came and are done with. */
  end: async (wanted: number) => {
    await arrivals.end(wanted, receiving?.settled)
    const cpu = cpuTime()
    profiling?.stop()
    await profiling?.written
    profiling = undefined
    return cpu
  },
  /** The sender sends; tells how many, and the processor time of that. */
  messages: async ({ mode, bytes, window: size, extent, profile }: Run) => {
    const flow = (sending as Sending).flow(mode)
    window.reset(size)
    const cpu = cpuTime()
    const run = (): Promise<number> => pump(flow, window, contentOf(bytes), extent)
    const sent = await (profile === undefined ? run() : profiled(join(profile, 'sender.cpuprofile'), run))
    return { sent, cpu: cpuTime() - cpu }
  },
  roundTrips: ({ mode, bytes }: Run, spell: Spell) => {
    window.reset(1)
    return roundTrips((sending as Sending).flow(mode), contentOf(bytes), spell)
  },
  left: () => sending?.left?.(),
  /** Keeps so many that nobody takes, a window at a time. */
  queue: (queued: Queued, mode: string) => queue(async content => sending?.queue?.(content, mode), queued),
  /** Opens what is kept, once more where it is open here; ms. */
  open: async (place: Place) => {
    await sending?.close?.()
    const adapter = await adapterOf(place)
    const start = performance.now()
    await adapter.open?.(place)
    return performance.now() - start
  },
  memory: (): Memory => {
    if (collect === undefined) {
      setFlagsFromString('--expose-gc')
      collect = runInNewContext('gc') as () => void
    }
    // Of buffers that are garbage only the next collection knows: the first one leaves them to a thread of its own.
    collect()
    collect()
    const { heapUsed, external, rss } = process.memoryUsage()
    return { heap: heapUsed + external, rss }
  },
})
