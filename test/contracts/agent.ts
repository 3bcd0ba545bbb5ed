import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { reply } from '../../src/agent/handlers.ts'
import { AfpDeliveryError, AfpRoutingError, AfpTimeoutError } from '../../src/common/errors.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import type { Content, Message } from '../../src/message/message.ts'
import { failure, until } from '../agent/waiting.ts'
import { type AgentWorld, acquainted } from '../agent/worlds.ts'
import { turn } from './waiting.ts'

/** One of each kind of content, with the type it gets. */
const contents: readonly [what: string, content: Content, contentType: string][] = [
  ['text', 'Grüße, 世界 🤖', 'text/plain'],
  ['empty text', '', 'text/plain'],
  ['text that looks like JSON', '{"a":1}', 'text/plain'],
  ['an object', { a: [1, -2.5, 1e300, null, true], b: { '': 'x' }, constructor: 'y' }, 'application/json'],
  ['an array', [1, [2, [3]]], 'application/json'],
  ['null', null, 'application/json'],
  ['a number', 42, 'application/json'],
  ['a truth value', false, 'application/json'],
  ['bytes', Uint8Array.from({ length: 256 }, (_, i) => i), 'application/octet-stream'],
  ['no bytes', new Uint8Array(), 'application/octet-stream'],
  ['many bytes', new Uint8Array(200_000).fill(7), 'application/octet-stream'],
]

/** What agents do for each other when nothing goes wrong. Every carrier has to bear it. */
export function agentContract(name: string, make: () => Promise<AgentWorld>): void {
  describe(name, () => {
    let world: AgentWorld
    let ada: Agent
    let bob: Agent
    let eve: Agent
    let stranger: string
    const unhandled: unknown[] = []
    const onUnhandled = (error: unknown): void => void unhandled.push(error)

    beforeAll(async () => {
      process.on('unhandledRejection', onUnhandled)
      world = await make()
      ada = await world.join('ada', { description: 'asks' })
      bob = await world.join('bob', { capabilities: ['sum', 'echo'] })
      eve = await world.join('eve', { capabilities: ['echo'] })
      await acquainted([ada, bob, eve])
      stranger = (await createIdentity()).id
    })
    afterEach(async () => {
      for (const agent of [ada, bob, eve]) {
        for (const subscription of agent.subscriptions.list()) subscription.unsubscribe()
        agent.receiveAll()
      }
      await turn()
      expect(unhandled).toEqual([])
    })
    afterAll(async () => {
      await world.close()
      process.off('unhandledRejection', onUnhandled)
    })

    /** What waits at `to` when everything that `from` sent it before has arrived. */
    const arrived = async (from: Agent, to: Agent): Promise<Message[]> => {
      const seen: Message[] = []
      const { id } = await from.send(to.id, 'all?')
      for (;;) {
        const message = await to.receive()
        if (message.id === id) return seen
        seen.push(message)
      }
    }

    /** Publishes until `count` peers have got it, and says what they got. */
    const published = async (agent: Agent, topic: string, content: Content, count: number): Promise<string> => {
      for (;;) {
        const { id, peers } = await agent.publish(topic, content)
        if (peers.length >= count) return id
        await turn()
      }
    }

    describe('direct messages', () => {
      test('a message reaches the agent of that name with all that its sender said about it', async () => {
        const parentId = '019b7656-c000-7000-8000-00000000000a'
        const receipt = await ada.send('bob', 'hello', {
          contentType: 'text/markdown; charset=utf-8',
          metadata: { deep: { list: [1, null] }, __proto__x: 'y' },
          parentId,
          priority: 7,
          ttl: 60,
          schema: 'greeting',
          guarantee: 'best-effort',
        })
        const message = await bob.receive()
        expect(message).toMatchObject({
          id: receipt.id,
          sender: ada.id,
          recipients: [bob.id],
          topic: undefined,
          contentType: 'text/markdown; charset=utf-8',
          content: 'hello',
          metadata: { deep: { list: [1, null] }, __proto__x: 'y' },
          parentId,
          priority: 7,
          ttl: 60,
          schema: 'greeting',
          guarantee: 'at-most-once',
          tracePath: [ada.id],
          security: { level: 'low', authenticatedBy: 'connection', roles: [] },
        })
        expect(receipt.recipients).toEqual(new Map([[bob.id, { status: 'sent' }]]))
        expect(await receipt.delivered).toBe(receipt.recipients)
      })

      test('an id reaches the same agent as its name', async () => {
        await ada.send(bob.id, 'by id')
        expect(await bob.receive()).toMatchObject({ content: 'by id', sender: ada.id })
      })

      test('several recipients get the same message, each once', async () => {
        const { id, recipients } = await ada.send(['bob', eve.id, bob.id, 'eve'], 'both')
        expect([...recipients.keys()].sort()).toEqual([bob.id, eve.id].sort())
        for (const agent of [bob, eve]) expect((await agent.receive()).id).toBe(id)
        expect([...(await arrived(ada, bob)), ...(await arrived(ada, eve))]).toEqual([])
      })

      test('what an agent sends itself arrives', async () => {
        await ada.send('ada', 'note to self')
        expect(await ada.receive()).toMatchObject({ sender: ada.id, recipients: [ada.id], content: 'note to self' })
        using _ = ada.handle(({ content }) => `self: ${content}`)
        expect((await ada.request(ada.id, 'x')).content).toBe('self: x')
      })

      test('hundreds sent at once in both directions arrive once each and in order', async () => {
        const numbers = Array.from({ length: 500 }, (_, i) => i)
        await Promise.all(numbers.flatMap(i => [ada.send(bob.id, i), bob.send(ada.id, i)]))
        expect((await arrived(ada, bob)).map(({ content }) => content)).toEqual(numbers)
        expect((await arrived(bob, ada)).map(({ content }) => content)).toEqual(numbers)
      })
    })

    describe('known faults of the Python code', () => {
      test('a direct message reaches its recipients and no bystander whose subscription matches everything', async () => {
        const seen: unknown[] = []
        eve.subscribe({}, message => void seen.push(message.content))
        await ada.send('bob', 'for bob alone')
        await bob.receive()
        await ada.send('eve', 'fence')
        await ada.broadcast('fence')
        expect((await bob.receive()).content).toBe('fence')
        while (seen.filter(content => content === 'fence').length < 2) await turn()
        expect(seen.filter(content => content !== 'fence')).toEqual([])
      })

      test('a broadcast reaches everyone but its sender', async () => {
        const own: unknown[] = []
        ada.subscribe({}, message => void own.push(message))
        const { id, peers } = await ada.broadcast({ anyone: true }, { priority: 3 })
        expect([...peers].sort()).toEqual([bob.id, eve.id].sort())
        for (const agent of [bob, eve]) {
          const message = await agent.receive()
          expect(message).toMatchObject({ id, sender: ada.id, recipients: ['*'], isBroadcast: true, priority: 3 })
          expect(message.security).toEqual({ level: 'low', authenticatedBy: 'signature', roles: [] })
          await agent.send('ada', 'got it')
        }
        while (own.length < 2) await turn()
        expect(own.filter(message => (message as Message).isBroadcast)).toEqual([])
      })

      test.each(contents)(
        '%s arrives as what it was, in a message and in a reply',
        async (_what, content, contentType) => {
          await ada.send('bob', content)
          const message = await bob.receive()
          expect(message).toMatchObject({ contentType })
          expect(message.content).toEqual(content)
          using _ = bob.handle(request => request.content)
          const answer = await ada.request('bob', content)
          expect(answer).toMatchObject({ contentType, sender: bob.id })
          expect(answer.content).toEqual(content)
          expect(answer.content instanceof Uint8Array).toBe(content instanceof Uint8Array)
        },
      )

      test('bytes keep the MIME type of what they are', async () => {
        const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47)
        await ada.send('bob', png, { contentType: 'image/png' })
        expect(await bob.receive()).toMatchObject({ contentType: 'image/png', content: png })
      })

      test('partial delivery is told: the receipt says who was not reached, and the others were', async () => {
        const dropped = until(ada, 'message:dropped')
        const receipt = await ada.send([bob.id, stranger], 'who gets it', { timeout: 20 })
        expect(await bob.receive()).toMatchObject({ id: receipt.id })
        expect(receipt.recipients.get(bob.id)).toEqual({ status: 'sent' })
        expect(receipt.recipients.get(stranger)).toMatchObject({ status: 'failed', error: { code: 'NO_ROUTE' } })
        expect(await dropped).toMatchObject({ id: receipt.id, peer: stranger, reason: 'not-sent' })
        // Nobody looked at `delivered` yet: its rejection waits for whoever does.
        await turn()
        await turn()
        expect(unhandled).toEqual([])
        const error = await failure(receipt.delivered)
        expect(error).toBeInstanceOf(AfpDeliveryError)
        expect(error).toMatchObject({
          code: 'DELIVERY_FAILED',
          messageId: receipt.id,
          guarantee: 'at-most-once',
          details: { failed: [stranger] },
        })
      })

      test('sending to agents of whom none is reached is an error', async () => {
        const others = [stranger, (await createIdentity()).id]
        expect(await failure(ada.send(others, 'x', { timeout: 20 }))).toMatchObject({
          name: 'AfpRoutingError',
          code: 'NO_ROUTE',
          recipients: others,
        })
        expect(await failure(ada.send(stranger, 'x', { timeout: 20 }))).toMatchObject({ code: 'NO_ROUTE' })
      })

      test('a handler that throws is an error for the requester and an event for its agent', async () => {
        using _ = bob.handle(() => {
          throw new TypeError('no such thing')
        })
        const told = until(bob, 'handler:error')
        const error = await failure(ada.request('bob', 'x'))
        expect(error).toBeInstanceOf(AfpDeliveryError)
        expect(error).toMatchObject({ code: 'HANDLER_FAILED', details: { by: bob.id } })
        expect(error.message).toContain('no such thing')
        expect(error.stack).not.toContain('handler.ts')
        expect(await told).toMatchObject({ error: { message: 'no such thing' } })
      })

      test('a reply arrives once: a second answer to a request is a message of its own', async () => {
        const replied = ada.request('bob', 'question')
        const question = await bob.receive()
        await bob.respond(question, 'first')
        await bob.respond(question, 'second')
        expect(await replied).toMatchObject({ content: 'first', parentId: question.id, sender: bob.id })
        expect(await ada.receive()).toMatchObject({ content: 'second', parentId: question.id })
        expect(await arrived(bob, ada)).toEqual([])
      })

      test('the trace path names who passed a message on, and does not grow by reading it', async () => {
        const answered = ada.request('bob', 'x')
        const question = await bob.receive()
        await bob.respond(question, 'y')
        expect(question.tracePath).toEqual([ada.id])
        expect((await answered).tracePath).toEqual([bob.id])
      })

      test('an agent that leaves is gone for the others, with its subscriptions', async () => {
        const dan = await world.join('dan', { peers: [ada, bob, eve].flatMap(agent => agent.addresses.slice(0, 1)) })
        await acquainted([ada, dan])
        const subscription = dan.subscribe({ topic: 'soon over' })
        await published(ada, 'soon over', 'x', 1)
        const left = until(ada, 'peer:offline', ({ id }) => id === dan.id)
        await dan.close()
        expect(await left).toEqual({ id: dan.id, reason: 'left' })
        expect(dan.subscriptions.size).toBe(0)
        expect(subscription.id).not.toBe('')
        expect(ada.peers().find(({ card }) => card.id === dan.id)).toMatchObject({ online: false, link: undefined })
        expect(await failure(ada.send(dan.id, 'x', { timeout: 20 }))).toMatchObject({ code: 'NO_ROUTE' })
        while ((await ada.publish('soon over', 'y')).peers.includes(dan.id)) await turn()
      })
    })

    describe('requests', () => {
      test('a request gets what the handler returns, and the handler knows that it is one', async () => {
        const contexts: boolean[] = []
        using _ = bob.handle<{ a: number; b: number }>(
          { contentType: 'application/json' },
          async (message, context) => {
            contexts.push(context.expectsReply)
            await turn()
            return { sum: message.content.a + message.content.b }
          },
        )
        const answer = await ada.request('bob', { a: 1, b: 2 })
        expect(answer).toMatchObject({ content: { sum: 3 }, recipients: [ada.id], sender: bob.id })
        await ada.send('bob', { a: 1, b: 2 })
        while (contexts.length < 2) await turn()
        expect(contexts).toEqual([true, false])
        expect(await arrived(bob, ada)).toEqual([])
      })

      test('a handler says more about its reply, or nothing at all', async () => {
        using _ = bob.handle({ contentType: 'text/plain' }, () =>
          reply('<p>', { contentType: 'text/html', metadata: { a: 1 }, priority: 2 }),
        )
        using __ = bob.handle(() => undefined)
        expect(await ada.request('bob', 'x')).toMatchObject({
          content: '<p>',
          contentType: 'text/html',
          metadata: { a: 1 },
          priority: 2,
        })
        expect((await ada.request('bob', 1)).content).toBeNull()
      })

      test('the first handler that matches gets the message, until it is removed', async () => {
        const first = bob.handle({ metadata: { to: 'first' } }, () => 'first')
        using _ = bob.handle(() => 'second')
        const ask = async (): Promise<Content> => (await ada.request('bob', 'x', { metadata: { to: 'first' } })).content
        expect(await ask()).toBe('first')
        expect((await ada.request('bob', 'x')).content).toBe('second')
        first[Symbol.dispose]()
        expect(await ask()).toBe('second')
      })

      test('hundreds at once get each its own reply', async () => {
        using _ = bob.handle<number>(async ({ content }) => {
          if (content % 3 === 0) await turn()
          return content * 2
        })
        const numbers = Array.from({ length: 300 }, (_, i) => i)
        const answers = await Promise.all(numbers.map(i => ada.request('bob', i)))
        expect(answers.map(({ content }) => content)).toEqual(numbers.map(i => i * 2))
      })

      test('a subscriber can answer as well', async () => {
        bob.subscribe({ contentType: 'text/plain' }, async message => {
          await bob.respond(message, `re: ${message.content}`)
        })
        expect((await ada.request('bob', 'x')).content).toBe('re: x')
      })

      test('nobody who takes a request is an error at once', async () => {
        using _ = bob.handle({ contentType: 'image/*' }, () => 'never')
        const error = await failure(ada.request('bob', 'x'))
        expect(error).toBeInstanceOf(AfpRoutingError)
        expect(error).toMatchObject({ code: 'NO_HANDLER', recipients: [bob.id], details: { by: bob.id } })
      })

      test('a handler whose own request found no handler has failed itself', async () => {
        using _ = bob.handle(() => bob.request('eve', 'and you?').then(({ content }) => content))
        expect(await failure(ada.request('bob', 'x'))).toMatchObject({
          name: 'AfpDeliveryError',
          code: 'HANDLER_FAILED',
        })
      })

      test('a reply that does not come in time is an error, and is refused when it comes late', async () => {
        const gate = Promise.withResolvers<string>()
        using _ = bob.handle(() => gate.promise)
        const error = await failure(ada.request('bob', 'x', { timeout: 30 }))
        expect(error).toBeInstanceOf(AfpTimeoutError)
        expect(error).toMatchObject({ code: 'TIMEOUT', timeoutSeconds: 0.03 })
        const refused = until(ada, 'refused')
        gate.resolve('late')
        expect(await refused).toMatchObject({ peer: bob.id, reason: 'unsolicited' })
      })

      test('an answer can be requested of an agent that offers a capability, and those that offer it take turns', async () => {
        using _ = bob.handle(() => 'bob')
        using __ = eve.handle(() => 'eve')
        const answers = new Map<Content, number>()
        for (let i = 0; i < 6; i++) {
          const { content } = await ada.request({ capability: 'echo' }, i)
          answers.set(content, (answers.get(content) ?? 0) + 1)
        }
        expect(Object.fromEntries(answers)).toEqual({ bob: 3, eve: 3 })
        expect((await ada.request({ capability: 'sum' }, 0)).content).toBe('bob')
        expect(await failure(ada.send({ capability: 'fly' }, 'x', { timeout: 20 }))).toMatchObject({
          name: 'AfpRoutingError',
          code: 'NO_CAPABLE_AGENT',
        })
      })

      test('a request has one recipient and an id of its own', async () => {
        expect(await failure(ada.request(['bob', 'eve'], 'x'))).toMatchObject({ code: 'INVALID_OPTION' })
        const id = '019b7656-c000-7000-8000-00000000000b'
        const first = ada.request('bob', 'x', { id })
        const question = await bob.receive()
        expect(await failure(ada.request('bob', 'x', { id }))).toMatchObject({ code: 'INVALID_OPTION' })
        await bob.respond(question, 'y')
        expect((await first).content).toBe('y')
        expect(await arrived(ada, bob)).toEqual([])
      })
    })

    describe('receiving', () => {
      test('receive waits for what comes and takes what waits, in order', async () => {
        const waiting = bob.receive()
        await ada.send('bob', 1)
        expect((await waiting).content).toBe(1)
        await ada.send('bob', 2)
        await ada.send('bob', 3)
        expect([(await bob.receive()).content, (await bob.receive()).content]).toEqual([2, 3])
      })

      test('receive ends with its time and with its signal, and loses nothing', async () => {
        expect(await failure(bob.receive({ timeout: 10 }))).toMatchObject({
          name: 'AfpTimeoutError',
          timeoutSeconds: 0.01,
        })
        const gone = new AbortController()
        const waiting = failure(bob.receive({ signal: gone.signal }))
        const reason = new Error('not interested')
        gone.abort(reason)
        expect(await waiting).toBe(reason)
        await ada.send('bob', 'still here')
        expect((await bob.receive()).content).toBe('still here')
      })

      test('receiveAll takes everything that waits and nothing twice', async () => {
        for (const i of [1, 2, 3]) await ada.send('bob', i)
        const fence = bob.subscribe({ metadata: { fence: true } })
        await ada.send('bob', 'fence', { metadata: { fence: true } })
        await fence[Symbol.asyncIterator]().next()
        expect(bob.receiveAll().map(({ content }) => content)).toEqual([1, 2, 3])
        expect(bob.receiveAll()).toEqual([])
      })

      test('what a handler or a subscription took is not received as well', async () => {
        const taken: Content[] = []
        using _ = bob.handle({ contentType: 'application/json' }, ({ content }) => taken.push(content))
        bob.subscribe({ contentType: 'image/*' }, ({ content }) => void taken.push(content))
        await ada.send('bob', 1)
        await ada.send('bob', Uint8Array.of(2), { contentType: 'image/png' })
        expect(await arrived(ada, bob)).toEqual([])
        expect(taken).toEqual([1, Uint8Array.of(2)])
      })
    })

    describe('topics', () => {
      test('what is published reaches those that subscribed to the topic, and nobody else', async () => {
        const news = bob.subscribe({ topic: 'news' })
        const other = eve.subscribe({ topic: 'weather' })
        const everything: Message[] = []
        eve.subscribe({}, message => void everything.push(message))
        const id = await published(ada, 'news', { headline: 'x' }, 1)
        for await (const message of news) {
          if (message.id !== id) continue
          expect(message).toMatchObject({ topic: 'news', sender: ada.id, recipients: [], content: { headline: 'x' } })
          break
        }
        await published(ada, 'weather', 'rain', 1)
        for await (const message of other) {
          expect(message).toMatchObject({ topic: 'weather', content: 'rain' })
          break
        }
        expect(everything).toEqual([])
        expect(await arrived(ada, bob)).toEqual([])
      })

      test('leaving the loop leaves the topic', async () => {
        const subscription = bob.subscribe({ topic: 'short' })
        await published(ada, 'short', 'x', 1)
        for await (const _ of subscription) break
        expect(bob.subscriptions.get(subscription.id)).toBeUndefined()
        while ((await ada.publish('short', 'y')).peers.length > 0) await turn()
      })

      test('one topic may have many subscriptions, each with its own filter', async () => {
        const got: string[] = []
        bob.subscribe({ topic: 'many', contentType: 'text/*' }, ({ content }) => void got.push(`text ${content}`))
        bob.subscribe({ topic: 'many', sender: 'ada' }, ({ content }) => void got.push(`ada ${content}`))
        bob.subscribe({ topic: 'many', sender: 'eve' }, ({ content }) => void got.push(`eve ${content}`))
        bob.subscribe({ topic: 'many', where: ({ content }) => content === 'one' }, () => void got.push('one'))
        const subscription = bob.subscribe({ topic: 'many', maxMessages: 1, description: 'the first' })
        await published(ada, 'many', 'one', 1)
        while (got.length < 3) await turn()
        expect(got.sort()).toEqual(['ada one', 'one', 'text one'])
        expect(subscription).toMatchObject({ receivedCount: 1, description: 'the first' })
        expect(bob.subscriptions.get(subscription.id)).toBeUndefined()
      })

      test('a regular expression filters too, once its engine is there', async () => {
        const subscription = bob.subscribe({ topic: 'patterns', metadata: { kind: /^a+$/ } })
        await published(ada, 'patterns', 0, 1)
        await ada.publish('patterns', 1, { metadata: { kind: 'b' } })
        await ada.publish('patterns', 2, { metadata: { kind: 'aaa' } })
        for await (const { content } of subscription) {
          expect(content).toBe(2)
          break
        }
      })
    })

    describe('what is wrong is refused before anything is sent', () => {
      test.each<[string, () => Promise<unknown>, string]>([
        ['nobody', () => ada.send([], 'x'), 'NO_RECIPIENT'],
        ['an empty name', () => ada.send('', 'x'), 'NO_RECIPIENT'],
        ['no name at all', () => ada.send(undefined as never, 'x'), 'NO_RECIPIENT'],
        ['something that is no target', () => ada.send({ capable: 'of' } as never, 'x'), 'NO_RECIPIENT'],
        ["'*'", () => ada.send('*', 'x'), 'NO_RECIPIENT'],
        ["'*' among others", () => ada.send(['bob', '*'], 'x'), 'NO_RECIPIENT'],
        [
          'an unknown name beside a known one',
          () => ada.send(['bob', 'nobody'], 'x', { timeout: 20 }),
          'UNKNOWN_RECIPIENT',
        ],
        [
          'too many',
          () => ada.send([bob.id, ...Array.from({ length: 64 }, (_, i) => `a${i}`)], 'x'),
          'INVALID_MESSAGE',
        ],
        ['an expired message', () => ada.send('bob', 'x', { timestamp: 1, ttl: 1 }), 'MESSAGE_EXPIRED'],
        ['a message from the future', () => ada.send('bob', 'x', { timestamp: 4e15 }), 'INVALID_MESSAGE'],
        ['an undone guarantee', () => ada.send('bob', 'x', { guarantee: 'at-least-once' }), 'GUARANTEE_UNSUPPORTED'],
        ['another undone one', () => ada.send('bob', 'x', { guarantee: 'exactly-once' }), 'GUARANTEE_UNSUPPORTED'],
        ['an unknown guarantee', () => ada.send('bob', 'x', { guarantee: 'maybe' as never }), 'INVALID_OPTION'],
        ['a priority of 10', () => ada.send('bob', 'x', { priority: 10 }), 'INVALID_PRIORITY'],
        ['a negative time to live', () => ada.send('bob', 'x', { ttl: -1 }), 'INVALID_TTL'],
        ['no MIME type', () => ada.send('bob', 'x', { contentType: 'text' }), 'INVALID_CONTENT_TYPE'],
        ['metadata that is no object', () => ada.send('bob', 'x', { metadata: [] as never }), 'INVALID_METADATA'],
        ['an id that is no UUID', () => ada.send('bob', 'x', { id: 'x' }), 'INVALID_MESSAGE'],
        ['undefined', () => ada.send('bob', undefined as never), 'INVALID_CONTENT'],
        ['a function', () => ada.send('bob', (() => {}) as never), 'INVALID_CONTENT'],
        ['too much', () => ada.send('bob', new Uint8Array(300_000)), 'MESSAGE_TOO_LARGE'],
        ['a bad timeout', () => ada.send('bob', 'x', { timeout: Number.NaN }), 'INVALID_OPTION'],
        ['a bad topic', () => ada.publish('$broadcast', 'x'), 'INVALID_TOPIC'],
        ['no topic', () => ada.publish('', 'x'), 'INVALID_TOPIC'],
        ['an expired broadcast', () => ada.broadcast('x', { timestamp: 1 }), 'MESSAGE_EXPIRED'],
        ['a request with a bad timeout', () => ada.request('bob', 'x', { timeout: -1 }), 'INVALID_OPTION'],
        ['an expired request', () => ada.request('bob', 'x', { timestamp: 1, ttl: 1 }), 'MESSAGE_EXPIRED'],
      ])('%s', async (_what, attempt, code) => {
        expect(await failure(attempt())).toMatchObject({ code })
        expect(await arrived(ada, bob)).toEqual([])
      })

      test('what cannot be handled or subscribed is refused at once', () => {
        const code = (wanted: string) => expect.objectContaining({ code: wanted })
        expect(() => bob.handle(undefined as never)).toThrow(code('INVALID_OPTION'))
        expect(() => bob.handle({ topic: 'news' }, () => {})).toThrow(code('INVALID_FILTER'))
        expect(() => bob.handle({ securityLevel: 'ultra' as never }, () => {})).toThrow(code('INVALID_FILTER'))
        expect(() => bob.subscribe({ topic: '$broadcast' })).toThrow(code('INVALID_TOPIC'))
        expect(() => bob.subscribe({ maxMessages: 0 })).toThrow(code('INVALID_OPTION'))
        expect(() => bob.subscribe({ expiresAt: 1 })).toThrow(code('INVALID_OPTION'))
        bob.subscribe({ id: 'mine' })
        expect(() => bob.subscribe({ id: 'mine' })).toThrow(code('DUPLICATE_SUBSCRIPTION'))
        bob.unsubscribe('mine')
        expect(() => bob.unsubscribe('mine')).toThrow(code('UNKNOWN_SUBSCRIPTION'))
      })

      test('a signal that has fired stops everything before anything is sent', async () => {
        const reason = new Error('changed my mind')
        const signal = AbortSignal.abort(reason)
        const subscription = bob.subscribe({ topic: 'called off' })
        await published(ada, 'called off', 'go', 1)
        const question = ada.send('bob', 'question').then(() => bob.receive())
        const attempts = [
          ada.send('bob', 'x', { signal }),
          ada.send(['bob', 'eve'], 'x', { signal }),
          ada.send('nobody', 'x', { signal }),
          ada.send({ capability: 'fly' }, 'x', { signal }),
          ada.request('bob', 'x', { signal }),
          ada.publish('called off', 'x', { signal }),
          ada.broadcast('x', { signal }),
          ada.receive({ signal }),
          ada.waitFor('nobody', { signal }),
          ada.connect(bob.addresses[0] as string, { signal }),
          question.then(message => ada.respond(message, 'x', { signal })),
        ].map(attempt => failure(attempt))
        for (const attempt of attempts) expect(await attempt).toBe(reason)
        expect(() => ada.subscribe({ signal })).toThrow(reason)
        expect(await arrived(ada, bob)).toEqual([])
        await published(ada, 'called off', 'end', 1)
        for await (const { content } of subscription) {
          expect(content).not.toBe('x')
          if (content === 'end') break
        }
      })

      test('a signal that fires while something waits ends the wait with its reason', async () => {
        const reason = new Error('too slow')
        const aborting = new AbortController()
        const { signal } = aborting
        const asked = Promise.withResolvers<void>()
        const done = Promise.withResolvers<void>()
        using _ = bob.handle(() => {
          asked.resolve()
          return done.promise
        })
        const waits = [
          ada.send('nobody', 'x', { signal }),
          ada.send(stranger, 'x', { signal }),
          ada.send({ capability: 'fly' }, 'x', { signal }),
          ada.request('bob', 'x', { signal }),
          ada.receive({ signal }),
          ada.waitFor('nobody', { signal }),
        ].map(wait => failure(wait))
        await asked.promise
        waits.push(failure(bob.drain({ signal })))
        aborting.abort(reason)
        for (const wait of waits) expect(await wait).toBe(reason)
        done.resolve()
        await bob.drain()
      })
    })

    describe('knowing each other', () => {
      test('peers tell who is there, with their cards and links', () => {
        const peers = ada.peers()
        expect(peers.map(({ card }) => card.id)).not.toContain(ada.id)
        const peer = peers.find(({ card }) => card.id === bob.id)
        expect(peer).toMatchObject({
          online: true,
          hidden: false,
          card: { name: 'bob', mesh: 'demo', capabilities: ['sum', 'echo'] },
          link: { peer: bob.id, kind: 'direct' },
        })
        expect(bob.peers().find(({ card }) => card.id === ada.id)?.card.description).toBe('asks')
        expect(ada.card).toMatchObject({ id: ada.id, name: 'ada', mesh: 'demo' })
        expect(ada.addresses.length).toBeGreaterThan(0)
      })

      test('waitFor waits for a name or an id, and not for ever if told so', async () => {
        expect((await ada.waitFor('bob')).card.id).toBe(bob.id)
        expect((await ada.waitFor(bob.id)).card.name).toBe('bob')
        expect(await failure(ada.waitFor('nobody', { timeout: 10 }))).toMatchObject({
          name: 'AfpTimeoutError',
          timeoutSeconds: 0.01,
        })
      })

      test('an address that leads to nobody, or says nobody, is an error', async () => {
        expect(await failure(ada.connect('/ip4/127.0.0.1/tcp/1'))).toMatchObject({ code: 'INVALID_ADDRESS' })
        expect(await failure(ada.connect('nonsense'))).toMatchObject({ code: 'INVALID_ADDRESS' })
        const nobody = (bob.addresses[0] as string).replace(`/p2p/${bob.id}`, `/p2p/${stranger}`)
        expect(await failure(ada.connect(nobody))).toMatchObject({ code: 'NO_ROUTE', recipients: [stranger] })
      })

      test('an agent of another mesh is not let in, and nobody of it is known', async () => {
        const alien = await world.join('alien', { mesh: 'elsewhere', peers: [] })
        const refused = until(alien, 'refused')
        expect(await failure(ada.connect(alien.addresses[0] as string))).toMatchObject({
          code: 'NO_ROUTE',
          recipients: [alien.id],
        })
        expect(await refused).toMatchObject({ peer: ada.id, reason: 'wrong-mesh' })
        expect([...alien.peers(), ...ada.peers().filter(({ card }) => card.id === alien.id)]).toEqual([])
        expect(await failure(alien.send(ada.id, 'x', { timeout: 20 }))).toMatchObject({ code: 'NO_ROUTE' })
        await alien.close()
      })

      test('metrics count what was sent, received, dropped and refused', async () => {
        ada.metrics.reset()
        bob.metrics.reset()
        await ada.send('bob', 'counted')
        await bob.receive()
        await failure(ada.send(stranger, 'x', { timeout: 10 }))
        const counters = Object.fromEntries(ada.metrics.snapshot().counters.map(({ name, value }) => [name, value]))
        expect(counters).toMatchObject({ 'messages.sent': 1, 'messages.dropped': 1 })
        expect(ada.metrics.snapshot().histograms.find(({ name }) => name === 'message.bytes.sent')?.count).toBe(1)
        expect(bob.metrics.counter('messages.received').value).toBe(1)
      })
    })
  })
}
