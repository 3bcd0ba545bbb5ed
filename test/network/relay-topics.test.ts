import { beforeEach, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { TypedEventTarget } from '../../src/common/events.ts'
import type { Carrier, CarrierEvents } from '../../src/network/carrier.ts'
import { RelayTopics } from '../../src/network/relay-topics.ts'

const TOPIC = '/afp/1/demo/topic/news'
const IDS = [
  '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf',
  '12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3',
]
const [FIRST, SECOND] = IDS.map(id => `/ip4/127.0.0.1/tcp/1/p2p/${id}`) as [string, string]

/** A carrier that tells what the test says. */
class FakeCarrier extends TypedEventTarget<CarrierEvents> {
  readonly there = new Set<string>()

  subscribers = (topic: string): string[] => (topic === TOPIC ? [...this.there] : [])

  relay(address: string, state: CarrierEvents['relay']['state']): void {
    this.emit('relay', { address, state })
  }

  joins(relay: string): void {
    const peer = relay.split('/p2p/')[1] as string
    this.there.add(peer)
    this.emit('subscription', { topic: TOPIC, peer, subscribed: true })
  }
}

let clock: DrivenClock
let carrier: FakeCarrier
let topics: RelayTopics
beforeEach(() => {
  clock = new DrivenClock()
  carrier = new FakeCarrier()
  topics = new RelayTopics(carrier as unknown as Carrier, clock)
})

/** When this peer was in the topic as far as relays go, by the clock; undefined as long as it is not. */
function joining(): { at: number | undefined } {
  const joined: { at: number | undefined } = { at: undefined }
  const began = clock.monotonic()
  void topics.joined(TOPIC).then(() => {
    joined.at = clock.monotonic() - began
  })
  return joined
}

test('without a relay nothing is waited for', async () => {
  const joined = joining()
  await clock.advance(0)
  expect(joined.at).toBe(0)
  expect(clock.pending).toBe(0)
})

test('every relay is waited for, also one that is only being connected', async () => {
  carrier.relay(FIRST, 'reserved')
  carrier.relay(SECOND, 'connecting')
  const joined = joining()
  await clock.advance(100)
  carrier.joins(FIRST)
  await clock.advance(100)
  expect(joined.at).toBeUndefined()
  carrier.joins(SECOND)
  await clock.advance(0)
  expect(joined.at).toBe(200)
  expect(clock.pending).toBe(0)
})

test('a relay that is in the topic already is not waited for, and one that is lost no longer', async () => {
  carrier.relay(FIRST, 'reserved')
  carrier.relay(SECOND, 'reserved')
  carrier.joins(FIRST)
  const joined = joining()
  await clock.advance(100)
  expect(joined.at).toBeUndefined()
  carrier.relay(SECOND, 'lost')
  await clock.advance(0)
  expect(joined.at).toBe(100)
})

test('a relay that never joins has two seconds', async () => {
  carrier.relay(FIRST, 'reserved')
  const joined = joining()
  await clock.advance(1_999)
  expect(joined.at).toBeUndefined()
  await clock.advance(1)
  expect(joined.at).toBe(2_000)
})

test('a network that stops waits for nobody', async () => {
  carrier.relay(FIRST, 'reserved')
  const joined = joining()
  await clock.advance(100)
  topics.stop()
  await clock.advance(0)
  expect(joined.at).toBe(100)
  expect(clock.pending).toBe(0)
})
