/** NATS: messages that the server keeps for nobody. */

import { connect, type NatsConnection } from '@nats-io/transport-node'
import { Credits, creditFrame, creditOf } from '../flow.ts'
import type { Adapter, Place } from './adapter.ts'

/** A connection that does not come back by itself: a benchmark that goes on over a loss measures something else. */
export const connected = ({ port }: Place): Promise<NatsConnection> =>
  connect({ servers: `127.0.0.1:${port}`, reconnect: false, noAsyncTraces: true })

/** Ends the process on what the server complains of. */
export function watch(connection: NatsConnection): void {
  void connection.closed().then(error => {
    if (error instanceof Error) throw error
  })
}

/** See the head of this file. */
export const core: Adapter = {
  receive: async (place, arrived) => {
    const connection = await connected(place)
    watch(connection)
    const credits = new Credits(count => connection.publish('credits', creditFrame(count)))
    connection.subscribe('messages', {
      callback: () => {
        arrived()
        credits.arrived()
      },
    })
    connection.subscribe('questions', { callback: (_, message) => void message.respond(message.data) })
    await connection.flush()
    return { address: undefined, begin: window => credits.reset(window) }
  },
  send: async (place, _address, window) => {
    const connection = await connected(place)
    watch(connection)
    connection.subscribe('credits', { callback: (_, { data }) => window.free(creditOf(data) ?? 0) })
    await connection.flush()
    return {
      flow: () => ({
        batch: 1,
        acknowledged: false,
        send: content => void connection.publish('messages', content),
        roundTrip: content => connection.request('questions', content, { timeout: 30_000 }),
      }),
    }
  },
}
