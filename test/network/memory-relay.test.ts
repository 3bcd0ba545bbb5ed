import { expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/common/bytes.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { MemoryNet } from '../../src/network/memory.ts'

const RELAY = '/memory/relay/p2p/relay'

/** A relay, two peers that nobody can dial directly, and what the first is told of its relay. */
async function tabs() {
  const clock = new DrivenClock()
  const net = new MemoryNet({ clock, random: seededRandom(1) })
  const relay = net.carrier('relay', { relay: true })
  const a = net.carrier('a', { listen: false, relays: [RELAY] })
  const b = net.carrier('b', { listen: false, relays: [RELAY] })
  const states: string[] = []
  a.addEventListener('relay', ({ detail }) => states.push(detail.state))
  return { clock, net, relay, a, b, states }
}

async function meeting() {
  const all = await tabs()
  for (const peer of [all.relay, all.a, all.b]) await peer.start()
  await all.clock.advance(0)
  return all
}

test('a peer that does not listen is reached over its relay', async () => {
  const { clock, a, b, states } = await meeting()
  expect(states).toEqual(['connecting', 'connected', 'reserved'])
  expect(b.addresses()).toEqual([`${RELAY}/p2p-circuit/p2p/b`])
  expect(a.reach(b.addresses()[0] as string)).toBe('relayed')
  const heard: string[] = []
  b.handle('/test/1', channel => channel.attach({ data: chunk => heard.push(fromUtf8(chunk)), closed: () => {} }))
  const connection = await a.dial('b', b.addresses())
  expect([connection.kind, connection.transport, connection.peer]).toEqual(['relayed', 'circuit', 'b'])
  const channel = await connection.open('/test/1')
  channel.attach({ data: () => {}, closed: () => {} })
  channel.send(utf8('over the relay'))
  await clock.advance(0)
  expect(heard).toEqual(['over the relay'])
  await expect(a.dial('b', ['/memory/b/p2p/b'])).rejects.toMatchObject({ code: 'NETWORK_FAILED' })
})

test('a direct address is preferred to a relayed one', async () => {
  const { clock, net, a } = await meeting()
  const both = net.carrier('both', { relays: [RELAY] })
  await both.start()
  await clock.advance(0)
  expect(both.addresses()).toHaveLength(2)
  expect((await a.dial('both', both.addresses().toReversed())).kind).toBe('direct')
})

test('a relay that is down at start is reserved when it comes up, and again after it was lost', async () => {
  const { clock, net, relay, a, states } = await tabs()
  await a.start()
  await clock.advance(1_000)
  expect(a.addresses()).toEqual([])
  expect(states.slice(0, 3)).toEqual(['connecting', 'lost', 'connecting'])
  await relay.start()
  await clock.advance(3_000)
  expect(states.slice(-3)).toEqual(['connecting', 'connected', 'reserved'])
  expect(a.addresses()).toHaveLength(1)
  net.crash('relay')
  await clock.advance(10_000)
  expect(states.at(-1)).not.toBe('reserved')
  expect(a.addresses()).toEqual([])
  await net.carrier('relay', { relay: true }).start()
  await clock.advance(20_000)
  expect(states.at(-1)).toBe('reserved')
  expect(a.addresses()).toHaveLength(1)
})

test('a relayed connection ends with its relay', async () => {
  const { clock, relay, a, b } = await meeting()
  await a.dial('b', b.addresses())
  const closed: string[] = []
  for (const peer of [a, b]) {
    peer.addEventListener('connection:close', ({ detail }) => closed.push(`${peer.id}-${detail.peer}`))
  }
  await relay.stop()
  await clock.advance(0)
  expect(closed.sort()).toEqual(['a-b', 'a-relay', 'b-a', 'b-relay'])
})

test('a cut between the relay and one peer stops what is relayed to it', async () => {
  const { clock, net, a, b } = await meeting()
  const heard: string[] = []
  b.handle('/test/1', channel => channel.attach({ data: chunk => heard.push(fromUtf8(chunk)), closed: () => {} }))
  const channel = await (await a.dial('b', b.addresses())).open('/test/1')
  channel.attach({ data: () => {}, closed: () => {} })
  net.cut('relay', 'b')
  channel.send(utf8('later'))
  await clock.advance(1_000)
  expect(heard).toEqual([])
  net.heal()
  await clock.advance(0)
  expect(heard).toEqual(['later'])
})

test('a peer that is no relay grants nothing', async () => {
  const { clock, net } = await tabs()
  await net.carrier('relay').start()
  const hopeful = net.carrier('hopeful', { listen: false, relays: [RELAY] })
  await hopeful.start()
  await clock.advance(60_000)
  expect(hopeful.addresses()).toEqual([])
})

test('gossip crosses a relay that is in no topic itself, and ends when the last other peer leaves', async () => {
  const { clock, a, b } = await meeting()
  const heard: string[] = []
  a.subscribe('t', () => 'accept')
  b.subscribe('t', (data, from) => {
    heard.push(`${fromUtf8(data)} from ${from}`)
    return 'accept'
  })
  await clock.advance(0)
  expect(await a.publish('t', utf8('news'))).toEqual(['relay'])
  await clock.advance(0)
  expect(heard).toEqual(['news from relay'])
  a.unsubscribe('t')
  b.unsubscribe('t')
  await clock.advance(0)
  expect(await a.publish('t', utf8('more'))).toEqual([])
})

test('two relays do not keep each other in a topic that everybody left', async () => {
  const { clock, net, relay, a } = await meeting()
  const other = net.carrier('other', { relay: true })
  await other.start()
  await other.dial('relay', relay.addresses())
  a.subscribe('t', () => 'accept')
  await clock.advance(0)
  expect(other.subscribers('t')).toEqual(['relay'])
  a.unsubscribe('t')
  await clock.advance(0)
  expect(other.subscribers('t')).toEqual([])
})
