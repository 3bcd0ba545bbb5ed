import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { equal, utf8 } from '../../src/common/bytes.ts'
import { seededRandom } from '../../src/common/random.ts'
import type { Carrier, Connection, Verdict } from '../../src/network/carrier.ts'
import { Inbox, pour, Reader } from './carrier-ends.ts'
import { eventually, flows, repeatUntil, turn, until } from './waiting.ts'

/** A place in which carriers reach each other. */
export interface CarrierWorld {
  /** A new carrier with an id of its own, started and able to be dialled. */
  create(): Promise<Carrier>
  close(): Promise<void>
}

/** Bytes that a sender may have under way to a reader that paused: well below this. */
const MOST_BUFFERED = 16 * 1_048_576

/** What a carrier does when nothing goes wrong. Every implementation passes it. */
export function carrierContract(name: string, make: () => Promise<CarrierWorld>): void {
  describe(name, () => {
    let world: CarrierWorld
    let a: Carrier
    let b: Carrier
    let c: Carrier
    beforeEach(async () => {
      world = await make()
      a = await world.create()
      b = await world.create()
      c = await world.create()
    })
    afterEach(() => world.close())

    const connect = async (from: Carrier, to: Carrier): Promise<{ out: Connection; in: Connection }> => {
      const opened = until(to, 'connection:open', ({ peer }) => peer === from.id)
      const out = await from.dial(to.id, to.addresses())
      return { out, in: await opened }
    }

    /** Both ends of a channel from `from` to `to`, with what arrives at each. */
    const channel = async (from: Carrier, to: Carrier, protocol = '/test/1'): Promise<[Reader, Reader]> => {
      const taken = Promise.withResolvers<Reader>()
      to.handle(protocol, theirs => taken.resolve(new Reader(theirs)))
      const { out } = await connect(from, to)
      const mine = new Reader(await out.open(protocol))
      mine.channel.send(utf8('hello'))
      const theirs = await taken.promise
      expect(await theirs.take(5)).toEqual(utf8('hello'))
      return [mine, theirs]
    }

    describe('connections', () => {
      test('its addresses end in its id and lead straight to it', () => {
        expect(a.addresses().length).toBeGreaterThan(0)
        for (const address of a.addresses()) {
          expect(address.endsWith(`/p2p/${a.id}`)).toBe(true)
          expect(b.reach(address)).toBe('direct')
        }
      })

      test('an address of no kind it knows cannot be dialled', async () => {
        expect(a.reach('/carrier-pigeon/home')).toBeUndefined()
        await expect(a.dial(b.id, ['/carrier-pigeon/home'])).rejects.toThrow()
      })

      test('a dialled connection shows at both ends, each with the id of the other', async () => {
        const { out, in: into } = await connect(a, b)
        expect([out.peer, out.outbound, out.kind]).toEqual([b.id, true, 'direct'])
        expect([into.peer, into.outbound, into.kind]).toEqual([a.id, false, 'direct'])
        expect(a.connections().map(({ peer }) => peer)).toEqual([b.id])
        expect(b.connections().map(({ peer }) => peer)).toEqual([a.id])
        expect(out.transport).toBe(into.transport)
      })

      test('whoever answers with another id than the dialled one is refused', async () => {
        const elsewhere = b.addresses().map(address => address.replace(`/p2p/${b.id}`, `/p2p/${c.id}`))
        await expect(a.dial(c.id, elsewhere)).rejects.toThrow()
        await expect(a.dial(c.id, b.addresses())).rejects.toThrow()
        expect(a.connections().filter(({ peer }) => peer === c.id)).toEqual([])
      })

      test('a second dial makes a second connection beside the first', async () => {
        const first = await connect(a, b)
        const second = await connect(a, b)
        expect(second.out.id).not.toBe(first.out.id)
        expect(a.connections()).toHaveLength(2)
      })

      test('a closed connection closes at both ends', async () => {
        const { out } = await connect(a, b)
        const gone = [until(a, 'connection:close'), until(b, 'connection:close')]
        await out.close()
        expect((await Promise.all(gone)).map(({ peer }) => peer)).toEqual([b.id, a.id])
        expect([...a.connections(), ...b.connections()]).toEqual([])
      })

      // At once: long before pings find out that nobody answers any more.
      test('an aborted connection closes at both ends and takes its channels with it', { timeout: 5_000 }, async () => {
        const [mine, theirs] = await channel(a, b)
        mine.channel.connection.abort(new Error('enough'))
        await Promise.all([mine.closed, theirs.closed])
        await eventually(a, 'connection:close', () => a.connections().length === 0)
        await eventually(b, 'connection:close', () => b.connections().length === 0)
      })

      test('a dial and an opening end with the reason of their signal', async () => {
        const off = AbortSignal.abort(new Error('called off'))
        await expect(a.dial(b.id, b.addresses(), { signal: off })).rejects.toThrow()
        const { out } = await connect(a, b)
        b.handle('/test/1', () => {})
        await expect(out.open('/test/1', { signal: off })).rejects.toThrow()
      })
    })

    describe('channels', () => {
      test('a protocol that the peer does not speak is not opened', async () => {
        const { out } = await connect(a, b)
        await expect(out.open('/nobody/speaks/this')).rejects.toThrow()
      })

      test('either side of a connection can open a channel', async () => {
        const { in: into } = await connect(a, b)
        const taken = Promise.withResolvers<Reader>()
        a.handle('/test/1', theirs => taken.resolve(new Reader(theirs)))
        const mine = new Reader(await into.open('/test/1'))
        mine.channel.send(utf8('ping'))
        const theirs = await taken.promise
        expect(await theirs.take(4)).toEqual(utf8('ping'))
        expect(theirs.channel.connection.peer).toBe(b.id)
        theirs.channel.send(utf8('pong'))
        expect(await mine.take(4)).toEqual(utf8('pong'))
      })

      test('two megabytes each way at once arrive whole and in order', async () => {
        const [mine, theirs] = await channel(a, b)
        const there = seededRandom(1).bytes(2 * 1_048_576)
        const back = seededRandom(2).bytes(2 * 1_048_576)
        const sent = Promise.all([pour(mine.channel, there), pour(theirs.channel, back)])
        const [atB, atA] = await Promise.all([theirs.take(there.length), mine.take(back.length)])
        await sent
        expect(equal(atB, there)).toBe(true)
        expect(equal(atA, back)).toBe(true)
      })

      test('channels of one connection do not mix', async () => {
        const { out } = await connect(a, b)
        const taken: Reader[] = []
        const all = Promise.withResolvers<void>()
        b.handle('/test/1', theirs => {
          if (taken.push(new Reader(theirs)) === 3) all.resolve()
        })
        const opened = await Promise.all([1, 2, 3].map(() => out.open('/test/1')))
        for (const [i, one] of opened.entries()) {
          new Reader(one)
          one.send(utf8(`channel ${i}`))
        }
        await all.promise
        const texts = await Promise.all(taken.map(reader => reader.take(9)))
        expect(texts.map(text => new TextDecoder().decode(text)).sort()).toEqual([
          'channel 0',
          'channel 1',
          'channel 2',
        ])
      })

      test('a reader that pauses holds the sender back until it resumes', async () => {
        const [mine, theirs] = await channel(a, b)
        const [ping, pong] = await channel(a, b, '/test/echo')
        pong.onData = chunk => pong.channel.send(chunk)
        const chunk = new Uint8Array(65_536)
        // Twice: whoever waited for room once has to wait again.
        for (let round = 0; round < 2; round++) {
          theirs.channel.pause()
          let total = 0
          let stop = false
          let refused = false
          const sending = (async () => {
            while (!stop && total < MOST_BUFFERED) {
              total += chunk.length
              if (mine.channel.send(chunk)) continue
              refused = true
              await mine.channel.drained()
            }
          })()
          // Round trips on another connection show that time passes while nothing more is taken.
          let before = -1
          while (total !== before) {
            before = total
            for (let i = 0; i < 20; i++) {
              ping.channel.send(Uint8Array.of(i))
              await ping.take(1)
            }
          }
          expect(refused).toBe(true)
          expect(total).toBeLessThan(MOST_BUFFERED)
          stop = true
          theirs.channel.resume()
          await sending
          await theirs.take(total)
        }
      })

      test('waiting for room ends when the channel does, or with its signal', async () => {
        const [mine, theirs] = await channel(a, b)
        theirs.channel.pause()
        let total = 0
        while (total < MOST_BUFFERED && mine.channel.send(new Uint8Array(65_536))) total += 65_536
        expect(total).toBeLessThan(MOST_BUFFERED)
        const off = new AbortController()
        const calledOff = mine.channel.drained({ signal: off.signal })
        const cutOff = mine.channel.drained()
        off.abort(new Error('called off'))
        await expect(calledOff).rejects.toThrow('called off')
        mine.channel.abort(new Error('enough'))
        await expect(cutOff).rejects.toThrow()
      })

      test('a closed channel delivers what was sent before and ends without an error', async () => {
        const [mine, theirs] = await channel(a, b)
        const bytes = seededRandom(3).bytes(200_000)
        await pour(mine.channel, bytes)
        const closing = mine.channel.close()
        expect(equal(await theirs.take(bytes.length), bytes)).toBe(true)
        expect(await theirs.closed).toBeUndefined()
        await closing
        expect(await mine.closed).toBeUndefined()
        expect(() => mine.channel.send(utf8('late'))).toThrow()
        await expect(mine.channel.drained()).rejects.toThrow()
      })

      test('what came before its connection was closed reaches a reader that had paused, and then the end', async () => {
        const [mine, theirs] = await channel(a, b)
        theirs.channel.pause()
        const bytes = seededRandom(4).bytes(100_000)
        await pour(mine.channel, bytes)
        const gone = until(b, 'connection:close')
        await mine.channel.connection.close()
        await gone
        expect(theirs.closings).toBe(0)
        theirs.channel.resume()
        expect(equal(await theirs.take(bytes.length), bytes)).toBe(true)
        expect(await theirs.closed).toBeUndefined()
      })

      test('an aborted channel ends with an error at the other side, and the connection goes on', async () => {
        const [mine, theirs] = await channel(a, b)
        mine.channel.abort(new Error('enough'))
        expect(await theirs.closed).toBeInstanceOf(Error)
        await mine.closed
        // Whoever is slower to notice may still pause it.
        for (const { channel: over } of [mine, theirs]) over.pause()
        for (const { channel: over } of [mine, theirs]) over.resume()
        expect([mine.closings, theirs.closings]).toEqual([1, 1])
        const taken = Promise.withResolvers<Reader>()
        b.handle('/test/1', next => taken.resolve(new Reader(next)))
        const again = new Reader(await mine.channel.connection.open('/test/1'))
        again.channel.send(utf8('again'))
        expect(await (await taken.promise).take(5)).toEqual(utf8('again'))
      })
    })

    describe('gossip', () => {
      const TOPIC = '/test/topic'

      /** Makes carriers join the topic and see each other in it. */
      const join = async (members: readonly Carrier[], verdict: (data: string) => Verdict = () => 'accept') => {
        const inboxes = members.map(member => {
          const inbox = new Inbox()
          member.subscribe(TOPIC, (data, from) => {
            inbox.add(new TextDecoder().decode(data), from)
            return verdict(new TextDecoder().decode(data))
          })
          return inbox
        })
        return inboxes
      }
      const meet = async (one: Carrier, other: Carrier): Promise<void> => {
        await eventually(one, 'subscription', () => one.subscribers(TOPIC).includes(other.id))
        await flows(one, other)
      }

      /** a - b - c, all in the topic and aware of their neighbours. */
      const line = async (verdict?: (data: string) => Verdict): Promise<[Inbox, Inbox, Inbox]> => {
        const inboxes = await join([a, b, c], verdict)
        await Promise.all([connect(a, b), connect(b, c)])
        await Promise.all([meet(a, b), meet(b, a), meet(b, c), meet(c, b)])
        return inboxes as [Inbox, Inbox, Inbox]
      }

      test('publishing with nobody there reaches nobody, and that is no error', async () => {
        await join([a])
        expect(await a.publish(TOPIC, utf8('anyone?'))).toEqual([])
      })

      test('a message reaches every subscriber once, over others too, and not its publisher', async () => {
        const [atA, atB, atC] = await line()
        // A mesh forms within a heartbeat; until then gossip may miss a hop that is not direct.
        expect(await repeatUntil(() => a.publish(TOPIC, utf8(`news ${++round}`)), atC.next(/^news/))).toContain(b.id)
        const text = await atC.next(/^news/)
        expect(atC.from.get(text)).toBe(b.id)
        expect(atB.from.get(text)).toBe(a.id)
        expect(atB.texts.filter(other => other === text)).toHaveLength(1)
        expect(atC.texts.filter(other => other === text)).toHaveLength(1)
        expect(atA.texts).toEqual([])
      })

      test('what a peer rejects goes no further, and what is ignored neither', async () => {
        const verdicts = new Map<string, Verdict>([
          ['bad', 'reject'],
          ['dull', 'ignore'],
        ])
        const [, atB, atC] = await line(data => verdicts.get(data) ?? 'accept')
        await a.publish(TOPIC, utf8('bad'))
        await a.publish(TOPIC, utf8('dull'))
        await repeatUntil(() => a.publish(TOPIC, utf8(`good ${++round}`)), atC.next(/^good/))
        expect(atB.texts.slice(0, 2).sort()).toEqual(['bad', 'dull'])
        expect(atC.texts.filter(text => !text.startsWith('good'))).toEqual([])
      })

      test('a rejected message does not suppress an honest one that claims the same position', async () => {
        const [, atB, atC] = await line(data => (data.startsWith('1 forged') ? 'reject' : 'accept'))
        await a.publish(TOPIC, utf8('1 forged'))
        await atB.next(/forged/)
        await repeatUntil(() => a.publish(TOPIC, utf8(`1 honest ${++round}`)), atC.next(/honest/))
        expect(await atB.next(/honest/)).toContain('1 honest')
        expect(atC.texts.some(text => text.includes('forged'))).toBe(false)
      })

      test('a copy on another topic does not suppress the message', async () => {
        const [, atB] = await line()
        const decoy = new Inbox()
        b.subscribe('/test/decoy', data => {
          decoy.add(new TextDecoder().decode(data), '')
          return 'reject'
        })
        a.subscribe('/test/decoy', () => 'accept')
        await eventually(a, 'subscription', () => a.subscribers('/test/decoy').includes(b.id))
        await a.publish('/test/decoy', utf8('said once'))
        await decoy.next(/said once/)
        await a.publish(TOPIC, utf8('said once'))
        expect(await atB.next(/said once/)).toBe('said once')
      })

      test('whoever left a topic gets nothing of it any more, and its neighbours know', async () => {
        const [, atB] = await line()
        const left = until(a, 'subscription', ({ peer, subscribed }) => peer === b.id && !subscribed)
        b.unsubscribe(TOPIC)
        expect(await left).toMatchObject({ topic: TOPIC })
        expect(a.subscribers(TOPIC)).not.toContain(b.id)
        expect(await a.publish(TOPIC, utf8('gone?'))).toEqual([])
        expect(atB.texts).toEqual([])
      })

      test('a neighbour that is gone is no subscriber any more', async () => {
        await line()
        await a.stop()
        while (b.subscribers(TOPIC).includes(a.id)) await turn()
        expect(b.subscribers(TOPIC)).toEqual([c.id])
      })

      test('topics do not mix', async () => {
        const [, atB] = await line()
        const other = new Inbox()
        b.subscribe('/test/other', data => {
          other.add(new TextDecoder().decode(data), '')
          return 'accept'
        })
        a.subscribe('/test/other', () => 'accept')
        await eventually(a, 'subscription', () => a.subscribers('/test/other').includes(b.id))
        await repeatUntil(() => a.publish('/test/other', utf8(`else ${++round}`)), other.next(/^else/))
        expect(atB.texts).toEqual([])
      })
    })

    describe('stopping', () => {
      test('it closes every connection and channel, and can be asked again', async () => {
        const [, theirs] = await channel(a, b)
        await connect(c, a)
        const gone = [until(b, 'connection:close'), until(c, 'connection:close')]
        await Promise.all([a.stop(), a.stop()])
        await a.stop()
        await Promise.all(gone)
        await theirs.closed
        expect([...a.connections(), ...b.connections(), ...c.connections()]).toEqual([])
      })

      test('a stopped carrier is not reached and reaches nobody', async () => {
        const addresses = b.addresses()
        await b.stop()
        await expect(a.dial(b.id, addresses)).rejects.toThrow()
        await expect(b.dial(a.id, a.addresses())).rejects.toThrow()
        await expect(b.publish('/test/topic', utf8('late'))).rejects.toThrow()
      })
    })
  })
}

let round = 0
