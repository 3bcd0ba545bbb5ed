/** Every channel that carries a session or is about to, by peer: so that nobody opens them without end. */

import type { Connection } from './carrier.ts'
import type { Session } from './session.ts'

/** Channels of one connection on which hellos are still due. */
const MAX_WITHOUT_HELLO = 4
/**
 * Channels of one peer over all its connections. One is used; there are more while links are replaced, and until those of
 * a connection that was cut are found out.
 */
const MAX_PER_PEER = 8

/** See the head of this file. */
export class SessionTable {
  readonly #byPeer = new Map<string, Set<Session>>()
  /** Connections that have carried a session, so that one that never does is found out. */
  readonly #used = new WeakSet<Connection>()
  readonly #met = new WeakSet<Connection>()

  add(session: Session): void {
    const sessions = this.#byPeer.get(session.peer) ?? new Set()
    this.#byPeer.set(session.peer, sessions.add(session))
    this.#used.add(session.channel.connection)
  }

  /** A session's channel has ended. */
  delete(session: Session): void {
    const sessions = this.#byPeer.get(session.peer)
    if (sessions?.delete(session) && sessions.size === 0) this.#byPeer.delete(session.peer)
  }

  /** Ends all of them, those included whose hellos are under way: their timers would keep a process alive. */
  drop(): void {
    for (const sessions of [...this.#byPeer.values()]) for (const session of [...sessions]) session.drop()
  }

  /** The hellos of a session are done. */
  meet(session: Session): void {
    this.#met.add(session.channel.connection)
  }

  /** The sessions on a connection. */
  on(connection: Connection): Session[] {
    return [...(this.#byPeer.get(connection.peer) ?? [])].filter(({ channel }) => channel.connection === connection)
  }

  /** Whether a channel was ever opened on a connection. */
  carried(connection: Connection): boolean {
    return this.#used.has(connection)
  }

  /** Whether hellos were ever exchanged on a connection. */
  met(connection: Connection): boolean {
    return this.#met.has(connection)
  }

  /** Why a peer may not open one more channel on a connection, or undefined where it may. */
  excess(connection: Connection): string | undefined {
    const count = this.#byPeer.get(connection.peer)?.size ?? 0
    if (count >= MAX_PER_PEER) return `${count} channels are open`
    const silent = this.on(connection).filter(({ met }) => !met).length
    return silent >= MAX_WITHOUT_HELLO ? `${silent} channels are open without a hello` : undefined
  }
}
