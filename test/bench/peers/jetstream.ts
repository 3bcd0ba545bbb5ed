/** JetStream of NATS: publishing with acknowledgements, a consumer that acknowledges, and the same back for answers. */

import { AckPolicy, type JsMsg, jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { until } from '../until.ts'
import type { Adapter } from './adapter.ts'
import { connected, watch } from './nats.ts'

/** Messages that a consumer may have and not have acknowledged: the largest window there is. */
const UNACKNOWLEDGED = 1_024
const STREAMS = ['messages', 'questions', 'answers'] as const
const NANOSECONDS = 1_000_000

/** Hands each message of a stream over, and acknowledges it then. */
async function consume(
  connection: NatsConnection,
  stream: (typeof STREAMS)[number],
  take: (message: JsMsg) => unknown,
): Promise<void> {
  const consumer = await jetstream(connection).consumers.get(stream, stream)
  await consumer.consume({
    max_messages: UNACKNOWLEDGED,
    callback: message => {
      const taken = take(message)
      if (!(taken instanceof Promise)) message.ack()
      else void taken.then(() => message.ack())
    },
  })
}

/** See the head of this file. */
export const jetStream: Adapter = {
  receive: async (place, arrived) => {
    const connection = await connected(place)
    watch(connection)
    const manager = await jetstreamManager(connection)
    for (const name of STREAMS) {
      const [retention, storage] = [RetentionPolicy.Workqueue, StorageType.File]
      await manager.streams.add({ name, subjects: [name], retention, storage })
      await manager.consumers.add(name, {
        durable_name: name,
        ack_policy: AckPolicy.Explicit,
        ack_wait: 30_000 * NANOSECONDS,
        max_ack_pending: UNACKNOWLEDGED,
      })
    }
    const client = jetstream(connection)
    await consume(connection, 'messages', arrived)
    await consume(connection, 'questions', ({ data }) => client.publish('answers', data))
    return {
      address: undefined,
      begin: () => {},
      settled: () => until(async () => (await manager.streams.info('messages')).state.messages === 0),
    }
  },
  send: async (place, _address, window) => {
    const connection = await connected(place)
    watch(connection)
    const client = jetstream(connection, { timeout: 30_000 })
    let answered = (): void => {}
    await consume(connection, 'answers', () => answered())
    return {
      queue: content => client.publish('messages', content),
      flow: () => ({
        batch: 1,
        acknowledged: true,
        send: content => {
          client.publish('messages', content).then(
            () => window.free(1),
            error => window.fail(error),
          )
          return undefined
        },
        roundTrip: async content => {
          const answer = new Promise<void>(resolve => {
            answered = resolve
          })
          await client.publish('questions', content)
          await answer
        },
      }),
    }
  },
}
