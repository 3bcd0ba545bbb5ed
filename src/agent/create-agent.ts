/** The one place that wires rooms together. */

import { openProfile, page } from '#profile'
import { repeat, systemClock } from '../common/clock.ts'
import { AfpDeliveryError, AfpError } from '../common/errors.ts'
import { BoundedQueue } from '../common/queue.ts'
import { systemRandom } from '../common/random.ts'
import { Requests } from '../delivery/requests.ts'
import { DuplicateWindow } from '../delivery/window.ts'
import { validateCardFields } from '../identity/card.ts'
import { KnownAgents } from '../identity/known-agents.ts'
import { validateName } from '../identity/names.ts'
import type { BuildContext } from '../message/build.ts'
import { createIds } from '../message/ids.ts'
import type { Message } from '../message/message.ts'
import { resolveLimits, validateGuarantee } from '../message/validate.ts'
import { validateAddress } from '../network/addresses.ts'
import type { Carrier } from '../network/carrier.ts'
import { libp2pCarrier } from '../network/libp2p.ts'
import { MeshNetwork } from '../network/mesh.ts'
import type { RefusalReason } from '../network/network.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { SubscriptionManager } from '../topics/subscriptions.ts'
import { Addressing } from './addressing.ts'
import type { Agent, AgentEvents } from './agent.ts'
import { CardKeeper } from './card-keeper.ts'
import { Handlers } from './handlers.ts'
import { BROADCAST_TOPIC, Inbound } from './inbound.ts'
import { MeshAgent } from './mesh-agent.ts'
import type { AgentOptions } from './options.ts'
import { MESSAGE_FRAME, Outbound } from './outbound.ts'

/** The most agents whose cards are kept. */
const MAX_KNOWN_AGENTS = 1_024

/** Reasons that no honest neighbour gives. Late replies, expiry and an own overload say nothing about who they came from. */
const FAULTS: ReadonlySet<RefusalReason> = new Set(['malformed', 'too-large', 'too-deep', 'bad-signature', 'bad-card'])

/** How long a fault is held against a neighbour, ms at most. */
const FAULT_MEMORY = 60_000

/** How often it is looked whether the own card grows old, ms. */
const CARD_CHECK = 3_600_000

/**
 * Makes an agent and joins it to a mesh. It resolves when the agent is running; relays and other agents may come later.
 *
 * @throws AfpError INVALID_OPTION, INVALID_NAME; AfpSecurityError INVALID_ADDRESS, INVALID_CARD, IDENTITY_IN_USE,
 * INSECURE_CONTEXT; AfpDeliveryError GUARANTEE_UNSUPPORTED; all before anything is sent
 *
 * @example
 * ```ts
 * import { createAgent } from 'agent-flow-protocol'
 *
 * const bob = await createAgent({ name: 'bob', mesh: 'demo', listen: ['/ip4/127.0.0.1/tcp/0'] })
 * bob.handle<{ a: number; b: number }>(({ content }) => ({ sum: content.a + content.b }))
 *
 * const ada = await createAgent({ name: 'ada', mesh: 'demo', peers: bob.addresses })
 * const reply = await ada.request('bob', { a: 1, b: 2 })
 * console.log(reply.content) // { sum: 3 }
 *
 * await ada.close()
 * await bob.close()
 * ```
 */
export async function createAgent(options: AgentOptions): Promise<Agent> {
  const settings = validateOptions(options)
  const { clock, random, limits, hooks, guarantee } = settings
  const { name, mesh, capabilities = [], description = '' } = options
  const profile = await openProfile({
    name,
    mesh,
    identity: options.identity,
    onIdentityInUse: options.onIdentityInUse ?? 'new',
    store: options.store,
    clock,
    random,
  })
  const { identity, store } = profile
  const closing = new AbortController()
  const metrics = new Metrics({ clock })
  const known = new KnownAgents({
    store,
    limit: MAX_KNOWN_AGENTS,
    now: () => clock.now(),
    onConflict: conflict => emit('name:conflict', conflict),
  })
  const fields = { mesh, name, description, capabilities: [...capabilities] }
  const cards = await known
    .load()
    .then(() => CardKeeper.open({ identity, fields, clock, random, store }))
    .catch(async error => {
      await profile.release()
      throw error
    })

  /** Faults of each neighbour: gossip thinks less of it for each. */
  const faults = new Map<string, number>()
  const carrier: Carrier =
    options.carrier?.(identity) ??
    libp2pCarrier({
      identity,
      relays: options.relays,
      listen: options.listen,
      transports: options.transports,
      iceServers: options.iceServers,
      score: peer => -(faults.get(peer) ?? 0),
      clock,
      random,
    })
  const network = new MeshNetwork({
    carrier,
    identity,
    mesh,
    card: () => cards.card,
    renewCard: () => cards.renew(network.addresses()),
    learn: card => known.learn(card),
    peers: options.peers,
    hidden: page.hidden,
    maxFrameBytes: limits.frameBytes,
    clock,
    random,
  })

  const requests = new Requests(clock)
  const handlers = new Handlers(limits, (error, message) => emit('handler:error', { id: message?.id ?? '', error }))
  const inbox = new BoundedQueue<Message>(limits.queue)
  const ids = createIds({ clock, random })
  const build: BuildContext = { sender: identity.id, clock, ids, limits }
  const addressing = new Addressing({
    self: identity.id,
    selfName: name,
    clock,
    known,
    network,
    closing: closing.signal,
  })
  const subscriptions = new SubscriptionManager({
    clock,
    limits,
    ids,
    subscriber: name,
    onChange: (_topics, { topic, subscribed }) => (subscribed ? network.join(topic) : network.leave(topic)),
    onOverflow: message => dropped(message, 'subscription-full'),
    onError: (error, message) => emit('handler:error', { id: message.id, error }),
    onUnclaimed: message => {
      if (message.topic === undefined && !inbox.push(message)) dropped(message, 'inbox-full')
    },
  })
  const inbound: Inbound = new Inbound({
    self: identity.id,
    clock,
    limits,
    hooks,
    requests,
    window: new DuplicateWindow(),
    handlers,
    subscriptions,
    inbox,
    signal: closing.signal,
    answer: async (request, kind, content, answerOptions) => {
      await outbound.respond(request, kind, content, answerOptions)
    },
    onReceived: (_message, bytes) => {
      metrics.counter('messages.received').add()
      metrics.histogram('message.bytes.received').record(bytes)
    },
    onRefused: (peer, reason, detail) => emit('refused', { peer, reason, detail }),
    onDropped: (message, reason, error) => dropped(message, reason, error),
    onHandlerError: (message, error) => {
      metrics.counter('messages.failed').add()
      emit('handler:error', { id: message.id, error })
    },
  })
  const outbound = new Outbound({
    self: identity.id,
    build,
    clock,
    hooks,
    guarantee,
    network,
    addressing,
    requests,
    loopback: frame => void inbound.direct(identity.id, frame.subarray(1)),
    onSent: (_message, bytes) => {
      metrics.counter('messages.sent').add()
      metrics.histogram('message.bytes.sent').record(bytes)
    },
    onDropped: (message, peer, error) => {
      metrics.counter('messages.dropped', { reason: error instanceof AfpError ? error.code : 'error' }).add()
      emit('message:dropped', { id: message.id, peer, reason: 'not-sent', error })
    },
  })

  const agent = new MeshAgent({
    name,
    mesh,
    clock,
    cards,
    known,
    network,
    metrics,
    subscriptions,
    handlers,
    inbox,
    requests,
    addressing,
    inbound,
    outbound,
    closing,
    release: async () => {
      refresh.cancel()
      forgiving.cancel()
      await known.saved()
      await profile.release()
    },
  })
  function emit<K extends keyof AgentEvents & string>(type: K, detail: AgentEvents[K]): void {
    agent.emit(type, detail)
  }
  function dropped(message: Message, reason: string, error?: unknown): void {
    metrics.counter('messages.dropped', { reason }).add()
    emit('message:dropped', { id: message.id, peer: message.sender, reason, error })
  }
  agent.addEventListener('refused', ({ detail }) => {
    metrics.counter('refused', { reason: detail.reason }).add()
    if (!FAULTS.has(detail.reason)) return
    if (faults.size > MAX_KNOWN_AGENTS) faults.clear()
    faults.set(detail.peer, (faults.get(detail.peer) ?? 0) + 1)
  })
  const forgiving = repeat(
    clock,
    () => FAULT_MEMORY,
    () => faults.clear(),
  )
  const refresh = repeat(
    clock,
    () => CARD_CHECK,
    () => void cards.refresh().then(() => network.announce()),
  )
  page.watch(
    {
      changed: () => network.announce(),
      leaving: () => {
        // Goodbyes leave in this turn: a page that goes has no other, and draining could take longer.
        void network.stop()
        void agent.close()
      },
    },
    closing.signal,
  )
  agent.forwardNetworkEvents()
  try {
    await network.start(
      {
        direct: (from, frame) => {
          if (frame[0] === MESSAGE_FRAME) return inbound.direct(from, frame.subarray(1))
          emit('refused', { peer: from, reason: 'malformed', detail: `a frame of type ${frame[0]}` })
        },
        topic: (topic, from, payload) => inbound.topic(topic, from, payload),
      },
      { signal: options.signal },
    )
    network.join(BROADCAST_TOPIC)
  } catch (error) {
    await agent.close()
    throw error
  }
  return agent

  function validateOptions(given: AgentOptions) {
    given.signal?.throwIfAborted()
    validateName(given.name)
    validateCardFields({
      mesh: given.mesh,
      capabilities: given.capabilities ?? [],
      description: given.description ?? '',
    })
    for (const address of [...(given.relays ?? []), ...(given.peers ?? [])]) validateAddress(address)
    const wanted = validateGuarantee(given.guarantee ?? 'at-most-once')
    if (wanted !== 'at-most-once') {
      throw new AfpDeliveryError('GUARANTEE_UNSUPPORTED', `this version does not do ${wanted}`, { guarantee: wanted })
    }
    return {
      clock: given.clock ?? systemClock,
      random: given.random ?? systemRandom,
      limits: resolveLimits(given.limits),
      hooks: given.hooks ?? {},
      guarantee: wanted,
    }
  }
}
