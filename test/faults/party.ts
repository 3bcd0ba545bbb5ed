/**
 * A sender, a recipient or a relay as a process of its own, to be killed at any moment. It prints `standby`, and waits for a
 * line of JSON that says what it is to be:
 *
 * - `{"role": "receiver", "folder", "listen", "relays", "unnamed"}`: notes every number, each once, in its own store, and
 *   answers a request with the place of the note; prints `ready <id> <address>` once it can be reached. Unnamed it is given
 *   no identity: its store keeps who it is.
 * - `{"role": "sender", "folder", "to", "peers", "relays", "first"}`: sends numbers from `first` on, each as {@link waysOf} says;
 *   prints `try <n>`, `kept <n>` once that has resolved, and `processed <n>` once the recipient has said so; for a request
 *   `replied <n> <place>` and `processed <n>`. At the next line on standard input it stops, waits until everything is
 *   processed, prints `done` and ends.
 * - `{"role": "relay", "folder", "listen"}`: prints `ready <id> <address>`.
 *
 * Sender and recipient print `open` when their store is, before they take up what is in it.
 */

import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { createRelay } from '../../relay/index.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import { seededRandom } from '../../src/common/random.ts'
import { fileIdentity } from '../../src/identity/file.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import { waysOf } from './ways.ts'

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
    }
  | { readonly role: 'relay'; readonly folder: string; readonly listen: string[] }

/** How many numbers the sender may be ahead of what is processed: kills have to meet messages at every stage. */
const AHEAD = 64

/** How long a handler waits at most, ms. */
const MAX_WAIT = 5

/** How long a request waits for its reply, ms: longer than any of these tests. */
const PATIENCE = 600_000

const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function agentOf(part: Part, options: { listen: string[]; peers?: string[]; relays?: string[] }) {
  const { role, folder } = part
  const unnamed = part.role === 'receiver' && part.unnamed
  const identity = unnamed ? undefined : await fileIdentity(`${folder}/${role}.key`)
  const store = await sqliteStore(`${folder}/${role}.db`)
  say('open')
  return createAgent({
    name: role,
    mesh: 'kills',
    identity,
    store,
    ...options,
  })
}

async function receive(part: Part & { role: 'receiver' }): Promise<void> {
  const { listen, relays = [] } = part
  const agent = await agentOf(part, { listen, relays })
  agent.handle<number>(async ({ content }, { expectsReply, transaction }) => {
    const count = (await transaction.get<number>(['count'])) ?? 0
    // Kills have to meet handlers that wait, too, each as long in every run.
    await setTimeout(seededRandom(content).float() * MAX_WAIT)
    transaction.put(['noted', count], content)
    transaction.put(['count'], count + 1)
    return expectsReply ? count : undefined
  })
  // Through a relay it takes a moment until there is one.
  while (agent.addresses.length === 0) {
    await new Promise(resolve => agent.addEventListener('relay', resolve, { once: true }))
  }
  say(`ready ${agent.id} ${agent.addresses[0]}`)
}

async function send(part: Part & { role: 'sender' }, enough: Promise<unknown>): Promise<void> {
  const { to, peers = [], relays = [], first } = part
  const agent = await agentOf(part, { listen: [], peers, relays })
  let over = false
  void enough.then(() => {
    over = true
  })
  const processed: Promise<unknown>[] = []
  for (let n = first; !over; n++) {
    say(`try ${n}`)
    const { asked, ...options } = waysOf(n)
    if (asked) {
      const reply = agent.request(to, n, { ...options, timeout: PATIENCE })
      processed.push(reply.then(({ content }) => say(`replied ${n} ${content}\nprocessed ${n}`)))
    } else {
      const receipt = await agent.send(to, n, options)
      say(`kept ${n}`)
      processed.push(receipt.processed.then(() => say(`processed ${n}`)))
    }
    if (processed.length > AHEAD) await Promise.race([processed.shift(), enough])
  }
  await Promise.all(processed)
  say('done')
  await agent.close()
  process.exit()
}

async function forward({ folder, listen }: Part & { role: 'relay' }): Promise<void> {
  const relay = await createRelay({ listen, identityFile: `${folder}/relay.key` })
  say(`ready ${relay.id} ${relay.addresses()[0]}`)
}

const lines = createInterface({ input: process.stdin })
const line = (): Promise<string> => new Promise(resolve => lines.once('line', resolve))
say('standby')
const part = JSON.parse(await line()) as Part
if (part.role === 'receiver') await receive(part)
else if (part.role === 'relay') await forward(part)
else await send(part, line())
