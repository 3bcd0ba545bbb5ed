/** What happens to requests and their replies. */

import { beforeAll, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { reply } from '../../src/agent/handlers.ts'
import { AfpRoutingError, AfpTimeoutError } from '../../src/common/errors.ts'
import type { Content, Message } from '../../src/message/message.ts'
import { failure, until } from '../agent/waiting.ts'
import type { AgentTrio } from './agent-trio.ts'
import { turn } from './waiting.ts'

export function agentRequests(trio: AgentTrio): void {
  const { arrived } = trio
  let ada: Agent
  let bob: Agent
  let eve: Agent
  beforeAll(() => {
    ;({ ada, bob, eve } = trio)
  })

  describe('requests', () => {
    test('a request gets what the handler returns, and the handler knows that it is one', async () => {
      const contexts: boolean[] = []
      using _ = bob.handle<{ a: number; b: number }>({ contentType: 'application/json' }, async (message, context) => {
        contexts.push(context.expectsReply)
        await turn()
        return { sum: message.content.a + message.content.b }
      })
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

    test('a reply comes with the guarantee of its request, whoever answers it', async () => {
      const guarantees = ['at-most-once', 'at-least-once', 'exactly-once'] as const
      const ask = async () => {
        const replies = guarantees.map(guarantee => ada.request('bob', 'x', { guarantee }))
        return (await Promise.all(replies)).map(({ guarantee }) => guarantee)
      }
      {
        using _ = bob.handle(() => 'handled')
        expect(await ask()).toEqual(guarantees)
      }
      using _ = bob.subscribe({ sender: 'ada' }, async message => void (await bob.respond(message, 'read')))
      expect(await ask()).toEqual(guarantees)
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

    test('however many ask meanwhile, a reader answers whom it has taken a question from', async () => {
      const taken: Message[] = []
      const subscription = bob.subscribe({ contentType: 'text/plain' }, message => void taken.push(message))
      const answer = ada.request('bob', 'the first', { timeout: 60_000 })
      while (taken.length < 1) await turn()
      const stop = new AbortController()
      const { signal } = stop
      const others = Array.from({ length: 1_100 }, (_, i) =>
        eve.request('bob', `${i}`, { guarantee: 'at-most-once', timeout: 60_000, signal }).catch(() => {}),
      )
      while (taken.length < 1_101) await turn()
      await bob.respond(taken.find(({ sender }) => sender === ada.id) as Message, 'the answer')
      expect((await answer).content).toBe('the answer')
      subscription.unsubscribe()
      stop.abort()
      await Promise.all(others)
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
      expect(await failure(ada.request('bob', 'x', { id }))).toMatchObject({ code: 'DUPLICATE_MESSAGE' })
      await bob.respond(question, 'y')
      expect((await first).content).toBe('y')
      expect(await arrived(ada, bob)).toEqual([])
    })
  })
}
