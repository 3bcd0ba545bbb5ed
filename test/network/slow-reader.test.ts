import { expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { Carrier, Connection } from '../../src/network/carrier.ts'
import { libp2pCarrier } from '../../src/network/libp2p.ts'
import { Reader } from '../contracts/carrier-ends.ts'
import { Member, type NetworkWorld } from '../contracts/network-world.ts'

const COUNT = 2_500
/** Long enough to be no crumb of data, of which a connection stands a few only. */
const ECHOED = new Uint8Array(32)

/** Members on loopback over TCP whose own time, but not the sockets', is driven by the test. */
function world(clock: DrivenClock): NetworkWorld & { close(): Promise<void> } {
  const carriers: Carrier[] = []
  return {
    clock,
    carrier: identity => {
      const carrier = libp2pCarrier({ identity, listen: ['/ip4/127.0.0.1/tcp/0'] })
      carriers.push(carrier)
      return carrier
    },
    close: async () => {
      await Promise.all(carriers.map(carrier => carrier.stop()))
    },
  }
}

test('2,500 messages sent at once over TCP to one that works 50 ms on each arrive, and the link stays', async () => {
  const clock = new DrivenClock()
  const all = world(clock)
  const [a, b] = [await Member.start(all, 'ada'), await Member.start(all, 'bob')]
  const closed: string[] = []
  for (const { network } of [a, b]) network.addEventListener('link:closed', () => closed.push(network.id))
  await a.connect(b)
  // On the same connection, so that an echo comes back only after everything that was written before it has arrived.
  b.carrier.handle('/test/echo', channel => {
    const end = new Reader(channel)
    end.onData = chunk => channel.send(chunk)
  })
  const echo = new Reader(await (a.carrier.connections()[0] as Connection).open('/test/echo'))
  let turn: Promise<void> = Promise.resolve()
  let worked = 0
  b.work = () => {
    turn = turn.then(() => new Promise<void>(resolve => clock.after(50, resolve))).then(() => void worked++)
    return turn
  }
  const texts = Array.from({ length: COUNT }, (_, i) => `${i} ${'x'.repeat(1_024)}`)
  const sending = Promise.all(texts.map(text => a.send(b, text)))
  while (worked < COUNT && closed.length === 0) {
    await clock.advance(50)
    echo.channel.send(ECHOED)
    await echo.take(ECHOED.length)
  }
  await sending
  expect(closed).toEqual([])
  expect(b.frames.map(({ text }) => text)).toEqual(texts)
  expect(clock.monotonic()).toBeGreaterThanOrEqual(COUNT * 50)
  await all.close()
})
