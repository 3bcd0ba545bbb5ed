/**
 * A sender, a recipient or a relay as a process of its own, to be killed at any moment. It prints `standby`, and waits for a
 * line of JSON that says what it is to be:
 *
 * - `{"role": "receiver", "folder", "listen", "relays", "unnamed"}`: notes every number, each once, in its own store, and
 *   answers a request with the place of its note among those of requests; prints `ready <id> <address>` once it can be reached. Unnamed it is given
 *   no identity: its store keeps who it is.
 * - `{"role": "sender", "folder", "to", "peers", "relays", "first", "ahead"}`: sends numbers from `first` on, each as
 *   {@link waysOf} says, as many at once as may be `ahead` of what is processed; prints `try <n>`, `kept <n>` once that has
 *   resolved, and `processed <n>` once the recipient has said so; for a request `replied <n> <place>` and `processed <n>`.
 * - `{"role": "relay", "folder", "listen"}`: prints `ready <id> <address>`.
 *
 * Sender and recipient print `open` when their store is, before they take up what is in it. At the next line on standard
 * input a sender stops sending; each waits until nothing waits in its store any more, and prints `done`.
 */

import { flushCompileCache } from 'node:module'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { createRelay } from '../../relay/index.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import { seededRandom } from '../../src/common/random.ts'
import { fileIdentity } from '../../src/identity/file.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { say } from './say.ts'
import { listOf, waysOf } from './ways.ts'

/** What a party is told to be. */
export type Part =
  | {
      readonly role: 'receiver'
      readonly folder: string
      readonly listen: string[]
      readonly relays?: string[]
      readonly unnamed?: boolean
    }
  | {
      readonly role: 'sender'
      readonly folder: string
      readonly to: string
      readonly peers?: string[]
      readonly relays?: string[]
      readonly first: number
      readonly ahead: number
    }
  | { readonly role: 'relay'; readonly folder: string; readonly listen: string[] }

/** How long a handler waits at most, ms, and how seldom: many are to be handled between two kills. */
const MAX_WAIT = 5
const WAITS = 8

/** How often a party that is told to end looks whether anything waits, ms. */
const LOOK_EVERY = 20

/** How long a request waits for its reply, ms: longer than any of these tests. */
const PATIENCE = 600_000

async function agentOf(part: Part, options: { listen: string[]; peers?: string[]; relays?: string[] }) {
  const { role, folder } = part
  const unnamed = part.role === 'receiver' && part.unnamed
  const identity = unnamed ? undefined : await fileIdentity(`${folder}/${role}.key`)
  const store = await sqliteStore(`${folder}/${role}.db`)
  say('open')
  const agent = await createAgent({ name: role, mesh: 'kills', identity, store, ...options })
  return { agent, store }
}

/** Resolves when nothing is on its way any more, in or out. */
async function settled(store: Store): Promise<void> {
  while ((await store.count('outbox')) + (await store.count('inbox')) > 0) await setTimeout(LOOK_EVERY)
}

async function receive(part: Part & { role: 'receiver' }, enough: Promise<unknown>): Promise<void> {
  const { listen, relays = [] } = part
  const { agent, store } = await agentOf(part, { listen, relays })
  agent.handle<number>(async ({ content }, { expectsReply, transaction }) => {
    const list = listOf(content)
    const count = (await transaction.get<number>(['count', list])) ?? 0
    // Kills have to meet handlers that wait, too, each as long in every run.
    if (content % WAITS === 0) await setTimeout(seededRandom(content).float() * MAX_WAIT)
    transaction.put(['noted', list, count], content)
    transaction.put(['count', list], count + 1)
    return expectsReply ? count : undefined
  })
  // Through a relay it takes a moment until there is one.
  while (agent.addresses.length === 0) {
    await new Promise(resolve => agent.addEventListener('relay', resolve, { once: true }))
  }
  say(`ready ${agent.id} ${agent.addresses[0]}`)
  await enough
  await settled(store)
  say('done')
}

async function send(part: Part & { role: 'sender' }, enough: Promise<unknown>): Promise<void> {
  const { to, peers = [], relays = [], first, ahead } = part
  const { agent, store } = await agentOf(part, { listen: [], peers, relays })
  let over = false
  let goOn = (): void => {}
  void enough.then(() => {
    over = true
    goOn()
  })
  const underway = new Set<Promise<void>>()
  for (let n = first; !over; n++) {
    say(`try ${n}`)
    const { asked, ...options } = waysOf(n)
    const processed = asked
      ? agent.request(to, n, { ...options, timeout: PATIENCE }).then(({ content }) => say(`replied ${n} ${content}`))
      : agent.send(to, n, options).then(receipt => {
          say(`kept ${n}`)
          return receipt.processed
        })
    const ended = processed.then(() => {
      say(`processed ${n}`)
      underway.delete(ended)
      goOn()
    })
    underway.add(ended)
    if (underway.size >= ahead) await new Promise<void>(resolve => (goOn = resolve))
  }
  await Promise.all(underway)
  await settled(store)
  say('done')
}

async function forward({ folder, listen }: Part & { role: 'relay' }): Promise<void> {
  const relay = await createRelay({ listen, identityFile: `${folder}/relay.key` })
  say(`ready ${relay.id} ${relay.addresses()[0]}`)
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const line = async (): Promise<string> => {
  const { value, done } = await lines.next()
  // Whoever started it is gone.
  if (done) process.exit(1)
  return value
}
// Nothing of what is killed is written when it ends.
flushCompileCache()
say('standby')
const part = JSON.parse(await line()) as Part
const enough = line()
if (part.role === 'receiver') await receive(part, enough)
else if (part.role === 'relay') await forward(part)
else await send(part, enough)
await line()
