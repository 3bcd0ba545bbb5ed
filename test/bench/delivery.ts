/**
 * What delivery costs between two processes of this machine, beside a raw libp2p stream in the same run: messages a
 * second, as many under way as may be, and the round trip of one at a time, for each guarantee and each store.
 *
 * `node --conditions=afp-source test/bench/delivery.ts [rounds]` prints a table and writes JSON. The cases take turns, so
 * that what else the machine does meets all of them; figures are medians over the rounds, and so are the ratios, each
 * taken within its round. `BENCH_CASES`, a regular expression, picks cases, and `BENCH_PROFILE` names a folder for
 * processor profiles of both sides while messages are under way.
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Helper, projectFile } from '../../e2e/fixtures/process.ts'
import type { Agent } from '../../src/agent/agent.ts'
import type { Guarantee } from '../../src/message/message.ts'
import { agentOf, DURABILITY, STORES } from './agents.ts'
import { cpuTime, median, profiled, quantile, surroundings } from './figures.ts'
import { type RawSender, rawSender } from './raw-stream.ts'

const GUARANTEES: readonly Guarantee[] = ['at-most-once', 'at-least-once', 'exactly-once']
/** Bytes of a message's content, and of a raw frame. */
const BYTES = 1_024
/** Messages under way at a time: sent, and where the guarantee tells, not processed yet. */
const UNDER_WAY = 1_024
/** Frames of one write of the raw stream; an agent writes what was sent in one turn at once. */
const RAW_WRITE = 32
/** How long each case is measured in a round, ms; for a profile longer, since what is compiled shows late. */
const MESSAGES_FOR = process.env.BENCH_PROFILE === undefined ? 2_000 : 8_000
const ROUND_TRIPS_FOR = 500

/** One way to bring messages to the other process. */
interface Case {
  readonly name: string
  /** Sends until the time is over; resolves with how many when all that is known of them is known. */
  messages(ms: number): Promise<number>
  roundTrip(): Promise<unknown>
}

/** What a case gave in one round. */
interface Figures {
  /** Messages a second. */
  readonly rate: number
  /** Processor time of a message, µs: this side and the other. */
  readonly senderCpu: number
  readonly recipientCpu: number
  /** Of a round trip, ms. */
  readonly p50: number
  readonly p95: number
}

const rounds = Number(process.argv[2] ?? 5)
if (!Number.isInteger(rounds) || rounds < 1) throw new Error('the number of rounds is a whole number above 0')
const profiles = process.env.BENCH_PROFILE

const content = new Uint8Array(BYTES).map((_, i) => i * 31)

function agentCase(agent: Agent, to: string, guarantee: Guarantee, store: string): Case {
  const send = async (): Promise<void> => {
    const receipt = await agent.send(to, content, { guarantee })
    if (guarantee !== 'at-most-once') await receipt.processed
  }
  return {
    name: `${guarantee}, ${store}`,
    messages: async ms => {
      const end = performance.now() + ms
      let sent = 0
      const lane = async (): Promise<void> => {
        while (performance.now() < end) {
          sent++
          await send()
        }
      }
      await Promise.all(Array.from({ length: UNDER_WAY }, lane))
      return sent
    },
    roundTrip: () => agent.request(to, content, { guarantee, timeout: 30_000 }),
  }
}

function rawCase(raw: RawSender): Case {
  const wanted = Uint8Array.from(content)
  wanted[0] = 1
  const frames = Array.from({ length: RAW_WRITE }, () => content)
  return {
    name: 'raw stream',
    messages: async ms => {
      const end = performance.now() + ms
      let sent = 0
      for (; performance.now() < end; sent += RAW_WRITE) await raw.write(frames)
      return sent
    },
    roundTrip: () => raw.echo(wanted),
  }
}

async function measured({ name, messages, roundTrip }: Case, recipient: Helper): Promise<Figures> {
  const folder = profiles === undefined ? undefined : join(profiles, name.replaceAll(/\W+/g, '-'))
  const peerCpu = await recipient.call<number>('begin', folder)
  const cpu = cpuTime()
  const start = performance.now()
  const run = (): Promise<number> => messages(MESSAGES_FOR)
  const sent = await (folder === undefined ? run() : profiled(join(folder, 'sender.cpuprofile'), run))
  const end = await recipient.call<{ count: number; cpu: number }>('end', sent)
  const seconds = (performance.now() - start) / 1_000
  const ownCpu = cpuTime() - cpu
  if (end.count !== sent) throw new Error(`${name}: ${end.count} came of ${sent}`)

  const times: number[] = []
  const over = performance.now() + ROUND_TRIPS_FOR
  while (performance.now() < over) {
    const asked = performance.now()
    await roundTrip()
    times.push(performance.now() - asked)
  }
  return {
    rate: sent / seconds,
    senderCpu: (ownCpu / sent) * 1_000,
    recipientCpu: ((end.cpu - peerCpu) / sent) * 1_000,
    p50: quantile(times, 0.5),
    p95: quantile(times, 0.95),
  }
}

const folder = await mkdtemp(join(tmpdir(), 'afp-bench-'))
const about = { ...(await surroundings(folder)), bytes: BYTES, underWay: UNDER_WAY, rounds, durability: DURABILITY }
const recipient = new Helper('test/bench/delivery-peer.ts')
const there = await recipient.call<{ raw: string; agents: { id: string; addresses: string[] }[] }>('start', folder)
const raw = await rawSender(there.raw)
const cases = [rawCase(raw)]
const agents: Agent[] = []
const over = new AbortController()
for (const [i, store] of STORES.entries()) {
  const { id, addresses } = there.agents[i] as (typeof there.agents)[number]
  const agent = await agentOf('sender', store, folder, { peers: addresses }, over.signal)
  agents.push(agent)
  await agent.waitFor(id)
  cases.push(...GUARANTEES.map(guarantee => agentCase(agent, id, guarantee, store)))
}
const picked = cases.filter(({ name }, i) => i === 0 || new RegExp(process.env.BENCH_CASES ?? '').test(name))

const loads = [loadavg()[0]]
// What is compiled late, or measured for the first time, is nobody's figure.
for (const one of picked) {
  await one.messages(2_000)
  for (let i = 0; i < 50; i++) await one.roundTrip()
}
const figures = new Map<string, Figures[]>(picked.map(({ name }) => [name, []]))
for (let round = 0; round < rounds; round++) {
  for (const one of picked) figures.get(one.name)?.push(await measured(one, recipient))
  loads.push(loadavg()[0])
}

const base = figures.get('raw stream') as Figures[]
const summary = picked.map(({ name }) => {
  const own = figures.get(name) as Figures[]
  const middle = (of: (figures: Figures) => number): number => median(own.map(of))
  const ratio = (of: (figures: Figures) => number): number =>
    median(own.map((one, i) => of(one) / of(base[i] as Figures)))
  return {
    name,
    rate: middle(({ rate }) => rate),
    rateRatio: ratio(({ rate }) => rate),
    senderCpu: middle(({ senderCpu }) => senderCpu),
    recipientCpu: middle(({ recipientCpu }) => recipientCpu),
    cpuRatio: ratio(({ senderCpu, recipientCpu }) => senderCpu + recipientCpu),
    p50: middle(({ p50 }) => p50),
    p95: middle(({ p95 }) => p95),
    p50Ratio: ratio(({ p50 }) => p50),
  }
})

over.abort()
await recipient.kill()
for (const agent of agents) await agent.close()
await raw.stop()
await rm(folder, { recursive: true })

for (const [what, value] of Object.entries({
  ...about,
  durability: '',
  load: loads.map(load => load?.toFixed(1)).join(' '),
}))
  if (value !== '') console.log(`${what}: ${value}`)
for (const store of STORES) console.log(`durability, ${store}: ${DURABILITY[store]}`)
const HEADS = ['messages/s', 'x raw', 'µs sender', 'µs recip.', 'x raw', 'p50 ms', 'x raw', 'p95 ms']
console.log(`\n${''.padEnd(24)}${HEADS.map(head => head.padStart(11)).join('')}`)
for (const { name, ...one } of summary) {
  const cells = [
    one.rate.toFixed(0),
    one.rateRatio.toFixed(3),
    one.senderCpu.toFixed(0),
    one.recipientCpu.toFixed(0),
    one.cpuRatio.toFixed(1),
    one.p50.toFixed(2),
    one.p50Ratio.toFixed(1),
    one.p95.toFixed(2),
  ]
  console.log(`${name.padEnd(24)}${cells.map(cell => cell.padStart(11)).join('')}`)
}
const path = projectFile('test-results/bench-delivery.json')
await mkdir(projectFile('test-results'), { recursive: true })
await writeFile(
  path,
  `${JSON.stringify({ ...about, loads, summary, rounds: Object.fromEntries(figures) }, undefined, 2)}\n`,
)
console.log(`\nwritten to ${path}`)
process.exit()
