import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Agent } from '../../src/agent/agent.ts'
import { createAgent } from '../../src/agent/create-agent.ts'
import { reply } from '../../src/agent/handlers.ts'
import type { AgentOptions } from '../../src/agent/options.ts'
import { exponentialRetry, fixedRetry, untilExpiry } from '../../src/delivery/retry.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import type { Message } from '../../src/message/message.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { failure } from './waiting.ts'
import { ada, adaAndBob, type DrivenWorld, world as driven, drivenWorld } from './worlds.ts'

let world: DrivenWorld
beforeEach(() => {
  world = drivenWorld()
})
afterEach(() => world.close())

/** Makes an agent that must not come to be. */
const attempt = (options: Record<string, unknown>): Promise<unknown> =>
  createAgent({
    name: 'ada',
    mesh: 'demo',
    carrier: () => {
      throw new Error('started')
    },
    ...options,
  } as AgentOptions)

describe('createAgent', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['an empty name', { name: '' }, 'INVALID_NAME'],
    ['no name', { name: undefined }, 'INVALID_NAME'],
    ['a name of two scripts', { name: 'аda' }, 'INVALID_NAME'],
    ['a name of 65 characters', { name: 'x'.repeat(65) }, 'INVALID_NAME'],
    ['no mesh', { mesh: undefined }, 'INVALID_CARD'],
    ['an empty mesh', { mesh: '' }, 'INVALID_CARD'],
    ['a mesh with a line break', { mesh: 'a\nb' }, 'INVALID_CARD'],
    ['a long description', { description: 'x'.repeat(257) }, 'INVALID_CARD'],
    ['an empty capability', { capabilities: [''] }, 'INVALID_CARD'],
    ['too many capabilities', { capabilities: Array(65).fill('x') }, 'INVALID_CARD'],
    ['a relay that is no address', { relays: ['relay.example'] }, 'INVALID_ADDRESS'],
    ['a relay without an id', { relays: ['/dns4/relay.example/tcp/443/wss'] }, 'INVALID_ADDRESS'],
    ['a peer without an id', { peers: ['/ip4/127.0.0.1/tcp/1'] }, 'INVALID_ADDRESS'],
    ['an unknown limit', { limits: { bytes: 1 } }, 'INVALID_OPTION'],
    ['a limit of nothing', { limits: { frameBytes: 0 } }, 'INVALID_OPTION'],
    ['messages larger than letters', { deadLetters: { maxBytes: 2 ** 18 } }, 'INVALID_OPTION'],
    ['frames too small for acknowledgements', { limits: { frameBytes: 65_535, messageBytes: 11 } }, 'INVALID_OPTION'],
    ['messages larger than frames', { limits: { frameBytes: 65_536, messageBytes: 65_536 } }, 'INVALID_OPTION'],
    ['an unknown guarantee', { guarantee: 'surely' }, 'INVALID_OPTION'],
  ])('refuses %s, and nothing is started', async (_what, options, code) => {
    expect(await failure(attempt(options))).toMatchObject({ code })
  })

  const sparse = Object.assign([], { 1: '/ip4/127.0.0.1/tcp/0' })

  test.each<[string, Record<string, unknown>, string]>([
    ['an unknown option', { relay: [] }, "createAgent() has no option 'relay'; it takes name, mesh, relays, peers"],
    ['an option called like what every object has', { constructor: 5 }, "no option 'constructor'"],
    ['a prototype', JSON.parse('{"__proto__": {"store": 1}}'), "no option '__proto__'"],
    ['a name that is a number', { name: 5 }, 'name has to be a string, not 5'],
    ['a mesh that is null', { mesh: null }, 'mesh has to be a string, not null'],
    ['relays that are one string', { relays: '/dns4/x' }, 'relays has to be a list of strings, not "/dns4/x"'],
    ['relays that are no strings', { relays: [5] }, 'relays has to be a list of strings, not [5]'],
    ['relays with a hole', { relays: sparse }, 'not [undefined, "/ip4/127.0.0.1/tcp/0"]'],
    ['relays like a list', { relays: { length: 0 } }, 'relays has to be a list of strings, not an object'],
    ['peers that are a set', { peers: new Set() }, 'peers has to be a list of strings, not an object'],
    ['peers that are null', { peers: null }, 'peers has to be a list of strings, not null'],
    ['a listening address that is none', { listen: ['foo'] }, 'listen has to be a list of multiaddrs, not ["foo"]'],
    ['listening addresses with a hole', { listen: sparse }, 'listen has to be a list of multiaddrs'],
    ['capabilities that are one string', { capabilities: 'fly' }, 'capabilities has to be a list of strings'],
    ['capabilities with a hole', { capabilities: sparse }, 'capabilities has to be a list of strings'],
    ['a description that is a list', { description: [] }, 'description has to be a string, not []'],
    [
      'an identity that is half of one',
      { identity: { id: 'x' } },
      'identity has to be an identity from createIdentity()',
    ],
    ['an identity of no agent', { identity: { id: 'x', sign: () => {}, seed: new Uint8Array(32) } }, 'identity has to'],
    ['an identity of another word', { identity: 'new' }, 'identity has to be'],
    ['an identity that persists in Node', { identity: 'persistent' }, 'fileIdentity(path) of agent-flow-protocol/node'],
    ['another way out', { onIdentityInUse: 'ask' }, "onIdentityInUse has to be 'new' or 'error', not \"ask\""],
    [
      'a store that is none',
      { store: {} },
      'store has to be a store with get, range, count, commit, close, not an object',
    ],
    ['a time for handlers that is none', { handlerTimeout: -1 }, 'handlerTimeout has to be a number of milliseconds'],
    ['a guarantee that is a number', { guarantee: 2 }, 'guarantee has to be a string, not 2'],
    ['limits that are null', { limits: null }, 'limits has to be a plain object, not null'],
    ['limits that are a list', { limits: [] }, 'limits has to be a plain object, not []'],
    ['limits that are a map', { limits: new Map([['queue', 5]]) }, 'limits has to be a plain object'],
    ['an unknown limit', { limits: { queues: 1 } }, "limits has no option 'queues'; it takes frameBytes, messageBytes"],
    ['a limit that is text', { limits: { queue: '5' } }, 'limits: queue has to be a positive integer, not "5"'],
    [
      'a limit without end',
      { limits: { queuedBytes: Infinity } },
      'queuedBytes has to be a positive integer, not Infinity',
    ],
    ['tries that are a number', { retry: 3 }, 'retry has to be a strategy made by fixedRetry(), exponentialRetry() or'],
    ['tries that only have a kind', { retry: { kind: 'fixed' } }, 'retry has to be a strategy made by fixedRetry()'],
    ['tries without a number', { handlerRetry: { kind: 'fixed', delay: 100 } }, 'handlerRetry has to be a strategy'],
    ['a pause that is text', { handlerRetry: { ...fixedRetry(), delay: 'x' } }, 'handlerRetry has to be a strategy'],
    [
      'a policy that is a number',
      { deadLetterRetry: { 'handler-error': 3 } },
      'deadLetterRetry: handler-error has to be a strategy with an end, made by fixedRetry() or exponentialRetry(), not 3',
    ],
    [
      'a policy without an end',
      { deadLetterRetry: { expired: untilExpiry() } },
      'expired has to be a strategy with an',
    ],
    [
      'a policy for no reason',
      { deadLetterRetry: { foo: fixedRetry() } },
      "deadLetterRetry has no option 'foo'; it takes",
    ],
    [
      'an unknown option of breakers',
      { breaker: { threshold: 3 } },
      "breaker has no option 'threshold'; it takes fail",
    ],
    ['a breaker that is never closed', { breaker: { resetTimeout: 0 } }, 'resetTimeout has to be a positive integer'],
    ['hooks that are a function', { hooks: () => {} }, 'hooks has to be a plain object, not a function'],
    ['an unknown hook', { hooks: { beforeReceive: () => {} } }, "hooks has no option 'beforeReceive'"],
    ['a hook that is none', { hooks: { beforeSend: true } }, 'hooks: beforeSend has to be a function, not true'],
    [
      'an ICE server that is text',
      { iceServers: ['stun:x'] },
      'iceServers has to be a list of { urls }, not ["stun:x"]',
    ],
    ['an ICE server without URLs', { iceServers: [{ url: 'stun:x' }] }, 'iceServers has to be'],
    ['a clock that is none', { clock: {} }, 'clock has to be a clock with now, monotonic, after'],
    ['randomness that is none', { random: { float: Math.random } }, 'random has to be'],
    ['a transport that is none', { transports: [5] }, 'transports has to be a list of transports such as webrtc()'],
    ['a transport without addresses', { transports: [{ name: 'webrtc', factory: () => {} }] }, 'transports has to be'],
    ['a carrier that is none', { carrier: 5 }, 'carrier has to be a function, not 5'],
    ['a signal that is none', { signal: 5 }, 'signal has to be an AbortSignal, not 5'],
    ['a controller for a signal', { signal: new AbortController() }, 'signal has to be an AbortSignal, not an object'],
  ])('refuses %s, and says what it wants and what it got', async (_what, options, message) => {
    const error = await failure(attempt(options))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(message) })
  })

  test.each([
    ['nothing at all', undefined],
    ['null', null],
    ['text', 'ada'],
    ['a list', []],
  ])('refuses %s for its options', async (_what, options) => {
    expect(await failure(createAgent(options as never))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('the options of createAgent() have to be an object'),
    })
  })

  test('refuses what a carrier makes that is none, rather than going elsewhere, and leaves nothing ticking', async () => {
    for (const carrier of [() => undefined, () => ({})]) {
      const error = await failure(attempt({ carrier, clock: world.clock }))
      expect(error).toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('what carrier() makes has to be a carrier'),
      })
    }
    expect(world.clock.pending).toBe(0)
  })

  test('says nothing of what is inside an option that it refuses', async () => {
    const identity = { ...(await createIdentity(new Uint8Array(32).fill(7))), sign: undefined }
    const error = await failure(attempt({ identity }))
    expect(error.message).toMatch(/not an object$/)
    expect(JSON.stringify(error)).not.toContain('7')
  })

  test('takes undefined for what is left out', async () => {
    const names = [
      'relays',
      'listen',
      'identity',
      'store',
      'limits',
      'hooks',
      'transports',
      'signal',
      'onIdentityInUse',
      'deadLetterRetry',
    ]
    const ada = await world.join('ada', Object.fromEntries(names.map(name => [name, undefined])))
    await world.join('bob', { deadLetterRetry: { expired: undefined }, breaker: { resetTimeout: undefined } } as never)
    expect(await ada.send('ada', 'x', { ttl: undefined, signal: undefined, timeout: undefined })).toBeDefined()
  })

  test('ends with the reason of a signal that has fired', async () => {
    const reason = new Error('not now')
    expect(await failure(world.join('ada', { signal: AbortSignal.abort(reason) }))).toBe(reason)
  })

  test('takes best-effort for at-most-once', async () => {
    const ada = await world.join('ada', { guarantee: 'best-effort' })
    await ada.send('ada', 'x')
    expect(await ada.receive()).toMatchObject({ guarantee: 'at-most-once' })
  })

  test('without an identity is somebody new each time, with one the same', async () => {
    const identity = await createIdentity()
    const [first, second] = [await world.join('ada'), await world.join('ada')]
    expect(first.id).not.toBe(second.id)
    const run = await world.join('ada', { identity })
    expect(run.id).toBe(identity.id)
    await world.during(run.close())
    expect((await world.join('ada', { identity })).id).toBe(identity.id)
  })

  test('keeps in its store what names stand for, over runs', async () => {
    const store = memoryStore()
    const identity = await createIdentity()
    const first = await world.join('bob')
    const run = await world.join('ada', { store, identity })
    await world.during(run.send('bob', 'x'))
    const { seq } = run.card
    await world.during(run.close())
    await world.during(first.close())
    const impostor = await world.join('bob', { peers: [] })
    const again = await world.join('ada', { store, identity, peers: impostor.addresses })
    expect(again.card.seq).toBeGreaterThan(seq)
    expect(await world.during(failure(again.send('bob', 'y', { timeout: 500 })))).toMatchObject({ code: 'NO_ROUTE' })
    expect(impostor.receiveAll()).toEqual([])
  })

  test('a small frame and a small message are the limits of that agent alone', async () => {
    const ada = await world.join('ada')
    const bob = await world.join('bob', { limits: { messageBytes: 1_000 } })
    await world.during(ada.waitFor('bob'))
    expect(await failure(bob.send('ada', 'x'.repeat(1_000)))).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    await world.during(ada.send('bob', 'x'.repeat(2_000)))
    await world.clock.advance(100)
    expect(bob.metrics.counter('refused', { reason: 'too-large' }).value).toBe(1)
    expect(bob.receiveAll()).toEqual([])
  })
})

describe('An agent', () => {
  type Call = (agent: Agent, options: never) => unknown
  const calls: Record<string, Call> = {
    'send()': (agent, options) => agent.send('ada', 'x', options),
    'request()': (agent, options) => agent.request('ada', 'x', options),
    'respond()': (agent, options) => agent.respond({ id: 'x', sender: 'y' } as Message, 'x', options),
    'publish()': (agent, options) => agent.publish('t', 'x', options),
    'broadcast()': (agent, options) => agent.broadcast('x', options),
    'receive()': (agent, options) => agent.receive(options),
    'waitFor()': (agent, options) => agent.waitFor('eve', options),
    'connect()': (agent, options) => agent.connect('/ip4/127.0.0.1/tcp/1', options),
    'drain()': (agent, options) => agent.drain(options),
    'subscribe()': (agent, options) => agent.subscribe(options),
    'handle()': (agent, options) => agent.handle(options, () => {}),
    'reply()': (_agent, options) => reply('x', options),
    'deadLetters.count()': (agent, options) => agent.deadLetters.count(options),
    'deadLetters.list()': (agent, options) => agent.deadLetters.list(options),
    'deadLetters.purge()': (agent, options) => agent.deadLetters.purge(options),
    'breakers.getOrCreate()': (agent, options) => agent.breakers.getOrCreate('eve', options),
    'execute()': (agent, options) => agent.breakers.getOrCreate('bob').execute(() => {}, options),
    'storage.list()': (agent, options) => agent.storage.list(options),
    'fixedRetry()': (_agent, options) => fixedRetry(options),
    'exponentialRetry()': (_agent, options) => exponentialRetry(options),
    'untilExpiry()': (_agent, options) => untilExpiry(options),
  }
  const sends = ['reply()', 'send()', 'request()', 'respond()', 'publish()', 'broadcast()']
  const waits = ['send()', 'request()', 'respond()', 'receive()', 'waitFor()']
  const filters = ['subscribe()', 'handle()']
  const signalled = [...sends.slice(1), ...waits, 'connect()', 'drain()', 'subscribe()', 'execute()']
  const letters = ['deadLetters.count()', 'deadLetters.list()', 'deadLetters.purge()']
  const nothing = 'x' as never

  /** What a call fails with, whether it throws or rejects. */
  const outcome = (call: Call, agent: Agent, options: unknown): Promise<Error & { code?: string }> =>
    failure((async () => call(agent, options as never))())

  test.each<[message: string, options: unknown, calls: string[]]>([
    ['have to be an object, not null', null, Object.keys(calls)],
    ['have to be an object, not 5', 5, Object.keys(calls)],
    ['have to be an object, not []', [], Object.keys(calls)],
    ["has no option 'tiemout'", { tiemout: 5 }, Object.keys(calls)],
    ["has no option 'toString'", { toString: undefined }, Object.keys(calls)],
    ['signal has to be an AbortSignal, not an object', { signal: {} }, signalled],
    ['signal has to be an AbortSignal, not null', { signal: null }, signalled],
    ['timeout has to be a number of milliseconds from 0 up, not NaN', { timeout: Number.NaN }, waits],
    ['timeout has to be a number of milliseconds from 0 up, not "5"', { timeout: '5' }, waits],
    ['not -1', { timeout: -1 }, waits],
    ['not Infinity', { timeout: Number.POSITIVE_INFINITY }, waits],
    ['not null', { timeout: null }, waits],
    ['ttl has to be a number, not null', { ttl: null }, sends],
    ['ttl has to be a number, not "60"', { ttl: '60' }, sends],
    ['priority has to be a number, not "5"', { priority: '5' }, sends],
    ['contentType has to be a string, not 5', { contentType: 5 }, sends],
    ['metadata has to be a plain object, not null', { metadata: null }, [...sends, ...filters]],
    ['parentId has to be a string, not 5', { parentId: 5 }, [...sends.slice(1), ...filters]],
    ['schema has to be a string, not an object', { schema: {} }, sends],
    ['id has to be a string, not 5', { id: 5n }, [...sends.slice(1), 'subscribe()']],
    ['timestamp has to be a number, not an object', { timestamp: new Date(0) }, sends],
    ['guarantee has to be a string, not null', { guarantee: null }, ['send()', 'respond()']],
    ["has no option 'guarantee'", { guarantee: 'at-most-once' }, ['publish()']],
    ['sender has to be a string or a list of strings, not 5', { sender: 5 }, filters],
    ['sender has to be a string or a list of strings, not ["bob", null]', { sender: ['bob', null] }, filters],
    ['topic has to be a string, not 5', { topic: 5 }, filters],
    ['contentType has to be a string or a regular expression', { contentType: ['text/*'] }, filters],
    ['metadata has to be a plain object, not an object', { metadata: new Map() }, filters],
    ['metadata has to be a plain object, not "a"', { metadata: 'a' }, filters],
    ['securityLevel has to be a string, not 3', { securityLevel: 3 }, filters],
    ['where has to be a function, not true', { where: true }, filters],
    ['queue has to be a positive integer, not 0', { queue: 0 }, ['subscribe()']],
    ['maxMessages has to be a positive integer, not 1.5', { maxMessages: 1.5 }, ['subscribe()']],
    ['expiresAt has to be a number, not "2027"', { expiresAt: '2027' }, ['subscribe()']],
    ['subscriber has to be a string, not Symbol(s)', { subscriber: Symbol('s') }, ['subscribe()']],
    ['retry has to be a strategy made by fixedRetry()', { retry: { kind: 'fixed' } }, ['send()', 'respond()']],
    ['olderThan has to be a number of milliseconds from 0 up, not NaN', { olderThan: Number.NaN }, letters],
    ["processed has to be true, false or 'any', not 0", { processed: 0 }, ['deadLetters.purge()']],
    ["side has to be 'sender' or 'recipient', not \"left\"", { side: 'left' }, letters.slice(0, 2)],
    ['it takes failureThreshold, resetTimeout, halfOpen', { threshold: 1 }, ['breakers.getOrCreate()']],
    ['prefix has to be an array of strings, numbers and', { prefix: 'a' }, ['storage.list()']],
    ['fallback has to be a function', { fallback: 5 }, ['execute()']],
    ["has no option 'retries'; it takes base, factor, cap, jitter", { retries: 3 }, ['untilExpiry()']],
    ['description has to be a string, not false', { description: false }, ['subscribe()']],
  ])('refuses options of which it says: %s', async (message, options, methods) => {
    const ada = await world.join('ada')
    for (const method of methods) {
      const error = await outcome(calls[method] as Call, ada, options)
      expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(message) })
      expect(error.message).toContain(method)
    }
    expect(ada.receiveAll()).toEqual([])
    expect(ada.subscriptions.size).toBe(0)
    expect(ada.breakers.get('eve')).toBeUndefined()
  })

  test.each<[what: string, call: (agent: Agent) => unknown, message: string]>([
    ['a callback that is none', agent => agent.subscribe({}, nothing), "subscribe()'s callback has to be a function"],
    ['a filter without a handler', agent => agent.handle({}, undefined as never), "handle()'s handler has to be"],
    ['a handler that is none', agent => agent.handle(5 as never), 'the options of handle() have to be an object'],
    [
      'a message that is none',
      agent => agent.respond(null as never, 'x'),
      'what respond() answers has to be a message',
    ],
    ['half a message', agent => agent.respond({ id: 'x' } as never, 'x'), 'what respond() answers has to be a message'],
    ['nobody to wait for', agent => agent.waitFor(undefined as never), 'whom waitFor() waits for has to be a name'],
    ['a nameless one to wait for', agent => agent.waitFor(''), 'whom waitFor() waits for has to be a name or an id'],
    [
      'a change that is none',
      agent => agent.storage.change(1 as never),
      "storage.change()'s work has to be a function",
    ],
    [
      'a key that is text',
      agent => agent.storage.change(kept => kept.put('a' as never, 1)),
      'a key has to be an array of strings, numbers and Uint8Arrays',
    ],
    ['no key', agent => agent.storage.change(kept => kept.get(nothing)), 'a key has to be an array'],
    [
      'no key at all',
      agent => agent.storage.change(kept => kept.delete(undefined as never)),
      'a key has to be an array',
    ],
    ['a key with a hole', agent => agent.storage.change(kept => kept.get(Array(1))), 'a key has a part that is no'],
    ['a name for nobody', agent => agent.pin('bob', undefined as never), 'has to be the id of an agent, not undefined'],
    ['a name for a name', agent => agent.pin('bob', 'eve'), 'what pin() pins a name to has to be the id of an agent'],
  ])('refuses %s', async (_what, call, message) => {
    const ada = await world.join('ada')
    expect(await outcome(call, ada, undefined)).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(message),
    })
  })

  test('refuses a list of recipients with a hole before anybody is looked for', async () => {
    const ada = await world.join('ada')
    const hole = Object.assign([], { 1: 'ada' }) as string[]
    expect(await failure(ada.send(hole, 'x'))).toMatchObject({ code: 'NO_RECIPIENT' })
    expect(ada.receiveAll()).toEqual([])
  })
})

describe('Recipients that nobody can be', () => {
  adaAndBob()

  test.each([
    ['a name with a character that turns the text around', 'a\u202eb', 'INVALID_NAME'],
    ['a name with a line break', 'has\nnewline', 'INVALID_NAME'],
    ['a name of white space', ' ', 'INVALID_NAME'],
    ['a name that is too long, in a list', ['bob', 'x'.repeat(65)], 'INVALID_NAME'],
    ['a capability without a word', { capability: '' }, 'NO_RECIPIENT'],
    ['a capability of a million characters', { capability: 'x'.repeat(1_000_000) }, 'NO_RECIPIENT'],
    ['a list with more places than there is memory for', Object.assign([], { length: 2 ** 32 - 1 }), 'INVALID_MESSAGE'],
  ])('%s is refused at once.', async (_what, target, code) => {
    const before = driven.clock.monotonic()
    await expect(ada.send(target as string, 'x')).rejects.toMatchObject({ code })
    await expect(ada.request(target as string, 'x')).rejects.toMatchObject({ code })
    expect(driven.clock.monotonic()).toBe(before)
  })
})
