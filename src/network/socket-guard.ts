/**
 * Bounds the sockets under the listeners of a node. libp2p counts a connection once its handshake is done: a socket that
 * says nothing, or the beginning of a request over and over, is in no count, is never closed, and keeps the WebSocket
 * listener from ever finishing its close. What comes over a WebSocket is bounded and outlived here too: whoever reaches
 * the listener can send it, before any handshake.
 */

import type { EventEmitter } from 'node:events'
import { Server, type Socket } from 'node:net'
import type { Listener } from '@libp2p/interface'
import type { Clock } from '../common/clock.ts'
import { placeOfSocket } from './address-share.ts'
import type { TransportFactory } from './node.ts'

/** How long a socket may stay silent after it was accepted, ms. */
const SILENCE = 5_000
/** How long it may take from then until it is a WebSocket, ms; libp2p gives the handshakes after it as long again. */
const UPGRADE = 10_000

/**
 * The longest message of a WebSocket, bytes, in however many pieces: it is held until it is whole, from before the first
 * handshake on. Noise writes 64 KiB at a time, and some implementations a few of these at once.
 */
const MAX_MESSAGE = 262_144
/** In how many pieces a frame of it may come from the network: each takes memory of its own, beside its bytes. */
const MAX_CHUNKS = 4_096

/** Sockets beyond the connections: those whose handshake is under way or that are about to be refused. */
export const SPARE_SOCKETS = 128

/** What libp2p's listeners on sockets keep to themselves. */
interface Inside extends Listener {
  readonly server?: unknown
  /** Of WebSockets alone: what each new one is bounded by. */
  readonly wsServer?: { readonly options: { maxPayload: number; maxBufferedChunks: number } }
  /** Of WebSockets alone: a request to become one, whole and read. */
  onUpgrade?(request: unknown, socket: Socket, head: unknown): void
  /** Of WebSockets alone: a socket that has become one. */
  onWsServerConnection?(websocket: EventEmitter, request: unknown): void
}

/** See the head of this file. */
export class SocketGuard {
  readonly #clock: Clock
  readonly #limit: number
  readonly #sockets = new Set<Socket>()
  /** Those at a listener for WebSockets that are none yet. */
  readonly #early = new Set<Socket>()
  readonly #places = new Map<string | undefined, number>()

  /** @param limit - sockets at a time, shared between addresses; each listener accepts as many */
  constructor(clock: Clock, limit: number) {
    this.#clock = clock
    this.#limit = limit
  }

  /** A transport whose listeners are watched. */
  guarded(factory: TransportFactory): TransportFactory {
    return components => {
      const transport = factory(components)
      const createListener = transport.createListener.bind(transport)
      transport.createListener = options => this.#watched(createListener(options) as Inside)
      return transport
    }
  }

  /** Drops every socket that is still open. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** A libp2p listener that stands on a server of `node:net`; others are left as they are. */
  #watched(listener: Inside): Listener {
    const { server } = listener
    if (!(server instanceof Server)) return listener
    const onUpgrade = listener.onUpgrade?.bind(listener)
    server.maxConnections = this.#limit
    // libp2p has no option for it, and by default they take 100 MiB.
    const { wsServer } = listener
    if (wsServer) Object.assign(wsServer.options, { maxPayload: MAX_MESSAGE, maxBufferedChunks: MAX_CHUNKS })
    // First of all: libp2p leaves alone what is gone by then.
    server.prependListener('connection', socket => this.#accepted(socket, onUpgrade !== undefined))
    if (onUpgrade !== undefined) {
      listener.onUpgrade = (request, socket, head) => {
        this.#early.delete(socket)
        onUpgrade(request, socket, head)
      }
    }
    const onWebSocket = listener.onWsServerConnection?.bind(listener)
    if (onWebSocket !== undefined) {
      listener.onWsServerConnection = (websocket, request) => {
        // What is no WebSocket's talk closes it, and is told by an event that ends the process when nobody listens.
        websocket.on('error', () => {})
        onWebSocket(websocket, request)
      }
    }
    const close = listener.close.bind(listener)
    listener.close = (...options) => {
      const closed = close(...options)
      // The listener waits for them to close, and knows only those that have said something.
      for (const socket of this.#early) socket.destroy()
      return closed
    }
    return listener
  }

  #accepted(socket: Socket, upgrades: boolean): void {
    // A socket that is gone already has no address.
    const place = placeOfSocket(socket.remoteAddress ?? '127.0.0.1')
    const held = this.#places.get(place) ?? 0
    if (place !== undefined && held >= this.#limit - this.#sockets.size) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    this.#places.set(place, held + 1)
    if (upgrades) this.#early.add(socket)
    const silence = this.#clock.after(SILENCE, () => {
      if (socket.bytesRead === 0) socket.destroy()
    })
    const upgrade = this.#clock.after(UPGRADE, () => {
      if (this.#early.has(socket)) socket.destroy()
    })
    socket.once('close', () => {
      silence.cancel()
      upgrade.cancel()
      this.#sockets.delete(socket)
      this.#early.delete(socket)
      const left = (this.#places.get(place) ?? 1) - 1
      if (left === 0) this.#places.delete(place)
      else this.#places.set(place, left)
    })
  }
}
