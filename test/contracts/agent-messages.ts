/** What happens to direct messages and broadcasts. */

import { beforeAll, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { AfpDeliveryError } from '../../src/common/errors.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import type { Content, Message } from '../../src/message/message.ts'
import { failure, until } from '../agent/waiting.ts'
import { type AgentWorld, acquainted } from '../agent/worlds.ts'
import type { AgentTrio } from './agent-trio.ts'
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

export function agentMessages(trio: AgentTrio): void {
  const { arrived, published, unhandled } = trio
  let ada: Agent
  let bob: Agent
  let eve: Agent
  let world: AgentWorld
  let stranger: string
  beforeAll(() => {
    ;({ ada, bob, eve, world, stranger } = trio)
  })

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
        requiresAck: false,
        tracePath: [ada.id],
        security: { level: 'high', authenticatedBy: 'signature', roles: [] },
      })
      expect(receipt.recipients).toEqual(new Map([[bob.id, { status: 'sent', state: 'sent' }]]))
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

  describe('known faults of the example code in the published specification', () => {
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
      expect(receipt.recipients.get(bob.id)).toEqual({ status: 'sent', state: 'sent' })
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

    test('a name that nobody has keeps nothing from the others', async () => {
      const receipt = await ada.send(['bob', 'nobody'], 'who gets it')
      expect(await bob.receive()).toMatchObject({ id: receipt.id, recipients: [bob.id] })
      expect(receipt.recipients.get('nobody')).toMatchObject({ status: 'failed', error: { code: 'UNKNOWN_RECIPIENT' } })
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
      const unlinked = until(ada, 'link:closed', ({ peer }) => peer === dan.id)
      await dan.close()
      expect(await left).toEqual({ id: dan.id, reason: 'left' })
      // Its goodbye comes before the end of the link.
      await unlinked
      expect(dan.subscriptions.size).toBe(0)
      expect(subscription.id).not.toBe('')
      expect(ada.peers().find(({ card }) => card.id === dan.id)).toMatchObject({ online: false, link: undefined })
      expect(await failure(ada.send(dan.id, 'x', { timeout: 20 }))).toMatchObject({ code: 'NO_ROUTE' })
      while ((await ada.publish('soon over', 'y')).peers.includes(dan.id)) await turn()
    })
  })
}
