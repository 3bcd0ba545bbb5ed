import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/common/bytes.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import type { Channel } from '../../src/network/carrier.ts'
import { type MemoryCarrier, type MemoryFaults, MemoryNet } from '../../src/network/memory.ts'

const SEEDS = [1, 2, 3, 5, 8, 13, 21, 34]

/** A network with peers a, b and so on, driven by hand. */
async function network(seed: number, names = ['a', 'b'], options: { silenceTimeout?: number } = {}) {
  const clock = new DrivenClock()
  const net = new MemoryNet({ clock, random: seededRandom(seed), ...options })
  const peers = names.map(name => net.carrier(name))
  for (const peer of peers) await peer.start()
  return { clock, net, peers: peers as [MemoryCarrier, MemoryCarrier, MemoryCarrier] }
}

/** A channel from a to b, and the texts that arrived at each of them, with the time. */
async function channel(a: MemoryCarrier, b: MemoryCarrier, clock: DrivenClock) {
  const at = { a: [] as string[], b: [] as string[], times: [] as number[], ends: [] as string[] }
  const listen = (side: 'a' | 'b', end: Channel): void =>
    end.attach({
      data: chunk => {
        at[side].push(fromUtf8(chunk))
        at.times.push(clock.monotonic())
      },
      closed: error => at.ends.push(`${side}: ${error === undefined ? 'end' : 'error'}`),
    })
  let there: Channel | undefined
  b.handle('/test/1', theirs => {
    there = theirs
    listen('b', theirs)
  })
  const here = await (await a.dial(b.id, b.addresses())).open('/test/1')
  listen('a', here)
  return { here, there: there as unknown as Channel, at }
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i))

const sendAll = (end: Channel, texts: readonly string[]): void => {
  for (const text of texts) end.send(utf8(text))
}

describe('Faults of single writes', () => {
  test.each(SEEDS)(
    'lost writes leave the others whole and in order, and the first is never one of them (seed %i)',
    async seed => {
      const { clock, net, peers } = await network(seed)
      const { here, at } = await channel(peers[0], peers[1], clock)
      net.setFaults({ loss: 0.3 })
      sendAll(here, numbers(1_000))
      await clock.advance(1_000)
      expect(at.b[0]).toBe('0')
      expect(at.b).toEqual(numbers(1_000).filter(text => at.b.includes(text)))
      expect(at.b.length).toBeGreaterThan(600)
      expect(at.b.length).toBeLessThan(800)
      expect(net.history.filter(({ type }) => type === 'lost')).toHaveLength(1_000 - at.b.length)
    },
  )

  test.each(SEEDS)('duplicated writes arrive twice, one behind the other (seed %i)', async seed => {
    const { clock, net, peers } = await network(seed)
    const { here, at } = await channel(peers[0], peers[1], clock)
    net.setFaults({ duplication: 0.3 })
    sendAll(here, numbers(500))
    await clock.advance(1_000)
    expect([...new Set(at.b)]).toEqual(numbers(500))
    const twice = at.b.filter((text, i) => at.b[i - 1] === text)
    expect(twice.length).toBe(at.b.length - 500)
    expect(twice.length).toBeGreaterThan(100)
    expect(twice).not.toContain('0')
  })

  test.each(SEEDS)('reordered writes all arrive, others before them, the first in its place (seed %i)', async seed => {
    const { clock, net, peers } = await network(seed)
    const { here, at } = await channel(peers[0], peers[1], clock)
    net.setFaults({ reordering: 0.2, reorderWindow: 30 })
    sendAll(here, numbers(200))
    const closing = here.close()
    await clock.advance(100)
    await closing
    expect(at.b[0]).toBe('0')
    expect(at.b).not.toEqual(numbers(200))
    expect([...at.b].sort()).toEqual(numbers(200).sort())
    // The end waits for those that were held back.
    expect(at.ends).toEqual(['b: end', 'a: end'])
  })

  test.each(SEEDS)('a delay is drawn between its bounds and keeps the order (seed %i)', async seed => {
    const { clock, net, peers } = await network(seed)
    const { here, at } = await channel(peers[0], peers[1], clock)
    net.setFaults({ delay: [20, 60] })
    sendAll(here, numbers(100))
    await clock.advance(19.9)
    expect(at.b).toEqual([])
    await clock.advance(40.1)
    expect(at.b).toEqual(numbers(100))
    expect(new Set(at.times).size).toBeGreaterThan(1)
  })

  test('where everything is lost no dial and no opening succeeds', async () => {
    const { net, peers } = await network(1)
    const [a, b] = peers
    const connection = await a.dial('b', b.addresses())
    b.handle('/test/1', () => {})
    net.setFaults({ loss: 1 })
    await expect(connection.open('/test/1')).rejects.toMatchObject({ code: 'NETWORK_FAILED' })
    await expect(a.dial('b', b.addresses())).rejects.toMatchObject({ code: 'NETWORK_FAILED' })
  })

  test('a sender that does not wait for a reader is dropped before it fills the memory', async () => {
    const { clock, peers } = await network(1)
    const { here, there, at } = await channel(peers[0], peers[1], clock)
    there.pause()
    const chunk = new Uint8Array(65_536)
    let sent = 0
    expect(() => {
      while (sent < 1_000) {
        here.send(chunk)
        sent++
      }
    }).toThrow()
    await clock.advance(0)
    expect(sent * chunk.length).toBeLessThan(5 * 1_048_576)
    expect(at.ends).toEqual(['a: error', 'b: error'])
  })

  test('what travels is a copy: the sender may use its array again', async () => {
    const { clock, peers } = await network(1)
    const { here, at } = await channel(peers[0], peers[1], clock)
    const bytes = utf8('first')
    here.send(bytes)
    bytes.fill(0)
    await clock.advance(0)
    expect(at.b).toEqual(['first'])
  })

  test.each([{ loss: 1.1 }, { duplication: -1 }, { reordering: Number.NaN }, { delay: [5, 1] as const }])(
    'what is no fault is refused: %o',
    async (faults: Partial<MemoryFaults>) => {
      const { net } = await network(1)
      expect(() => net.setFaults(faults)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    },
  )
})

describe('Cuts', () => {
  test('what is sent during a partition waits and arrives in order when it heals in time', async () => {
    const { clock, net, peers } = await network(1)
    const { here, there, at } = await channel(peers[0], peers[1], clock)
    net.partition(['a'], ['b'])
    sendAll(here, numbers(10))
    sendAll(there, numbers(10))
    await clock.advance(9_000)
    expect([at.a, at.b]).toEqual([[], []])
    net.heal()
    await clock.advance(20_000)
    expect([at.a, at.b]).toEqual([numbers(10), numbers(10)])
    expect(at.ends).toEqual([])
  })

  test('a partition that lasts ends the connection for both, and the way is free again after it', async () => {
    const { clock, net, peers } = await network(1)
    const [a, b] = peers
    const { here, at } = await channel(a, b, clock)
    net.partition(['a'], ['b'])
    here.send(utf8('never'))
    await clock.advance(10_000)
    expect(at.ends.sort()).toEqual(['a: error', 'b: error'])
    expect([a.connections(), b.connections()]).toEqual([[], []])
    net.heal()
    await clock.advance(1_000)
    expect(at.b).toEqual([])
    await expect(a.dial('b', b.addresses())).resolves.toMatchObject({ peer: 'b' })
  })

  test('a dial into a partition fails after its timeout, not before', async () => {
    const { clock, net, peers } = await network(1)
    net.partition(['a'], ['b'])
    let failed = false
    const dial = peers[0].dial('b', peers[1].addresses()).catch(() => {
      failed = true
    })
    await clock.advance(4_999)
    expect(failed).toBe(false)
    await clock.advance(1)
    await dial
    expect(failed).toBe(true)
  })

  test('a partition leaves those on the same side alone', async () => {
    const { clock, net, peers } = await network(1, ['a', 'b', 'c'])
    const [a, b, c] = peers
    net.partition(['a', 'b'], ['c'])
    const { here, at } = await channel(a, b, clock)
    here.send(utf8('still here'))
    const cut = a.dial('c', c.addresses())
    cut.catch(() => {})
    await clock.advance(5_000)
    expect(at.b).toEqual(['still here'])
    await expect(cut).rejects.toMatchObject({ code: 'NETWORK_FAILED' })
  })

  test('a one-way cut stops one direction only', async () => {
    const { clock, net, peers } = await network(1, ['a', 'b'], { silenceTimeout: Number.POSITIVE_INFINITY })
    const { here, there, at } = await channel(peers[0], peers[1], clock)
    net.cut('a', 'b')
    here.send(utf8('there'))
    there.send(utf8('back'))
    await clock.advance(60_000)
    expect([at.a, at.b]).toEqual([['back'], []])
    net.heal('a', 'b')
    await clock.advance(0)
    expect(at.b).toEqual(['there'])
  })

  test('gossip that meets a cut is lost, though its publisher counted the peer', async () => {
    const { clock, net, peers } = await network(1)
    const [a, b] = peers
    const heard: string[] = []
    a.subscribe('t', () => 'accept')
    b.subscribe('t', data => {
      heard.push(fromUtf8(data))
      return 'accept'
    })
    await a.dial('b', b.addresses())
    await clock.advance(0)
    net.partition(['a'], ['b'])
    expect(await a.publish('t', utf8('lost'))).toEqual(['b'])
    net.heal()
    expect(await a.publish('t', utf8('heard'))).toEqual(['b'])
    await clock.advance(1_000)
    expect(heard).toEqual(['heard'])
  })
})

describe('Ends without notice', () => {
  test('a killed connection closes for both at once', async () => {
    const { clock, net, peers } = await network(1)
    const { at } = await channel(peers[0], peers[1], clock)
    expect(net.kill('b', 'a')).toBe(1)
    expect(at.ends.sort()).toEqual(['a: error', 'b: error'])
    expect([peers[0].connections(), peers[1].connections()]).toEqual([[], []])
    expect(net.kill('a', 'b')).toBe(0)
  })

  test('a crash is noticed by its silence, and the crashed peer itself does nothing more', async () => {
    const { clock, net, peers } = await network(1)
    const [a, b] = peers
    const { here, at } = await channel(a, b, clock)
    const told: string[] = []
    b.addEventListener('connection:close', () => told.push('b'))
    net.crash('b')
    here.send(utf8('never'))
    await clock.advance(9_999)
    expect(at.ends).toEqual([])
    await clock.advance(1)
    expect(at.ends).toEqual(['a: error'])
    expect([told, at.b, b.addresses(), b.connections()]).toEqual([[], [], [], []])
    await expect(b.dial('a', a.addresses())).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('a peer that comes back to its place ends connections of its last life and can be dialled', async () => {
    const { clock, net, peers } = await network(1)
    const { at } = await channel(peers[0], peers[1], clock)
    net.crash('b')
    const again = net.carrier('b')
    await again.start()
    await clock.advance(0)
    expect(at.ends).toEqual(['a: error'])
    await expect(peers[0].dial('b', again.addresses())).resolves.toMatchObject({ peer: 'b' })
  })

  test('two peers may claim one id from different places, never one place', async () => {
    const { net, peers } = await network(1)
    const twin = net.carrier('b', { place: 'elsewhere' })
    await twin.start()
    expect((await peers[0].dial('b', twin.addresses())).peer).toBe('b')
    await expect(net.carrier('b').start()).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })
})

test('rejected gossip counts against whoever forwarded it', async () => {
  const { clock, net, peers } = await network(1, ['a', 'b', 'c'])
  const [a, b, c] = peers
  for (const peer of [a, b]) peer.subscribe('t', () => 'accept')
  c.subscribe('t', () => 'reject')
  await a.dial('b', b.addresses())
  await b.dial('c', c.addresses())
  await clock.advance(0)
  await a.publish('t', utf8('one'))
  await a.publish('t', utf8('two'))
  await clock.advance(0)
  expect([c.rejections('b'), c.rejections('a'), b.rejections('a')]).toEqual([2, 0, 0])
  expect(net.history.filter(({ type }) => type === 'rejected').map(({ from, to }) => [from, to])).toEqual([
    ['b', 'c'],
    ['b', 'c'],
  ])
})

describe('Replays', () => {
  const everything = { delay: [1, 40], loss: 0.15, duplication: 0.1, reordering: 0.2, reorderWindow: 60 } as const

  /** Three peers under every fault, a partition and a kill among them. Returns all that happened and was heard. */
  const run = async (seed: number) => {
    const { clock, net, peers } = await network(seed, ['a', 'b', 'c'])
    const [a, b, c] = peers
    const heard: string[] = []
    for (const peer of peers) {
      peer.subscribe('t', (data, from) => {
        heard.push(`${peer.id} ${fromUtf8(data)} ${from}`)
        return 'accept'
      })
    }
    await b.dial('c', c.addresses())
    const { here, there, at } = await channel(a, b, clock)
    net.setFaults(everything)
    for (let step = 0; step < 40; step++) {
      here.send(utf8(`there ${step}`))
      there.send(utf8(`back ${step}`))
      await a.publish('t', utf8(`news ${step}`))
      if (step === 10) net.partition(['a', 'b'], ['c'])
      if (step === 20) net.heal()
      await clock.advance(15)
    }
    net.kill('a', 'b')
    await clock.advance(1_000)
    return { history: net.history, heard, at }
  }

  test('the same seed and the same calls give the same history', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async seed => {
        const [first, second] = [await run(seed), await run(seed)]
        expect(first.history.length).toBeGreaterThan(200)
        expect(second).toEqual(first)
      }),
      { numRuns: 15 },
    )
  })

  test('different seeds give different histories', async () => {
    const histories = await Promise.all(SEEDS.map(async seed => JSON.stringify((await run(seed)).history)))
    expect(new Set(histories).size).toBe(SEEDS.length)
  })

  test('the history keeps no more than it was asked to', async () => {
    const clock = new DrivenClock()
    const net = new MemoryNet({ clock, random: seededRandom(1), historySize: 10 })
    const [a, b] = [net.carrier('a'), net.carrier('b')]
    await Promise.all([a.start(), b.start()])
    const { here } = await channel(a, b, clock)
    sendAll(here, numbers(100))
    await clock.advance(0)
    expect(net.history).toHaveLength(10)
    expect(net.history.at(-1)).toMatchObject({ type: 'delivered', from: 'a', to: 'b' })
  })
})
