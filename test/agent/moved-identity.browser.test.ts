/** An identity that a tab is given: it has a database of its own, and is one tab's at a time wherever it comes from. */

import { deleteDB } from 'idb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { systemClock } from '../../src/common/clock.ts'
import { systemRandom } from '../../src/common/random.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { MemoryNet } from '../../src/network/memory.ts'
import { importIdentity } from '../../src/security/passphrase.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { failure } from './waiting.ts'

const passphrase = 'correct horse battery'
const net = new MemoryNet({ clock: systemClock, random: systemRandom })
let mesh: string
let agents: Agent[]
beforeEach(() => {
  mesh = `moved-${crypto.randomUUID()}`
  agents = []
})
afterEach(async () => {
  for (const agent of agents) await agent.close()
  for (const { name = '' } of await indexedDB.databases()) if (name.includes(mesh)) await deleteDB(name)
})

async function start(options: Partial<AgentOptions>): Promise<Agent> {
  const agent = await createAgent({
    name: 'ada',
    mesh,
    persistStorage: false,
    carrier: ({ id }) => net.carrier(id, { place: crypto.randomUUID() }),
    ...options,
  })
  agents.push(agent)
  return agent
}

/** What a run that keeps one thing more has kept by its end. */
async function keeps(what: string, options: Partial<AgentOptions>): Promise<readonly unknown[]> {
  const agent = await start(options)
  await agent.storage.change(transaction => transaction.put([what], what))
  const kept = (await agent.storage.list()).map(({ value }) => value)
  await agent.close()
  return kept
}

test('keeps what it did over the page’s runs, under any name, apart from others and from other meshes', async () => {
  const identity = await createIdentity()
  expect(await keeps('first', { identity })).toEqual(['first'])
  expect(await keeps('second', { identity, name: 'grace' })).toEqual(['first', 'second'])
  expect(await keeps('another’s', { identity: await createIdentity() })).toEqual(['another’s'])
  expect(await keeps('a name’s', {})).toEqual(['a name’s'])
  expect(await keeps('elsewhere', { identity, mesh: `${mesh}-2` })).toEqual(['elsewhere'])
  expect(await keeps('nowhere', { identity, store: memoryStore() })).toEqual(['nowhere'])
  expect(await keeps('third', { identity })).toEqual(['first', 'second', 'third'])
})

test('goes on with messages that wait', async () => {
  const [ada, bob] = [await createIdentity(), await createIdentity()]
  const before = await start({ identity: ada })
  const { id } = await before.send(bob.id, 'while nobody is there')
  await before.close()

  const recipient = await start({ name: 'bob', identity: bob })
  const after = await start({ identity: ada, peers: recipient.addresses })
  expect(await recipient.receive({ timeout: 20_000 })).toMatchObject({
    sender: ada.id,
    content: 'while nobody is there',
  })
  expect(await after.deliveries.get(id)).toMatchObject({ id })
})

test('that was exported from a tab is in use while that tab has it, and then the same agent’s', async () => {
  const kept = await start({})
  const identity: Identity = await importIdentity(await kept.exportIdentity(passphrase), passphrase)
  expect(identity.id).toBe(kept.id)
  for (const onIdentityInUse of ['new', 'error'] as const) {
    expect(await failure(start({ identity, onIdentityInUse }))).toMatchObject({ code: 'IDENTITY_IN_USE' })
  }
  await kept.close()
  const given = await start({ identity })
  expect(given.id).toBe(kept.id)

  // The tab's own next start does not have it meanwhile: it is somebody else, or is told.
  expect(await failure(start({ onIdentityInUse: 'error' }))).toMatchObject({ code: 'IDENTITY_IN_USE' })
  const other = await start({})
  expect(other.id).not.toBe(kept.id)
  await other.close()
  await given.close()
})
