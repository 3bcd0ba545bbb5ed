import { beforeEach, describe, expect, test } from 'vitest'
import { type ConnectorWorld, connectorWorld, DIRECT, ELSEWHERE, RELAYED, WEBRTC } from './connector-world.ts'

let clock: ConnectorWorld['clock']
let carrier: ConnectorWorld['carrier']
let cards: ConnectorWorld['cards']
let links: ConnectorWorld['links']
let connector: ConnectorWorld['connector']
beforeEach(() => {
  ;({ clock, carrier, cards, links, connector } = connectorWorld())
})

const times = (): number[] => carrier.times()
const pauses = (): number[] => carrier.pauses()

describe('Who dials whom', () => {
  test('of two alike the one with the lower id dials at once, the other only when nothing came in four seconds', async () => {
    for (const id of ['a', 'z']) {
      cards.set(id, { addresses: [WEBRTC] })
      connector.consider(id)
    }
    await clock.advance(0)
    expect(carrier.dials.map(({ peer }) => peer)).toEqual(['z'])
    links.set('z', 'direct')
    await clock.advance(3_999)
    expect(carrier.dials.filter(({ peer }) => peer === 'a')).toEqual([])
    await clock.advance(1)
    expect(carrier.dials.at(-1)?.peer).toBe('a')
  })

  test('one that listens is dialled by one that does not, whatever their ids', async () => {
    cards.set('a', { addresses: [DIRECT] })
    connector.consider('a')
    await clock.advance(0)
    expect(carrier.dials).toMatchObject([{ peer: 'a', addresses: [DIRECT] }])
  })

  test('a failed dial is tried again with growing pauses, at most ten seconds apart, and news begin anew', async () => {
    cards.set('z', { addresses: [DIRECT] })
    connector.consider('z')
    await clock.advance(60_000)
    expect(pauses()).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000, 10_000])
    carrier.dials = []
    const start = clock.monotonic()
    cards.set('z', { addresses: [ELSEWHERE] })
    connector.consider('z')
    await clock.advance(1_000)
    expect(times()).toEqual([start, start + 1_000])
  })

  test('an agent that is back is dialled at once, however often it could not be before', async () => {
    cards.set('z', { addresses: [DIRECT] })
    connector.consider('z')
    await clock.advance(60_000)
    connector.forget('z', 'silent')
    await clock.advance(60_000)
    carrier.dials = []
    const start = clock.monotonic()
    connector.consider('z')
    await clock.advance(1_000)
    expect(times()).toEqual([start, start + 1_000])
  })

  test('a relayed link that cannot be made direct is tried less and less, at most a minute apart', async () => {
    links.set('z', 'relayed')
    cards.set('z', { addresses: [DIRECT] })
    connector.consider('z')
    await clock.advance(200_000)
    expect(pauses()).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000].slice(0, pauses().length))
    expect(pauses().length).toBeGreaterThanOrEqual(7)
  })

  test('a relayed link is made where the direct way fails, and the direct way is tried on', async () => {
    cards.set('z', { addresses: [WEBRTC, RELAYED] })
    carrier.answer = async (peer, addresses) => {
      if (addresses.includes(WEBRTC)) throw new Error('no way')
      links.set(peer, 'relayed')
    }
    connector.consider('z')
    await clock.advance(10_000)
    expect(carrier.dials.filter(({ addresses }) => addresses.includes(RELAYED))).toHaveLength(1)
    expect(carrier.dials.filter(({ addresses }) => addresses.includes(WEBRTC)).length).toBeGreaterThan(2)
    carrier.answer = async peer => void links.set(peer, 'direct')
    await clock.advance(60_000)
    const count = carrier.dials.length
    await clock.advance(600_000)
    expect(carrier.dials).toHaveLength(count)
  })

  test('what is agreed on through a relay waits for the relayed connection, and whoever wants to send shares that', async () => {
    cards.set('z', { addresses: [WEBRTC, RELAYED] })
    const relayed = Promise.withResolvers<void>()
    carrier.answer = async (peer, addresses) => {
      if (addresses.includes(RELAYED)) await relayed.promise
      links.set(peer, addresses.includes(RELAYED) ? 'relayed' : 'direct')
    }
    connector.consider('z')
    await clock.advance(0)
    const hurried = connector.hurry('z')
    expect(carrier.dials).toMatchObject([{ addresses: [RELAYED] }])
    relayed.resolve()
    await hurried
    expect(carrier.dials).toMatchObject([{ addresses: [RELAYED] }, { addresses: [WEBRTC] }])
  })

  test('an agent that listens itself is not dialled through a relay first', async () => {
    cards.set('z', { addresses: [DIRECT, WEBRTC, RELAYED] })
    connector.consider('z')
    await clock.advance(0)
    expect(carrier.dials[0]).toMatchObject({ addresses: [DIRECT, WEBRTC] })
  })

  test('a relayed link without a better address is left as it is', async () => {
    cards.set('z', { addresses: [RELAYED, '/udp/nothing'] })
    carrier.answer = async peer => void links.set(peer, 'relayed')
    connector.consider('z')
    await clock.advance(600_000)
    expect(carrier.dials).toHaveLength(1)
  })

  test('a lost link is made again', async () => {
    cards.set('z', { addresses: [DIRECT] })
    carrier.answer = async peer => void links.set(peer, 'direct')
    connector.consider('z')
    await clock.advance(10_000)
    links.delete('z')
    connector.lost('z')
    await clock.advance(0)
    expect(carrier.dials).toHaveLength(2)
  })

  test.each([
    ['dialled', false],
    ['opened by the other side', true],
  ])('a direct link, %s, makes up for all failures before it', async (_how, byThem) => {
    const fail = carrier.answer
    cards.set('z', { addresses: [DIRECT] })
    connector.consider('z')
    await clock.advance(30_000)
    if (byThem) links.set('z', 'direct')
    else carrier.answer = async peer => void links.set(peer, 'direct')
    await clock.advance(30_000)
    carrier.answer = fail
    carrier.dials = []
    links.delete('z')
    connector.lost('z')
    await clock.advance(8_000)
    expect(pauses()).toEqual([1_000, 2_000, 4_000])
  })

  test('the side that need not dial waits four seconds, not four from each thing it hears', async () => {
    cards.set('a', { addresses: [WEBRTC] })
    for (let i = 0; i < 5; i++) {
      connector.consider('a')
      await clock.advance(1_000)
    }
    expect(times()).toEqual([4_000, 5_000])
  })

  test('nobody is dialled that is offline, gone, linked already or the 49th', async () => {
    connector.consider('offline')
    cards.set('gone', { addresses: [DIRECT] })
    connector.consider('gone')
    connector.forget('gone', 'left')
    cards.set('linked', { addresses: [DIRECT] })
    links.set('linked', 'direct')
    connector.consider('linked')
    for (let i = 1; i < 48; i++) links.set(`other ${i}`, 'direct')
    cards.set('z', { addresses: [DIRECT] })
    connector.consider('z')
    await clock.advance(60_000)
    expect(carrier.dials).toEqual([])
    await connector.hurry('z')
    expect(carrier.dials).toMatchObject([{ peer: 'z' }])
  })

  test('dials beside relayed links that all fail slowly are two at a time, each ends after ten seconds, and everyone has a turn', async () => {
    const pending = new Set<string>()
    let most = 0
    carrier.answer = (peer, _addresses, signal) =>
      new Promise((_resolve, reject) => {
        pending.add(peer)
        most = Math.max(most, pending.size)
        signal.addEventListener('abort', () => {
          pending.delete(peer)
          reject(signal.reason)
        })
      })
    for (let i = 0; i < 10; i++) {
      cards.set(`z${i}`, { addresses: [WEBRTC] })
      links.set(`z${i}`, 'relayed')
      connector.consider(`z${i}`)
    }
    await clock.advance(9_999)
    expect(carrier.dials).toHaveLength(2)
    await clock.advance(90_000)
    expect(most).toBe(2)
    expect(new Set(carrier.dials.map(({ peer }) => peer)).size).toBe(10)
  })

  test('dials that succeed are up to six at a time', async () => {
    const gates: (() => void)[] = []
    let most = 0
    carrier.answer = peer =>
      new Promise<void>(resolve => {
        gates.push(() => {
          links.set(peer, 'direct')
          resolve()
        })
        most = Math.max(most, gates.length)
      })
    for (let i = 0; i < 40; i++) {
      cards.set(`z${i}`, { addresses: [DIRECT] })
      connector.consider(`z${i}`)
    }
    await clock.advance(0)
    for (let gate = gates.shift(); gate !== undefined; gate = gates.shift()) {
      gate()
      await clock.advance(0)
    }
    expect(most).toBe(6)
    expect(links.size).toBe(40)
  })

  test('any number that want to send to one agent share its dials', async () => {
    cards.set('z', { addresses: [WEBRTC, RELAYED] })
    await Promise.all(Array.from({ length: 50 }, () => connector.hurry('z')))
    expect(carrier.dials).toHaveLength(2)
  })

  test('when somebody wants to send, the relayed way and the direct one are both taken', async () => {
    cards.set('z', { addresses: [WEBRTC, RELAYED] })
    await connector.hurry('z')
    expect(carrier.dials.map(({ addresses }) => addresses[0])).toContain(RELAYED)
    expect(carrier.dials.map(({ addresses }) => addresses[0])).toContain(WEBRTC)
  })

  test('when it stops dials are called off and nothing is dialled any more', async () => {
    let reason: unknown
    carrier.answer = (_peer, _addresses, signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => {
          reason = signal.reason
          reject(signal.reason)
        }),
      )
    cards.set('z', { addresses: [DIRECT] })
    connector.consider('z')
    await clock.advance(0)
    connector.stop()
    expect(reason).toBeDefined()
    connector.consider('z')
    await clock.advance(60_000)
    expect(carrier.dials).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })
})
