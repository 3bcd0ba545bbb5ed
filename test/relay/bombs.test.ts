/** Gossip that nobody signed and that is made to be dear: it costs a relay what garbage of its size costs. */

import { expect, test } from 'vitest'
import { encode } from '../../src/message/codec.ts'
import { presenceTopic } from '../../src/network/topics.ts'
import { seesRelayIn, testPeer, testRelay, until } from './support.ts'

const SIZE = 2 ** 20 - 512
/** Few enough that the relay goes on listening. */
const COUNT = 3
const ROUNDS = 3

/** Bytes that are no document, told from others by their last one. */
function garbageOf(last: number): Uint8Array {
  const bytes = new Uint8Array(SIZE).fill(0xff)
  bytes[SIZE - 1] = last
  return bytes
}

/** A list of nothing but one item, told from others of its kind by its last byte. */
function listOf(item: readonly number[], last: number): Uint8Array {
  const count = Math.floor((SIZE - 6) / item.length)
  const bytes = new Uint8Array(6 + count * item.length)
  new DataView(bytes.buffer).setUint32(1, count + 1)
  bytes[0] = 0x9a
  for (let at = 5; at + item.length < bytes.length; at += item.length) bytes.set(item, at)
  bytes[bytes.length - 1] = last
  return bytes
}

test('A stranger that knows no mesh and signs nothing costs a relay no more with small items than with garbage', async () => {
  const relay = await testRelay()
  let refused = 0
  relay.addEventListener('refused', ({ detail }) => void (detail.reason === 'malformed' && refused++))
  let made = 0
  /** What this process spends on such messages of a new stranger, ms of the processor for each. */
  const onceCostOf = async (make: (last: number) => Uint8Array): Promise<number> => {
    const stranger = await testPeer([relay])
    const topic = presenceTopic('mesh of the stranger')
    stranger.join(topic)
    await seesRelayIn(stranger, relay, topic)
    const messages = Array.from({ length: COUNT }, () => make(made++ & 0xff))
    const before = process.cpuUsage()
    const wanted = refused + COUNT
    for (const bytes of messages) await stranger.node.services.pubsub.publish(topic, bytes)
    await until(() => refused === wanted, [relay, 'refused'])
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1_000 / COUNT
  }
  /** The least of some rounds: what else goes on in this process only adds to it. */
  const costOf = async (make: (last: number) => Uint8Array): Promise<number> => {
    const costs: number[] = []
    for (let round = 0; round < ROUNDS; round++) costs.push(await onceCostOf(make))
    return Math.min(...costs)
  }
  const garbage = await costOf(last => garbageOf(last))
  for (const item of [[0xa0], [0xf9, 0x3e, 0x00]]) {
    const lists = await costOf(last => listOf(item, last))
    const bodies = await costOf(last =>
      encode([listOf(item, last).subarray(0, SIZE - 100), new Uint8Array(64).fill(last)]),
    )
    // Undone, each costs more than ten times as much.
    expect(lists).toBeLessThan(4 * garbage + 20)
    expect(bodies).toBeLessThan(4 * garbage + 20)
  }
}, 60_000)
