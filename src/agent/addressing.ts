/** Whom a message is for: from names, ids and capabilities to the ids of agents that are there. */

import { abortable } from '../common/abort.ts'
import type { Clock } from '../common/clock.ts'
import { AfpMessageError, AfpRoutingError, AfpTimeoutError } from '../common/errors.ts'
import { isText, MAX_CAPABILITY_LENGTH } from '../identity/card.ts'
import { isAgentId } from '../identity/keys.ts'
import type { KnownAgents } from '../identity/known-agents.ts'
import { validateName } from '../identity/names.ts'
import type { Limits } from '../message/validate.ts'
import type { Network, Peer } from '../network/network.ts'
import type { Target } from './options.ts'

/** What addressing needs. */
export interface AddressingParts {
  self: string
  name: string
  clock: Clock
  known: KnownAgents
  network: Network
  limits: Limits
  /** Fires when the agent closes: then nobody is waited for any more. */
  signal: AbortSignal
}

/** Whom a target stands for. */
export interface Addressed {
  /** At least one, each once. */
  readonly ids: string[]
  /** Names that stand for nobody, as they were given, and why. */
  readonly lost: ReadonlyMap<string, AfpRoutingError>
}

/** See the head of this file. */
export class Addressing {
  readonly #parts: AddressingParts
  /** How often each capability was asked for: agents that offer the same take turns. */
  readonly #turns = new Map<string, number>()

  /** Everybody who waits for somebody; one listener serves all, however many they are. */
  readonly #looking = new Set<() => void>()

  constructor(parts: AddressingParts) {
    this.#parts = parts
    for (const type of ['peer:online', 'peer:changed', 'link:open'] as const) {
      parts.network.addEventListener(type, () => {
        for (const look of [...this.#looking]) look()
      })
    }
  }

  /**
   * What a message for this target says before names are looked up.
   * @throws AfpRoutingError NO_RECIPIENT for nobody, and for '*': that is `broadcast`; AfpError INVALID_NAME for what is
   *   neither an id nor a name that somebody could have; AfpMessageError INVALID_MESSAGE for too many
   */
  named(target: Target): readonly string[] {
    const names = namesIn(target, this.#parts.limits.recipients)
    if (names.length === 0 || names.some(name => typeof name !== 'string' || name === '')) {
      throw new AfpRoutingError('NO_RECIPIENT', 'a recipient is a name, an id or a capability', {
        sender: this.#parts.self,
      })
    }
    if (names.includes('*')) {
      throw new AfpRoutingError('NO_RECIPIENT', "'*' is no recipient: use broadcast()", { sender: this.#parts.self })
    }
    // Nobody can have another name, so it is not waited for. Ids are names of this form too.
    return names.map(name => (isAgentId(name) ? name : validateName(name)))
  }

  /** Whom a target stands for at once; undefined where that is nobody yet, or nobody for good. */
  now(target: Target): Addressed | undefined {
    if (typeof target === 'string' || !('capability' in target)) {
      const all = this.#all(typeof target === 'string' ? [target] : target)
      return all.ids.length > 0 ? all : undefined
    }
    const id = this.#nextCapable(target.capability)
    return id === undefined ? undefined : { ids: [id], lost: new Map() }
  }

  /**
   * Whom a target stands for. While that is nobody, names and capabilities that nobody has yet are waited for; as soon as
   * one name stands for somebody, the others keep nothing from it: a message names all of its recipients when it leaves.
   * @throws AfpRoutingError UNKNOWN_RECIPIENT, AMBIGUOUS_NAME, NO_CAPABLE_AGENT when there is nobody
   */
  async resolve(target: Target, timeout: number, signal?: AbortSignal): Promise<Addressed> {
    if (typeof target !== 'string' && 'capability' in target)
      return { ids: [await this.#capable(target.capability, timeout, signal)], lost: new Map() }
    const names = typeof target === 'string' ? [target] : target
    const found = (): Addressed | undefined => {
      const all = this.#all(names)
      // Who comes later makes no name less ambiguous.
      const hopeless = [...all.lost.values()].every(({ code }) => code === 'AMBIGUOUS_NAME')
      return all.ids.length > 0 || hopeless ? all : undefined
    }
    const addressed = (await this.#until(found, timeout, signal)) ?? this.#all(names)
    const [why] = addressed.lost.values()
    if (addressed.ids.length === 0 && why !== undefined) throw why
    return addressed
  }

  /**
   * Waits until an agent is there.
   * @throws AfpRoutingError NO_ROUTE
   */
  async online(id: string, timeout: number, signal?: AbortSignal): Promise<void> {
    const there = (): true | undefined => (this.#isOnline(id) ? true : undefined)
    if (!there()) this.#parts.network.hurry(id)
    if (await this.#until(there, timeout, signal)) return
    throw new AfpRoutingError('NO_ROUTE', `${id} is not online`, { recipients: [id] })
  }

  /**
   * Waits until an agent with this name or id is online.
   * @throws AfpTimeoutError
   */
  async waitFor(nameOrId: string, timeout: number | undefined, signal?: AbortSignal): Promise<Peer> {
    const find = (): Peer | undefined => {
      const id = this.#lookUp(nameOrId)
      const peer = id === undefined ? undefined : this.#parts.network.peer(id)
      return peer?.online ? peer : undefined
    }
    const found = await this.#until(find, timeout, signal)
    if (found !== undefined) return found
    const seconds = (timeout ?? 0) / 1000
    throw new AfpTimeoutError(`${nameOrId} did not come within ${seconds} s`, { timeoutSeconds: seconds })
  }

  /** Whether an id is one of these senders' by name or id. A name nobody had yet is looked up again when a message comes. */
  senders(senders: readonly string[]): (id: string) => boolean {
    const ids = new Set<string>()
    const names = new Set(senders)
    const resolve = (): void => {
      for (const name of names) {
        const id = this.#tryLookUp(name)
        if (id === undefined) continue
        names.delete(name)
        ids.add(id)
      }
    }
    // Now, not at the first message: by then somebody else may claim the name.
    resolve()
    return id => {
      resolve()
      return ids.has(id)
    }
  }

  /** What each of some names stands for now. */
  #all(names: readonly string[]): Addressed {
    const ids = new Set<string>()
    const lost = new Map<string, AfpRoutingError>()
    for (const name of names) {
      try {
        const id = this.#lookUp(name)
        if (id === undefined) lost.set(name, this.#unknown(name))
        else ids.add(id)
      } catch (error) {
        if (!(error instanceof AfpRoutingError)) throw error
        lost.set(name, error)
      }
    }
    return { ids: [...ids], lost }
  }

  #unknown(name: string): AfpRoutingError {
    return new AfpRoutingError('UNKNOWN_RECIPIENT', `nobody is called ${JSON.stringify(name)}`, {
      sender: this.#parts.self,
      recipients: [name],
    })
  }

  async #capable(capability: string, timeout: number, signal?: AbortSignal): Promise<string> {
    const id = await this.#until(() => this.#nextCapable(capability), timeout, signal)
    if (id !== undefined) return id
    throw new AfpRoutingError('NO_CAPABLE_AGENT', `no agent offers ${JSON.stringify(capability)}`, {
      sender: this.#parts.self,
    })
  }

  #nextCapable(capability: string): string | undefined {
    const ids = this.#parts.network
      .peers()
      .filter(({ online, card }) => online && card.capabilities.includes(capability))
      .map(({ card }) => card.id)
      .sort()
    if (ids.length === 0) return undefined
    const turn = this.#turns.get(capability) ?? 0
    if (this.#turns.size > 1_024) this.#turns.clear()
    this.#turns.set(capability, turn + 1)
    return ids[turn % ids.length]
  }

  #lookUp(nameOrId: string): string | undefined {
    const { self, name, known } = this.#parts
    return nameOrId === name ? self : known.resolve(nameOrId)
  }

  #tryLookUp(name: string): string | undefined {
    try {
      return this.#lookUp(name)
    } catch {
      // Ambiguous: none of the claimants is the one that is meant.
      return undefined
    }
  }

  #isOnline(id: string): boolean {
    const { self, network } = this.#parts
    return id === self || network.link(id) !== undefined || network.peer(id)?.online === true
  }

  /** What `find` finds, now or when it looks again, which is whenever an agent comes or changes; undefined when the time is up. */
  async #until<T>(
    find: () => T | undefined,
    timeout: number | undefined,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const now = find()
    if (now !== undefined) return now
    signal?.throwIfAborted()
    const { clock, signal: closing } = this.#parts
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>()
    const timer = timeout === undefined ? undefined : clock.after(timeout, () => resolve(undefined))
    const look = (): void => {
      try {
        const found = find()
        if (found !== undefined) resolve(found)
      } catch (error) {
        reject(error)
      }
    }
    this.#looking.add(look)
    try {
      return await abortable(abortable(promise, closing), signal)
    } finally {
      // Or it would listen for the end of the agent until that comes.
      resolve(undefined)
      this.#looking.delete(look)
      timer?.cancel()
    }
  }
}

function namesIn(target: Target, most: number): readonly string[] {
  if (typeof target === 'string') return [target]
  // Places that hold nothing become undefined, which is no name.
  if (Array.isArray(target)) {
    if (target.length > most) throw new AfpMessageError('INVALID_MESSAGE', `recipients has to be at most ${most}`)
    return Array.from(target)
  }
  const { capability } = (target ?? {}) as { capability?: unknown }
  return isText(capability, MAX_CAPABILITY_LENGTH) && capability !== '' ? ['capability'] : []
}
