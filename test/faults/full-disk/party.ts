/**
 * An agent whose store is on a disk of 1 MiB: one that this process mounts in a mount namespace of its own, so that it
 * goes with the process, or a file that may not grow. It answers calls on standard input; prints `ready <id> <address>`,
 * `store:error <code>`, and `ran <n>` whenever its handler runs.
 *
 * `unshare -m node party.ts <folder> mounted [bytes]`, `node party.ts <folder> limited`
 */

import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Agent } from '../../../src/agent/agent.ts'
import { createAgent } from '../../../src/agent/create-agent.ts'
import type { SendOptions } from '../../../src/agent/options.ts'
import type { AfpError } from '../../../src/common/errors.ts'
import { fixedRetry } from '../../../src/delivery/retry.ts'
import { fileIdentity } from '../../../src/identity/file.ts'
import { decode } from '../../../src/message/codec.ts'
import { contentFromWire } from '../../../src/message/content.ts'
import type { Store } from '../../../src/store/store.ts'
import { say } from '../say.ts'
import { limitedFile, mountedDisk } from './disks.ts'
import { body, RETRY } from './world.ts'

/** Where an error is none of this package's, its class: `Error` is no code that a test would expect. */
const codeOf = (error: unknown): string => (error as AfpError).code ?? (error as Error).name

const [folder = '', kind, size] = process.argv.slice(2)
const disk =
  kind === 'mounted' ? mountedDisk(folder, size === undefined ? undefined : Number(size)) : limitedFile(folder)

let store: Store
let agent = await start()

async function start(): Promise<Agent> {
  store = await disk.open()
  const agent = await createAgent({
    name: 'small',
    mesh: 'full',
    identity: await fileIdentity(join(folder, 'small.key')),
    store,
    guarantee: 'exactly-once',
    listen: ['/ip4/127.0.0.1/tcp/0'],
    ...RETRY,
    handlerRetry: fixedRetry({ delay: 10, retries: 1 }),
  })
  agent.addEventListener('store:error', ({ detail }) => say(`store:error ${codeOf(detail.error)}`))
  agent.addEventListener('delivery:changed', ({ detail }) => {
    if (detail.receipt.state === 'processed') say(`processed ${detail.id}`)
  })
  agent.addEventListener('delivery:expired', ({ detail }) => say(`expired ${detail.id}`))
  agent.addEventListener('dead-letter:added', ({ detail }) => say(`letter ${detail.letter.reason}`))
  return agent
}

/** Sends a number; its code where that is refused. */
async function send(to: string, n: number, bytes: number, options: SendOptions = {}) {
  try {
    return { id: (await agent.send(to, { n, body: body(bytes) }, options)).id }
  } catch (error) {
    return { refused: `${(error as Error).constructor.name} ${codeOf(error)}` }
  }
}

/** Sends numbers, several at a time, smaller and smaller ones, until there is no room for the smallest. */
async function fill(to: string, first: number) {
  const kept: { n: number; id: string }[] = []
  const refused: string[] = []
  let n = first
  for (let bytes = 8_192; bytes >= 1; bytes = Math.floor(bytes / 4)) {
    for (;;) {
      const numbers = Array.from({ length: 4 }, () => n++)
      const results = await Promise.all(numbers.map(number => send(to, number, bytes)))
      for (const [i, { id, refused: why }] of results.entries()) {
        if (id === undefined) refused.push(why as string)
        else kept.push({ n: numbers[i] as number, id })
      }
      if (results.every(({ id }) => id === undefined)) break
    }
  }
  disk.filled()
  return { kept, refused, next: n }
}

const functions: Record<string, (...args: never[]) => unknown> = {
  fill,
  send,
  waitFor: async (name: string) => (await agent.waitFor(name)).card.id,
  /** The disk grows by so many bytes. */
  grow: (bytes: number) => disk.grow(bytes),
  /** Somebody else takes what is left of the disk, but for some bytes. */
  eat: (left = 0) => disk.eat(left),
  spare: () => disk.spare(),
  /** Closes the agent and starts it anew, in the same place. */
  restart: async () => {
    await agent.close()
    await store.close()
    agent = await start()
    return agent.addresses[0]
  },
  /** The log of the store fills the disk while nobody has it open. */
  clog: async (rows: number) => {
    await agent.close()
    await store.close()
    disk.clog(rows)
    agent = await start()
  },
  /** Writes 1 KB under one key again and again; why that was refused, each time it was. */
  rewrite: async (times: number) => {
    const refused: string[] = []
    for (let n = 0; n < times; n++) {
      const change = agent.storage.change(transaction => transaction.put(['counter'], { n, body: body(1_000) }))
      await change.catch(error => refused.push(codeOf(error)))
    }
    return refused
  },
  /** Notes every number in its turn, with as many bytes more as are asked for; reads before it writes if asked to. */
  note: (bytes: number, reads: boolean) => {
    let last = 0
    agent.handle<{ n: number }>(async ({ content: { n } }, { transaction, expectsReply }) => {
      say(`ran ${n}`)
      if (reads) last = Number((await transaction.get(['last'])) ?? 0)
      last++
      transaction.put(['last'], last)
      transaction.put(['noted', last], { n, body: body(bytes) })
      return expectsReply ? { noted: n } : undefined
    })
  },
  /** Writes what a message says under one key, blindly: the last one is what counts. */
  overwrite: () => {
    agent.handle<{ n: number; bytes: number }>(({ content: { n, bytes } }, { transaction }) => {
      say(`ran ${n}`)
      transaction.put(['newest'], { n })
      // Under a key of its own: of one that is written twice in a turn only the last word goes to the disk.
      transaction.put(['body', n], body(bytes))
    })
  },
  fail: () => {
    agent.handle(() => {
      throw new Error('it never works')
    })
  },
  noted: async () => {
    const rows = await store.range('app', { prefix: ['noted'] })
    return rows.map(({ value }) => (contentFromWire(decode(value), 1 << 20) as { n: number }).n)
  },
  newest: async () => {
    const row = await store.get('app', ['newest'])
    return row && (contentFromWire(decode(row), 1 << 20) as { n: number }).n
  },
  /** How many rows a table has. */
  rows: (table: string) => store.count(table),
  letters: async () => (await agent.deadLetters.list()).map(({ reason, messageId }) => ({ reason, messageId })),
  /** Marks the newest dead letter as dealt with. */
  mark: async () => {
    const [letter] = await agent.deadLetters.list()
    return agent.deadLetters.markProcessed(letter?.id as string).then(String, codeOf)
  },
  state: async (id: string) => [...((await agent.deliveries.get(id))?.recipients.values() ?? [])].map(r => r.state)[0],
  /** What the agent counted of a kind. */
  counted: (name: string) =>
    agent.metrics
      .snapshot()
      .counters.filter(counter => counter.name === name)
      .map(({ tags, value }) => ({ ...tags, value })),
}

createInterface({ input: process.stdin }).on('line', async line => {
  const { number, name, args } = JSON.parse(line) as { number: number; name: string; args: never[] }
  const answer = await Promise.resolve()
    .then(() => functions[name]?.(...args))
    .then(
      value => ({ value }),
      error => ({ error: `${error}` }),
    )
  say(`answer ${number} ${JSON.stringify(answer)}`)
})
say(`ready ${agent.id} ${agent.addresses[0]}`)
