/** A peer's two processes, and its server. */

import { join } from 'node:path'
import { Helper } from '../../e2e/fixtures/process.ts'
import { quantile } from './figures.ts'
import type { Queued, Spell } from './flow.ts'
import type { Memory, Run } from './peer-process.ts'
import type { Place } from './peers/adapter.ts'
import { PEERS, type Peer } from './peers/peers.ts'
import { Server } from './servers.ts'

/** What a case gave in one round. Processor times are of a message, µs. */
export interface Messages {
  /** Messages a second. */
  readonly rate: number
  readonly senderCpu: number
  readonly recipientCpu: number
  /** Where there is a server; NaN where the platform does not tell. */
  readonly serverCpu?: number
}

/** See the head of this file. */
export class Pair {
  readonly peer: Peer
  readonly server: Server | undefined
  readonly #place: Place
  readonly #recipient: Helper
  #sender: Helper

  private constructor(peer: Peer, place: Place, server: Server | undefined) {
    this.peer = peer
    this.#place = place
    this.server = server
    this.#sender = new Helper('test/bench/peer-process.ts')
    this.#recipient = new Helper('test/bench/peer-process.ts')
  }

  /** Starts all of it, with a folder below `folder`. @throws NotRun where its server is not there */
  static async start(id: string, folder: string): Promise<Pair> {
    const peer = PEERS[id] as Peer
    const own = join(folder, id)
    const server = peer.server === undefined ? undefined : await Server.start(peer.server, join(own, 'server'))
    const place: Place = { peer: id, folder: own, ...(server && { port: server.port }) }
    const pair = new Pair(peer, place, server)
    try {
      const address = await pair.#recipient.call('receive', place)
      await pair.#sender.call('send', place, address)
    } catch (error) {
      await pair.stop()
      throw error
    }
    return pair
  }

  /** Sends; the clock stops when all has arrived, and is acknowledged and deleted where that is promised. */
  async messages(run: Run): Promise<Messages> {
    const recipientBefore = await this.#recipient.call<number>('begin', run)
    const serverBefore = this.server?.cpu()
    const start = performance.now()
    const { sent, cpu } = await this.#sender.call<{ sent: number; cpu: number }>('messages', run)
    const recipientCpu = await this.#recipient.call<number>('end', sent)
    const seconds = (performance.now() - start) / 1_000
    const serverCpu = (this.server?.cpu() ?? Number.NaN) - (serverBefore ?? Number.NaN)
    const each = (ms: number): number => (ms / sent) * 1_000
    return {
      rate: sent / seconds,
      senderCpu: each(cpu),
      recipientCpu: each(recipientCpu - recipientBefore),
      ...(this.server !== undefined && { serverCpu: each(serverCpu) }),
    }
  }

  /** Round trips one at a time, ms; undefined where nothing comes back. */
  async roundTrips(run: Run, spell: Spell): Promise<{ p50: number; p99: number } | undefined> {
    const times = await this.#sender.call<number[]>('roundTrips', run, spell)
    return times.length === 0 ? undefined : { p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
  }

  memory(side: 'sender' | 'recipient'): Promise<Memory> {
    return (side === 'sender' ? this.#sender : this.#recipient).call('memory')
  }

  /** Takes the recipient away, as a crash would. */
  async leave(): Promise<void> {
    await this.#sender.call('left')
    await this.#recipient.kill()
  }

  /** Sends what nobody takes; resolves when all of it is kept. */
  queue(queued: Queued, mode: string): Promise<void> {
    return this.#sender.call('queue', queued, mode)
  }

  /** How long it takes to open what {@link queue} has kept, ms: on the disk in a process of its own, else where it is. */
  async reopen(): Promise<number> {
    if (this.#place.peer !== 'afp-memory') {
      await this.#sender.kill()
      this.#sender = new Helper('test/bench/peer-process.ts')
    }
    return this.#sender.call('open', this.#place)
  }

  async stop(): Promise<void> {
    await Promise.all([this.#sender.kill(), this.#recipient.kill()])
    await this.server?.stop()
  }
}
