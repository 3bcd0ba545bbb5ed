/**
 * Sockets under the listeners. libp2p counts a connection once its handshake is done; a socket that says nothing is in no
 * count, is never closed, and keeps the WebSocket listener from ever finishing its close.
 */

import { Server, type Socket } from 'node:net'
import type { Clock } from '../src/common/clock.ts'

/** How long a socket may stay silent after it was accepted, ms. */
const SILENCE = 10_000

/** See the head of this file. */
export class SocketGuard {
  readonly #clock: Clock
  readonly #limit: number
  readonly #sockets = new Set<Socket>()

  /** @param limit - sockets that each listener accepts at a time */
  constructor(clock: Clock, limit: number) {
    this.#clock = clock
    this.#limit = limit
  }

  /** Open sockets. */
  get size(): number {
    return this.#sockets.size
  }

  /** Watches a libp2p listener that stands on a server of `node:net`. */
  watch(listener: object): void {
    const server = 'server' in listener ? listener.server : undefined
    if (!(server instanceof Server)) return
    server.maxConnections = this.#limit
    server.on('connection', socket => this.#accepted(socket))
  }

  /** Drops the sockets that have said nothing yet. */
  destroySilent(): void {
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }

  /** Drops every socket that is still open. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #accepted(socket: Socket): void {
    this.#sockets.add(socket)
    const timer = this.#clock.after(SILENCE, () => {
      if (socket.bytesRead === 0) socket.destroy()
    })
    socket.once('close', () => {
      timer.cancel()
      this.#sockets.delete(socket)
    })
  }
}
