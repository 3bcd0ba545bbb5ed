/** MQTT 3.1.1 through MQTT.js and a broker. */

import type { Socket } from 'node:net'
import { connectAsync, type MqttClient } from 'mqtt'
import { Credits, creditFrame, creditOf } from '../flow.ts'
import type { Adapter, Place } from './adapter.ts'

type Qos = 0 | 1 | 2
const ALL: readonly Qos[] = [0, 1, 2]

/** Where the broker keeps sessions, this one stays. */
async function clientOf({ port, peer }: Place, clientId: string): Promise<MqttClient> {
  const client = await connectAsync({
    host: '127.0.0.1',
    port: port as number,
    clientId,
    clean: peer !== 'mosquitto-persistence',
    reconnectPeriod: 0,
  })
  // Without it acknowledgements wait up to 50 ms for something to go with.
  ;(client.stream as Socket).setNoDelay(true)
  const fail = (what: string) => (error?: Error) => {
    throw new Error(`MQTT: ${what}`, { cause: error })
  }
  client.on('error', fail('an error'))
  client.on('close', fail('the connection was closed'))
  return client
}

/** See the head of this file. */
export const mqtt: Adapter = {
  receive: async (place, arrived) => {
    const client = await clientOf(place, 'recipient')
    const credits = new Credits(count => client.publish('credits', Buffer.from(creditFrame(count)), { qos: 0 }))
    client.on('message', (topic, payload, { qos }) => {
      if (topic.startsWith('questions')) return void client.publish(`answers/${qos}`, payload, { qos })
      arrived()
      if (qos === 0) credits.arrived()
    })
    for (const qos of ALL) await client.subscribeAsync([`messages/${qos}`, `questions/${qos}`], { qos })
    return { address: undefined, begin: window => credits.reset(window) }
  },
  send: async (place, _address, window) => {
    const client = await clientOf(place, 'sender')
    let answered = (): void => {}
    client.on('message', (topic, payload) => {
      if (topic === 'credits') window.free(creditOf(payload) ?? 0)
      else answered()
    })
    await client.subscribeAsync('credits', { qos: 0 })
    for (const qos of ALL) await client.subscribeAsync(`answers/${qos}`, { qos })
    return {
      queue: content => client.publishAsync('messages/1', Buffer.from(content), { qos: 1 }),
      flow: mode => {
        const qos = Number(mode) as Qos
        let given: Uint8Array | undefined
        let payload: Buffer = Buffer.alloc(0)
        const of = (content: Uint8Array): Buffer => {
          if (given !== content) payload = Buffer.from(content.buffer)
          given = content
          return payload
        }
        return {
          batch: 1,
          acknowledged: qos > 0,
          send: content => {
            client.publish(`messages/${qos}`, of(content), { qos }, error => {
              if (error) window.fail(error)
              else if (qos > 0) window.free(1)
            })
            return undefined
          },
          roundTrip: content =>
            new Promise<void>(resolve => {
              answered = resolve
              client.publish(`questions/${qos}`, of(content), { qos })
            }),
        }
      },
    }
  },
}
