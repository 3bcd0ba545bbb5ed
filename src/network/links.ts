/** The sessions with each peer, best first, as one link. */

import { abortable, within } from '../common/abort.ts'
import type { Clock } from '../common/clock.ts'
import { AfpError } from '../common/errors.ts'
import type { Link } from './network.ts'
import type { Session } from './session.ts'

/** What the collection tells. */
export interface LinksOptions {
  onOpen: (link: Link) => void
  onChanged: (link: Link) => void
  onClosed: (peer: string) => void
}

/** See the head of this file. */
export class Links {
  readonly #options: LinksOptions
  readonly #byPeer = new Map<string, Session[]>()
  readonly #waiting = new Map<string, Set<PromiseWithResolvers<Link>>>()
  #stopped: Error | undefined

  constructor(options: LinksOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#byPeer.size
  }

  /** Adds a session whose hellos are done. */
  add(session: Session): void {
    const sessions = this.#byPeer.get(session.peer) ?? []
    const before = sessions[0]
    // Direct before relayed, and of two alike the newer: its older twin may be dying.
    const at = sessions.findIndex(other => rank(other) <= rank(session))
    sessions.splice(at < 0 ? sessions.length : at, 0, session)
    this.#byPeer.set(session.peer, sessions)
    const link = linkOf(session)
    if (before === undefined) this.#options.onOpen(link)
    else if (sessions[0] === session) this.#options.onChanged(link)
    for (const { resolve } of this.#waiting.get(session.peer) ?? []) resolve(link)
    this.#waiting.delete(session.peer)
  }

  /** Drops a session that has closed. */
  remove(session: Session): void {
    const sessions = this.#byPeer.get(session.peer)
    const at = sessions?.indexOf(session) ?? -1
    if (sessions === undefined || at < 0) return
    sessions.splice(at, 1)
    const next = sessions[0]
    if (next === undefined) {
      this.#byPeer.delete(session.peer)
      this.#options.onClosed(session.peer)
    } else if (at === 0) {
      this.#options.onChanged(linkOf(next))
    }
  }

  /** A session's round trip was measured. */
  touched(session: Session): void {
    if (this.best(session.peer) === session) this.#options.onChanged(linkOf(session))
  }

  best(peer: string): Session | undefined {
    return this.#byPeer.get(peer)?.[0]
  }

  get(peer: string): Link | undefined {
    const session = this.best(peer)
    return session === undefined ? undefined : linkOf(session)
  }

  all(): Link[] {
    return [...this.#byPeer.values()].flatMap(sessions => (sessions[0] === undefined ? [] : [linkOf(sessions[0])]))
  }

  /** Every open session, or those with one peer. */
  sessions(peer?: string): Session[] {
    return peer === undefined ? [...this.#byPeer.values()].flat() : [...(this.#byPeer.get(peer) ?? [])]
  }

  /** The link to a peer, as soon as there is one. */
  opened(peer: string, signal?: AbortSignal): Promise<Link> {
    const link = this.get(peer)
    if (link !== undefined) return Promise.resolve(link)
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped)
    const waiting = this.#waiting.get(peer) ?? new Set()
    this.#waiting.set(peer, waiting)
    const waiter = Promise.withResolvers<Link>()
    waiting.add(waiter)
    return abortable(waiter.promise, signal).finally(() => waiting.delete(waiter))
  }

  /** Nobody waits for a link any more, and no timer for whoever did. */
  stop(): void {
    const reason = new AfpError('CLOSED', 'the network has stopped')
    this.#stopped = reason
    for (const waiting of this.#waiting.values()) for (const { reject } of waiting) reject(reason)
    this.#waiting.clear()
  }

  /** The best session with a peer, if there is one within `ms`. */
  async soon(peer: string, clock: Clock, ms: number, signal?: AbortSignal): Promise<Session | undefined> {
    const late = (): Error => new Error('no link in time')
    await within(clock, ms, late, signal, given => this.opened(peer, given)).catch(() => signal?.throwIfAborted())
    return this.best(peer)
  }
}

const rank = (session: Session): number => (session.channel.connection.kind === 'direct' ? 1 : 0)

/** What upper floors see of a session. */
export const linkOf = (session: Session): Link => ({
  peer: session.peer,
  kind: session.channel.connection.kind,
  transport: session.channel.connection.transport,
  rtt: session.rtt,
})
