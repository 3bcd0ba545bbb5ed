import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/common/bytes.ts'
import type { Channel, Connection } from '../../src/network/carrier.ts'
import { FrameReader, frameOf } from '../../src/network/frames.ts'
import { DIRECT_PROTOCOL } from '../../src/network/mesh.ts'
import { FRAME, MAX_FRAME, Member, type NetworkWorld, Stranger, stillTalk } from './network-world.ts'
import { eventually, turn, until } from './waiting.ts'

/** What a network does with peers that read slowly, not at all, or open channels without end. */
export function slowPeersContract(name: string, make: () => Promise<NetworkWorld>): void {
  describe(`${name}, with peers that read slowly or not at all`, () => {
    let world: NetworkWorld
    let a: Member
    let b: Member
    let mallory: Stranger
    beforeEach(async () => {
      world = await make()
      a = await Member.start(world, 'ada', { maxQueuedBytes: 1_048_576 })
      b = await Member.start(world, 'bob')
      mallory = await Stranger.start(world)
      await a.connect(b)
    })
    afterEach(async () => {
      await mallory.carrier.stop()
      await world.close()
    })

    /** A member's channel, paused once hellos are exchanged, and the texts that arrive when it goes on. */
    async function wedged(): Promise<{ channel: Channel; texts: string[] }> {
      const texts: string[] = []
      const reader = new FrameReader(
        2 ** 20,
        frame => (frame[0] === FRAME ? texts.push(fromUtf8(frame.subarray(1)).split(' ')[0] as string) : undefined),
        fault => {
          throw new Error(fault)
        },
      )
      const linked = eventually(a.network, 'link:open', () => a.network.link(mallory.id) !== undefined)
      const channel = await (await mallory.dial(a)).open(DIRECT_PROTOCOL)
      channel.attach({ data: chunk => reader.push(chunk), closed: () => {} })
      channel.send(await mallory.hello(world))
      await linked
      channel.pause()
      return { channel, texts }
    }

    /** Sends frames that name themselves until no more may wait; resolves with those that wait. */
    async function fillUp(signal?: AbortSignal): Promise<Map<string, Promise<void>>> {
      const waiting = new Map<string, Promise<void>>()
      let full = false
      for (let i = 0; !full; i++) {
        const text = `${i}`
        const frame = frameOf(FRAME, utf8(`${text} ${'x'.repeat(MAX_FRAME - 100)}`))
        const sent = a.network.send(mallory.id, frame, { signal })
        waiting.set(text, sent)
        sent.then(
          () => waiting.delete(text),
          error => {
            if (error.code !== 'QUEUE_FULL') return
            waiting.delete(text)
            full = true
          },
        )
        await turn()
      }
      return waiting
    }

    test('a send to a peer that stopped reading ends with its signal, and never leaves then', async () => {
      const { channel, texts } = await wedged()
      const off = new AbortController()
      const waiting = await fillUp(off.signal)
      // As much as the member's option says: one mebibyte.
      expect(waiting.size).toBeGreaterThan(10)
      expect(waiting.size).toBeLessThan(18)
      const takenBack = [...waiting]
      off.abort(new Error('no time'))
      for (const [, sent] of takenBack) await expect(sent).rejects.toThrow('no time')
      const last = a.network.send(mallory.id, frameOf(FRAME, utf8('last')))
      channel.resume()
      await last
      while (!texts.includes('last')) await turn()
      expect(texts.filter(text => takenBack.some(([other]) => other === text))).toEqual([])
      await stillTalk(a, b)
    })

    test('a member that leaves does not wait for ever for a peer that reads nothing', async () => {
      await wedged()
      const waiting = await fillUp()
      const ends = [...waiting.values()].map(sent => expect(sent).rejects.toMatchObject({ code: 'NO_ROUTE' }))
      const offline = until(b.network, 'peer:offline')
      await a.network.stop()
      await Promise.all(ends)
      expect(await offline).toEqual({ id: a.id, reason: 'left' })
    })

    test('what was sent before its sender left reaches a recipient that is slower', async () => {
      const free = Promise.withResolvers<void>()
      b.work = () => free.promise
      const texts = Array.from({ length: 600 }, (_, i) => `frame ${i}`)
      await Promise.all(texts.slice(0, 300).map(text => a.send(b, text)))
      await b.received(() => b.frames.length >= 256)
      await Promise.all(texts.slice(300).map(text => a.send(b, text)))
      // Where closing waits for the reader, a goodbye by gossip is there first.
      const gone = Promise.race([until(b.network, 'link:closed'), until(b.network, 'peer:offline')])
      const stopping = a.network.stop()
      await gone
      b.work = undefined
      free.resolve()
      await b.received(() => b.frames.length === texts.length)
      await stopping
      expect(b.frames).toEqual(texts.map(text => ({ from: a.id, text })))
      expect(b.network.link(a.id)).toBeUndefined()
    })

    describe('channels without end', () => {
      /** Opens a channel and says hello, or nothing at all; `over` resolves when it ends, `answered` when bytes come. */
      async function open(connection: Connection, hello?: Uint8Array) {
        const over = Promise.withResolvers<void>()
        const answered = Promise.withResolvers<void>()
        const channel = await connection.open(DIRECT_PROTOCOL)
        channel.attach({ data: () => answered.resolve(), closed: () => over.resolve() })
        try {
          if (hello !== undefined) channel.send(hello)
        } catch {
          // Dropped already; `over` tells it.
        }
        return { channel, over: over.promise, answered: answered.promise }
      }

      const overflows = (): number => a.refused.filter(({ reason }) => reason === 'overflow').length

      test('four of a connection may be without a hello; more are dropped and counted, and others go on', async () => {
        const connection = await mallory.dial(a)
        let over = 0
        for (let i = 0; i < 4; i++) (await open(connection)).over.then(() => over++)
        await stillTalk(a, b)
        expect(overflows()).toBe(0)
        await (await open(connection)).over
        await (await open(connection)).over
        await a.refuses('overflow', mallory.id)
        expect(overflows()).toBe(2)
        expect(over).toBe(0)
        await stillTalk(a, b)
        // Another connection has room.
        const linked = eventually(a.network, 'link:open', () => a.network.link(mallory.id) !== undefined)
        await open(await mallory.dial(a), await mallory.hello(world))
        await linked
      })

      test('eight of a peer may be open over all its connections; when one ends there is room again', async () => {
        const hello = await mallory.hello(world)
        const first = await open(await mallory.dial(a), hello)
        await first.answered
        for (let i = 1; i < 8; i++) await (await open(await mallory.dial(a), hello)).answered
        expect(overflows()).toBe(0)
        const connection = await mallory.dial(a)
        await (await open(connection, hello)).over
        await a.refuses('overflow', mallory.id)
        first.channel.abort(new Error('enough'))
        for (let room = false; !room; ) {
          const next = await open(connection, hello)
          room = await Promise.race([next.answered.then(() => true), next.over.then(() => false)])
          await turn()
        }
        await stillTalk(a, b)
      })
    })
  })
}
