/** The one place that wires rooms together. */

import { openProfile, page } from '#profile'
import { checkOption } from '../common/check-options.ts'
import { repeat, systemClock } from '../common/clock.ts'
import { EndingClock } from '../common/ending-clock.ts'
import { AfpError } from '../common/errors.ts'
import { BoundedQueue } from '../common/queue.ts'
import { systemRandom } from '../common/random.ts'
import { checkLetterLimits } from '../delivery/dead-letter-options.ts'
import { Requests } from '../delivery/requests.ts'
import { Reservations } from '../delivery/reservations.ts'
import type { BufferedTransaction } from '../delivery/transaction.ts'
import { DuplicateWindow } from '../delivery/window.ts'
import type { Range } from '../feed/index.ts'
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
import { Metrics } from '../telemetry/metrics.ts'
import { SubscriptionManager } from '../topics/subscriptions.ts'
import { Addressing } from './addressing.ts'
import type { Agent, AgentEvents } from './agent.ts'
import { CardKeeper } from './card-keeper.ts'
import { Handlers } from './handlers.ts'
import { BROADCAST_TOPIC, Inbound } from './inbound.ts'
import { MeshAgent } from './mesh-agent.ts'
import { type Kept, openDelivery, openPrekeys } from './open-delivery.ts'
import { CARRIER, checkAgentOptions } from './option-checks.ts'
import type { AgentOptions } from './options.ts'
import { Outbound } from './outbound.ts'
import { Standing } from './standing.ts'
import { StorageCare } from './storage-care.ts'

/** The most agents whose cards are kept. */
const MAX_KNOWN_AGENTS = 1_024

/** How often it is looked whether the own card and keys grow old, and what is over, ms: soon after a machine has slept. */
const CARD_CHECK = 300_000
/** The least of its life that the own card is shown with, ms, and the pause between two tries to have a better one. */
const CARD_LEFT = 3_600_000
const CARD_PAUSE = 5_000
/** How long a handler may take unless the application says, ms. */
export const HANDLER_TIMEOUT = 1_800_000

/**
 * Makes an agent and joins it to a mesh. It resolves when the agent is running; relays and other agents may come later.
 *
 * @throws AfpError INVALID_OPTION, INVALID_NAME; AfpSecurityError INVALID_ADDRESS, INVALID_CARD, IDENTITY_IN_USE,
 * INSECURE_CONTEXT; AfpDeliveryError GUARANTEE_UNSUPPORTED; AfpDataStoreError STORE_MISMATCH when the store is another
 * agent's, or is this one's in another mesh, STORE_IN_USE when another agent of this process has it, or its database does
 * not open in time, STORE_FAILED when the browser gives no storage, the store cannot be read, or a row of it that the agent
 * cannot do without is damaged, which is named; all before anything is sent; AfpError NETWORK_FAILED when an address of
 * `listen` cannot be listened on, or the browser refuses what the network needs
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
  const { clock, random, limits } = settings
  let opened: Kept | undefined
  const { name, mesh, capabilities = [], description = '' } = options
  const profile = await openProfile({
    ...options,
    ...settings,
    // Nothing can be kept any more, so nothing more may be taken. Before all is open, opening it fails.
    onLost: error => {
      if (opened === undefined) return
      emit('store:error', { error })
      agent.close().catch(() => {})
    },
  })
  const { identity, store } = profile
  const closing = new AbortController()
  /** What several rooms take. */
  const shared = { ...settings, self: identity.id, name, mesh, identity, store, signal: closing.signal }
  /** What rooms take that wait for the application's own code: it may never be done, and is waited for until the end. */
  const handing = { ...shared, clock: new EndingClock(clock) }
  const metrics = new Metrics(shared)
  const known = new KnownAgents({
    store,
    limit: MAX_KNOWN_AGENTS,
    now: () => clock.now(),
    keeps: id => network.peer(id) !== undefined,
    onConflict: conflict => emit('name:conflict', conflict),
  })
  const fields = { mesh, name, description, capabilities: [...capabilities] }
  const makeCarrier = (): Carrier =>
    options.carrier === undefined
      ? libp2pCarrier({ ...options, ...shared, score: peer => standing.score(peer) })
      : checkedCarrier(options.carrier(identity))
  const { prekeys, cards, carrier } = await known
    .load()
    .then(async () => {
      const prekeys = await openPrekeys(shared)
      const cards = await CardKeeper.open({ ...shared, fields, prekey: () => prekeys.current() })
      return { prekeys, cards, carrier: makeCarrier() }
    })
    .catch(async error => {
      await profile.release()
      throw error
    })

  const standing = new Standing(clock)
  let checkedAt = Number.NEGATIVE_INFINITY
  const network = new MeshNetwork({
    ...shared,
    carrier,
    card: () => {
      // While a machine slept the checks did not go on: others would not believe the card, and not know this agent.
      if (cards.card.expiresAt - clock.now() < CARD_LEFT) check()
      return cards.card
    },
    renewCard: () => cards.renew(network.addresses()),
    learn: card => {
      const learned = known.learn(card)
      if (learned) opened?.delivery.cardChanged(card.id)
      return learned
    },
    trust: id => known.trust(id),
    peers: options.peers,
    hidden: page.hidden,
    maxFrameBytes: limits.frameBytes,
    maxQueuedBytes: limits.queuedBytes,
  })

  const requests = new Requests(clock)
  const reservations = new Reservations(clock)
  /** What waited until its time to live was over reaches nobody, unless somebody asked for it after that. */
  const isStale = (message: Message): boolean => {
    const stale = message.isExpired(clock.now()) && !inbound.leases.outlives(message)
    if (stale) dropped(message, 'expired')
    return stale
  }
  const inbox = new BoundedQueue(limits.queue, limits.queuedBytes, isStale)
  const ids = createIds({ clock, random })
  const build: BuildContext = { sender: identity.id, clock, ids, limits }
  const addressing = new Addressing({ ...shared, known, network })
  const senders = (named: readonly string[]): ((id: string) => boolean) => addressing.senders(named)
  const handlers = new Handlers(limits, senders, (error, message) =>
    emit('handler:error', { id: message?.id ?? '', error }),
  )
  const subscriptions = new SubscriptionManager({
    ...handing,
    senders,
    ids,
    subscriber: name,
    onChange: (_topics, { topic, subscribed }) => (subscribed ? network.join(topic) : network.leave(topic)),
    onOverflow: message => inbound.noRoom(message),
    // Not within the call of whoever reads.
    onRoom: () => queueMicrotask(() => opened?.delivery.offerFull()),
    isStale,
    callbackTimeout: shared.handlerTimeout,
    onError: (error, message) => emit('handler:error', { id: message.id, error }),
    onUnclaimed: (message, bytes) => inbound.unclaimed(message, bytes),
    onHandedOut: message => inbound.leases.handedOut(message),
    onLetGo: message => inbound.leases.letGo(message),
  })
  const inbound: Inbound = new Inbound({
    ...handing,
    requests,
    reservations,
    window: new DuplicateWindow(),
    handlers,
    subscriptions,
    inbox,
    answer: async (request, kind, content, answerOptions) => {
      await outbound.respond(request, kind, content, answerOptions)
    },
    prepare: (request, kind, content, answerOptions) => outbound.prepare(request, kind, content, answerOptions),
    onReceived: (_message, bytes) => {
      metrics.counter('messages.received').add()
      metrics.histogram('message.bytes.received').record(bytes)
    },
    onRefused: (peer, reason, detail) => emit('refused', { peer, reason, detail }),
    onDropped: (message, reason, error) => dropped(message, reason, error),
    onHandlerError: (id, error) => {
      metrics.counter('messages.failed').add()
      emit('handler:error', { id, error })
    },
  })
  const kept = await openDelivery({
    ...shared,
    reservations,
    options,
    ids,
    known,
    network,
    prekeys,
    judge: message => inbound.judge(message),
    take: (arrived, transaction) => inbound.take(arrived, transaction as BufferedTransaction),
    onOnce: (message, kind, bytes) => inbound.once(message, kind, bytes),
    onRefused: (peer, reason, detail) => {
      emit('refused', { peer, reason, detail })
      if (standing.exceeded(peer, reason)) network.drop(peer)
    },
    onRejected: (peer, error) => inbound.rejected(peer, error),
    onHole: (author, _epoch, numbers) => emit('feed:hole', { peer: author, count: countOf(numbers) }),
    onLost: (author, _epoch, numbers) => emit('feed:lost', { peer: author, count: countOf(numbers) }),
    onRollback: recipient => emit('feed:rollback', { peer: recipient }),
    onFailed: ({ message }, error) => {
      metrics.counter('messages.failed').add()
      emit('handler:error', { id: message.id, error })
    },
    onError: error => {
      metrics.counter('store.errors', { code: error instanceof AfpError ? error.code : 'error' }).add()
      emit('store:error', { error })
    },
  }).catch(async error => {
    await profile.release()
    throw error
  })
  const { delivery, breakers } = kept
  opened = kept
  const outbound = new Outbound({
    ...shared,
    build,
    delivery,
    breakers,
    network,
    addressing,
    requests,
    onSent: (_message, bytes) => {
      metrics.counter('messages.sent').add()
      metrics.histogram('message.bytes.sent').record(bytes)
    },
    onDropped: (message, peer, error) => {
      metrics.counter('messages.dropped', { reason: error instanceof AfpError ? error.code : 'error' }).add()
      emit('message:dropped', { id: message.id, peer, reason: 'not-sent', error })
    },
  })

  const storage = new StorageCare({ ...shared, onLow: state => emit('storage:low', state) })
  const agent = new MeshAgent({
    ...shared,
    cards,
    known,
    network,
    metrics,
    subscriptions,
    handlers,
    inbox,
    addressing,
    inbound,
    outbound,
    kept,
    storage,
    closing,
    release: async () => {
      refresh.cancel()
      handing.clock.end()
      storage.close()
      standing.close()
      await known.saved()
      await profile.release()
    },
  })
  function emit<K extends keyof AgentEvents & string>(type: K, detail: AgentEvents[K]): void {
    // Before there is an agent nobody can listen.
    if (opened !== undefined) agent.emit(type, detail)
  }
  /** Renews the own card and keys where they grow old, and sees to what is over. */
  function check(): void {
    const now = clock.monotonic()
    if (closing.signal.aborted || now - checkedAt < CARD_PAUSE) return
    checkedAt = now
    inbound.leases.look()
    void kept
      .tidy()
      .then(() => cards.refresh())
      .then(
        () => network.announce(),
        // It is tried again at the next check; the old card is good for half of its life yet, unless the machine slept.
        error => emit('handler:error', { id: '', error }),
      )
  }
  function dropped(message: Message, reason: string, error?: unknown): void {
    metrics.counter('messages.dropped', { reason }).add()
    emit('message:dropped', { id: message.id, peer: message.sender, reason, error })
  }
  agent.addEventListener('refused', ({ detail }) => {
    metrics.counter('refused', { reason: detail.reason }).add()
    standing.refused(detail.peer, detail.reason)
  })
  const refresh = repeat(clock, () => CARD_CHECK, check)
  page.watch(
    {
      changed: () => network.announce(),
      leaving: () => {
        // Goodbyes leave in this turn: a page that goes has no other, and draining could take longer.
        network.stop().catch(() => {})
        agent.close().catch(() => {})
      },
    },
    closing.signal,
  )
  agent.forwardNetworkEvents()
  try {
    await network.start(
      {
        direct: (from, frame) => delivery.received(from, frame),
        topic: (topic, from, payload) => inbound.topic(topic, from, payload),
      },
      { signal: options.signal },
    )
    await profile.saved
    // Who brings both looks after both.
    const own = options.store === undefined || typeof options.identity !== 'object'
    storage.start(options.persistStorage ?? (own && store.durability === 'strict'))
    network.join(BROADCAST_TOPIC)
  } catch (error) {
    await agent.close()
    throw error
  }
  // In a turn of its own: whoever waited for the agent says first who handles what.
  clock.after(0, () => kept.start())
  return agent

  function checkedCarrier(made: Carrier): Carrier {
    checkOption('what carrier() makes', made, CARRIER)
    return made
  }

  function validateOptions(given: AgentOptions) {
    checkAgentOptions(given)
    given.signal?.throwIfAborted()
    validateName(given.name)
    validateCardFields({
      mesh: given.mesh,
      capabilities: given.capabilities ?? [],
      description: given.description ?? '',
    })
    const limits = resolveLimits(given.limits)
    checkLetterLimits(given.deadLetters ?? {}, limits.messageBytes)
    for (const address of [...(given.relays ?? []), ...(given.peers ?? [])]) validateAddress(address)
    return {
      clock: given.clock ?? systemClock,
      random: given.random ?? systemRandom,
      limits,
      hooks: given.hooks ?? {},
      guarantee: validateGuarantee(given.guarantee ?? 'at-least-once'),
      handlerTimeout: given.handlerTimeout ?? HANDLER_TIMEOUT,
    }
  }
}

const countOf = (numbers: readonly Range[]): number => numbers.reduce((sum, [first, last]) => sum + last - first + 1, 0)
