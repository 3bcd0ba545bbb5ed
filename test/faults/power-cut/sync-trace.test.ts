/**
 * System calls of a real agent with a SQLite store: what it promises leaves it only when the row is written and a sync of
 * that file has returned. Between two messages nothing else is done, so that what is seen is theirs.
 */

import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../../src/agent/agent.ts'
import { createAgent } from '../../../src/agent/create-agent.ts'
import { Party } from '../party-process.ts'
import { planted, type Synchronous } from './power.ts'
import { type Kept, promiseOf, readSteps, type Step, strace, traceable } from './strace.ts'

const MESSAGES = 10
/** Content of what is sent, bytes: nothing else that leaves is as long. */
const LONG = 5_000
/** How long an acknowledgement is, bytes, on its way: pings and the windows of streams are shorter, cards and gossip longer. */
const ACKS = { least: 50, most: 80 }

let folder: string
let trace: string
let party: Party
let bob: Agent
let id: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'traced-'))
  trace = join(folder, 'trace')
  bob = await createAgent({ name: 'bob', mesh: 'traced', listen: ['/ip4/127.0.0.1/tcp/0'], guarantee: 'exactly-once' })
})
afterEach(async () => {
  await party.kill()
  await bob.close()
  rmSync(folder, { recursive: true })
})

async function start(synchronous: Synchronous): Promise<void> {
  const args = [folder, 'traced', bob.addresses[0] as string]
  party = new Party('power-cut/traced-party.ts', args, strace(trace), planted(synchronous))
  if (synchronous !== 'FULL') await party.says(new RegExp(`^planted ${synchronous}$`))
  const ready = await party.says(/^ready (\S+)$/)
  id = ready[1] as string
  await bob.waitFor(id)
}

/** Kills it, and reads what it did, in one thread, from one thing that it said to another. */
async function stepsBetween(): Promise<(from: string, to: string) => Step[]> {
  // A call that it is killed in, though what it did is done, is none that has succeeded: the last one is not looked at.
  party.tell('mark end')
  await party.says(/^end$/)
  await party.kill()
  const steps = readSteps(trace).filter(({ what }) => what !== 'deleted')
  const said = new Map(steps.flatMap((step, i) => (step.what === 'said' ? [[step.text.trimEnd(), i] as const] : [])))
  // Calls of two threads would have no order.
  const log = steps.filter(step => step.what === 'sent' || ('path' in step && step.path.endsWith('.db-wal')))
  expect(new Set(log.map(({ thread }) => thread)).size).toBe(1)
  return (from, to) => {
    expect(said.has(from) && said.has(to), `${from}, ${to}`).toBe(true)
    return steps.slice(said.get(from), (said.get(to) as number) + 1)
  }
}

const saying = (text: string) => (step: Step) => step.what === 'said' && step.text === `${text}\n`
const sending = (least: number, most: number) => (step: Step) =>
  step.what === 'sent' && step.length >= least && step.length <= most

/** With it goes what two say to each other who have just met. It is not watched. */
const FIRST = 1_000
const numbers = Array.from({ length: MESSAGES }, (_, n) => n)

/** How a sender's promises left it: `send` has resolved, and the message is on its way. */
async function watchSender(synchronous: Synchronous): Promise<Record<string, Kept[]>> {
  await start(synchronous)
  let came = Promise.withResolvers<void>()
  bob.handle(() => came.resolve())
  for (const n of [FIRST, ...numbers]) {
    came = Promise.withResolvers()
    party.tell(`send ${bob.id} ${n} ${LONG}`)
    await Promise.all([party.says(new RegExp(`^kept ${n}$`)), came.promise])
    party.tell(`mark came ${n}`)
    await party.says(new RegExp(`^came ${n}$`))
  }
  const between = await stepsBetween()
  return {
    'send resolved': numbers.map(n => promiseOf(between(`asked ${n}`, `kept ${n}`), saying(`kept ${n}`))),
    'the message left': numbers.map(n => promiseOf(between(`asked ${n}`, `came ${n}`), sending(LONG, 2 * LONG))),
  }
}

/** How a recipient's promises left it: that it has a message, while the handler waits, and that the handler is done. */
async function watchRecipient(synchronous: Synchronous): Promise<Record<string, Kept[]>> {
  await start(synchronous)
  const mark = async (text: string): Promise<void> => {
    party.tell(`mark ${text}`)
    await party.says(new RegExp(`^${text}$`))
  }
  for (const n of [FIRST, ...numbers]) {
    await mark(`expects ${n}`)
    const receipt = await bob.send(id, n)
    await Promise.all([receipt.delivered, party.says(new RegExp(`^ran ${n}$`))])
    await mark(`delivered ${n}`)
    party.tell('go')
    await receipt.processed
    await mark(`processed ${n}`)
  }
  const between = await stepsBetween()
  const said = sending(ACKS.least, ACKS.most)
  return {
    'delivered left': numbers.map(n => promiseOf(between(`expects ${n}`, `delivered ${n}`), said)),
    'processed left': numbers.map(n => promiseOf(between(`delivered ${n}`, `processed ${n}`), said)),
  }
}

const all = (kept: Kept): Kept[] => numbers.map(() => kept)

describe.skipIf(!traceable)('system calls (traced by strace, where there is one)', () => {
  test('of a sender: the row is written and synced before send resolves, and before the message leaves', async () => {
    expect(await watchSender('FULL')).toEqual({ 'send resolved': all('synced'), 'the message left': all('synced') })
  })

  test('of a recipient: the row is written and synced before the acknowledgement leaves, and what a handler wrote before it is said to be processed', async () => {
    expect(await watchRecipient('FULL')).toEqual({ 'delivered left': all('synced'), 'processed left': all('synced') })
  })

  test('show a store that was made not to sync, on both sides', async () => {
    expect(await watchSender('OFF')).toEqual({ 'send resolved': all('written'), 'the message left': all('written') })
    await party.kill()
    rmSync(trace)
    expect(await watchRecipient('OFF')).toEqual({ 'delivered left': all('written'), 'processed left': all('written') })
  })

  test('show one that syncs only when its log is written into the file', async () => {
    const seen = { ...(await watchSender('NORMAL')) }
    await party.kill()
    rmSync(trace)
    Object.assign(seen, await watchRecipient('NORMAL'))
    // Now and then that happens in between.
    for (const [promise, kept] of Object.entries(seen))
      expect(kept.filter(how => how === 'written').length, promise).toBeGreaterThan(MESSAGES / 2)
    expect(Object.keys(seen)).toHaveLength(4)
  })
})
