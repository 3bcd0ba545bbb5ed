import { beforeEach, describe, expect, test } from 'vitest'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { Connection } from '../../src/network/carrier.ts'
import { RelayKeeper } from '../../src/network/relay-keeper.ts'

const R1 = '12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p'
const R2 = '12D3KooWJpBNhwgvoZ15EB1JwRTRpxgM9D2fwq6NHtUTFdk5bAWA'
const address = (id: string): string => `/dns4/relay.example/tcp/443/wss/p2p/${id}`

let clock: DrivenClock
let states: string[]
let dials: { address: string; at: number; signal: AbortSignal }[]
let up: Set<string>
let open: Connection[]
let keeper: RelayKeeper
beforeEach(() => {
  clock = new DrivenClock()
  states = []
  dials = []
  up = new Set([R1, R2])
  open = []
})

/** A keeper of relays that are up or down as `up` says; no jitter. */
function keep(...relays: string[]): RelayKeeper {
  keeper = new RelayKeeper({
    relays: relays.map(address),
    clock,
    random: { bytes: length => new Uint8Array(length), float: () => 1 },
    dial: async (dialled, signal) => {
      dials.push({ address: dialled, at: clock.monotonic(), signal })
      const id = relays.find(relay => dialled.endsWith(relay)) as string
      if (!up.has(id)) throw new Error('down')
      connect(id)
    },
    onState: ({ address: which, state, error }) => {
      const name = which.endsWith(R1) ? 'one' : 'two'
      states.push(`${name} ${state}${error === undefined ? '' : `: ${error.message}`}`)
    },
  })
  keeper.start()
  return keeper
}

let count = 0
function connect(peer: string): Connection {
  const connection: Connection = {
    id: `c${count++}`,
    peer,
    kind: 'direct',
    transport: 'websocket',
    outbound: true,
    open: () => Promise.reject(new Error('not here')),
    close: async () => {},
    abort: () => drop(connection),
  }
  open.push(connection)
  keeper.connected(connection)
  return connection
}

function drop(connection: Connection): void {
  open = open.filter(other => other !== connection)
  keeper.disconnected(connection, open)
}

const reserve = (...ids: string[]): void =>
  keeper.reserved(ids.map(id => `${address(id)}/p2p-circuit/p2p/12D3KooWSomebody`))

describe('Keeping relays', () => {
  test('a relay is dialled at start, connected, and reserved when an own address shows it', async () => {
    keep(R1)
    await clock.advance(0)
    reserve(R1)
    reserve(R1)
    expect(states).toEqual(['one connecting', 'one connected', 'one reserved'])
    await clock.advance(120_000)
    expect(dials).toHaveLength(1)
  })

  test('a reservation is awaited while a relay is connected or asked, and no longer once one is held', async () => {
    expect(keep().awaiting).toBe(false)
    up.clear()
    keep(R1, R2)
    expect(keeper.awaiting).toBe(true)
    await clock.advance(0)
    expect(keeper.awaiting).toBe(false)
    up.add(R2)
    await clock.advance(500)
    expect([states.at(-1), keeper.awaiting]).toEqual(['two connected', true])
    reserve(R2)
    expect(keeper.awaiting).toBe(false)
    up.add(R1)
    await clock.advance(10_000)
    expect([states.at(-1), keeper.awaiting]).toEqual(['one connected', false])
    drop(open.find(({ peer }) => peer === R2) as Connection)
    expect(keeper.awaiting).toBe(true)
  })

  test('a relay that is down at start is dialled again with growing pauses, at most ten seconds apart, for ever', async () => {
    up.clear()
    keep(R1)
    await clock.advance(60_000)
    const pauses = dials.slice(1).map(({ at }, i) => at - (dials[i]?.at ?? 0))
    expect(pauses.slice(0, 7)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    expect(states.slice(0, 3)).toEqual(['one connecting', 'one lost: down', 'one connecting'])
    up.add(R1)
    await clock.advance(10_000)
    expect(states.at(-1)).toBe('one connected')
  })

  test('a relay that was lost is dialled again soon, and its reservation counts anew', async () => {
    keep(R1)
    await clock.advance(0)
    reserve(R1)
    drop(open[0] as Connection)
    expect(states.at(-1)).toBe('one lost')
    await clock.advance(250)
    expect(states.slice(-2)).toEqual(['one connecting', 'one connected'])
    reserve(R1)
    expect(states.at(-1)).toBe('one reserved')
  })

  test('a relay that connects but grants no reservation is dropped after 15 seconds and asked again', async () => {
    keep(R1)
    await clock.advance(14_999)
    expect(dials).toHaveLength(1)
    await clock.advance(1)
    expect(states.slice(-1)).toEqual(['one lost'])
    await clock.advance(1_000)
    expect(dials).toHaveLength(2)
    reserve(R1)
    await clock.advance(60_000)
    expect(dials).toHaveLength(2)
  })

  test('several relays are kept each by itself', async () => {
    up.delete(R2)
    keep(R1, R2)
    await clock.advance(0)
    reserve(R1)
    await clock.advance(5_000)
    expect(states.filter(state => state.startsWith('one'))).toEqual(['one connecting', 'one connected', 'one reserved'])
    expect(states.filter(state => state.startsWith('two')).length).toBeGreaterThan(4)
    up.add(R2)
    await clock.advance(10_000)
    expect(states.at(-1)).toBe('two connected')
    reserve(R1)
    expect(states.at(-1)).toBe('two connected')
    reserve(R1, R2)
    expect(states.at(-1)).toBe('two reserved')
  })

  test('a second connection to a relay carries on when the first closes', async () => {
    keep(R1)
    await clock.advance(0)
    const second = connect(R1)
    drop(open[0] as Connection)
    expect(states).toEqual(['one connecting', 'one connected'])
    drop(second)
    expect(states.at(-1)).toBe('one lost')
  })

  test('connections to others are none of its business', async () => {
    keep(R1)
    await clock.advance(0)
    const other = connect(R2)
    drop(other)
    expect(states).toEqual(['one connecting', 'one connected'])
  })

  test('when it stops nothing is dialled any more, and a dial under way is called off', async () => {
    up.clear()
    keep(R1)
    await clock.advance(0)
    keeper.stop()
    expect(dials[0]?.signal.aborted).toBe(true)
    await clock.advance(60_000)
    expect(dials).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  test('half of each pause is drawn, so that not all dial a restarted relay at once', async () => {
    const pauses: number[] = []
    for (const drawn of [0, 0.5, 1]) {
      const at: number[] = []
      const other = new RelayKeeper({
        relays: [address(R1)],
        clock,
        random: { bytes: length => new Uint8Array(length), float: () => drawn },
        dial: async () => {
          at.push(clock.monotonic())
          throw new Error('down')
        },
        onState: () => {},
      })
      other.start()
      await clock.advance(600)
      other.stop()
      pauses.push((at[1] as number) - (at[0] as number))
    }
    expect(pauses).toEqual([250, 375, 500])
  })
})
