/**
 * Writes golden stores: `node --conditions=afp-source test/store/make-golden-stores.ts FOLDER`. They are kept for ever: what
 * this program writes after the stores have changed belongs into new files beside those that are there.
 */

import { join } from 'node:path'
import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { fixedRetry } from '../../src/delivery/retry.ts'
import type { Identity } from '../../src/identity/keys.ts'
import { MemoryNet } from '../../src/network/memory.ts'
import { SCHEMA_VERSION } from '../../src/store/schema.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import { BEGAN, people } from './golden-world.ts'

const [target] = process.argv.slice(2)
if (target === undefined) throw new Error('say which folder to write to')
const clock = new DrivenClock(BEGAN)
const random = seededRandom(2)
const net = new MemoryNet({ clock, random })
const { ada: adas, bob: bobs, carol, zoe } = await people()
const stores = {
  ada: await sqliteStore(join(target, `schema-${SCHEMA_VERSION}-ada.db`)),
  bob: await sqliteStore(join(target, `schema-${SCHEMA_VERSION}-bob.db`)),
}

const start = (name: 'ada' | 'bob', identity: Identity, peers: readonly string[] = []): Promise<Agent> =>
  createAgent({
    name,
    mesh: 'demo',
    identity,
    store: stores[name],
    peers,
    clock,
    random,
    carrier: ({ id }) => net.carrier(id),
    handlerRetry: fixedRetry({ delay: 10, retries: 0 }),
  })

/** Runs the clock until a promise has settled. */
async function during<T>(promise: Promise<T>): Promise<T> {
  let over = false
  const done = (): void => {
    over = true
  }
  promise.then(done, done)
  while (!over) await clock.advance(5)
  return promise
}

const bob = await start('bob', bobs)
const ada = await start('ada', adas, bob.addresses)
await during(ada.waitFor('bob'))
await during(bob.waitFor('ada'))

// What is over: a receipt that says processed, a value that a handler kept, and what it could not handle.
const failing = ada.handle({ metadata: { fail: true } }, () => {
  throw new Error('it was told to fail')
})
const counting = ada.handle<string>({ metadata: { count: true } }, ({ content }, { transaction }) => {
  transaction.put(['counted', 'from bob'], { content, times: 1 })
})
const greeting = bob.handle(() => {})
const id = (last: number): string => `01a20000-0000-7000-8000-${String(last).padStart(12, '0')}`
await during((await ada.send('bob', 'done', { id: id(1) })).processed)
await during((await bob.send('ada', 'count this', { id: id(2), metadata: { count: true } })).processed)
await during((await bob.send('ada', 'fail at this', { id: id(3), metadata: { fail: true } })).processed.catch(() => {}))
for (const handler of [failing, counting, greeting]) handler[Symbol.dispose]()
ada.pin('carol', carol.id)

// What waits: at ada for a reader, in ada's outbox for bob, who is away, sealed, and for zoe, whom nobody has met.
await during((await bob.send('ada', 'unread', { id: id(4), guarantee: 'exactly-once' })).delivered)
await during(bob.close())
const month = { ttl: 30 * 86_400 }
await during(ada.send('bob', 'first for bob', { ...month, id: id(5) }))
await during(ada.send('bob', 'second for bob', { ...month, id: id(6), guarantee: 'exactly-once' }))
await during(ada.send([zoe.id, bobs.id], 'for zoe and bob', { ...month, id: id(7) }))
const late = await during(ada.send('bob', 'too late', { id: id(8), ttl: 1 }))
await during(late.delivered.catch(() => {}))
await during(ada.close())
for (const store of Object.values(stores)) await store.close()
