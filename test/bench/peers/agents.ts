/** Both ends of a pair of agents. Runs in tabs as well. */

import type { Agent } from '../../../src/agent/agent.ts'
import type { Guarantee } from '../../../src/message/message.ts'
import type { Store } from '../../../src/store/store.ts'
import { Credits, creditFrame, creditOf, type Flow, type SendWindow } from '../flow.ts'
import { until } from '../until.ts'

/**
 * A benchmark that goes on over one of these measures something else. Over the loss of a link, as on a machine that is
 * too busy for pings, it goes on, and over what comes twice then: what is kept is sent again, and what is not is missed where
 * it is counted.
 */
export const FATAL = ['message:dropped', 'handler:error', 'store:error', 'delivery:failed'] as const

const TOPIC = 'bench'
/** How long an answer may take, ms. */
const PATIENCE = 30_000

const emptied = (store: Store, table: string): Promise<void> => until(async () => (await store.count(table)) === 0, 0)

/** The end that takes messages. */
export async function takeMessages(agent: Agent, store: Store, arrived: () => void) {
  let sender = ''
  const credits = new Credits(count => void agent.send(sender, creditFrame(count), { guarantee: 'at-most-once' }))
  agent.handle(({ content, guarantee, id, sender: from }, { expectsReply, transaction }) => {
    if (expectsReply) return content
    // What a handler keeps of a message. Without a read, so that no message waits for the disk of the one before.
    if (guarantee === 'exactly-once') transaction.put(['seen', id], true)
    arrived()
    if (guarantee !== 'at-most-once') return undefined
    sender = from
    credits.arrived()
  })
  const published = agent.subscribe({ topic: TOPIC }, message => {
    sender = message.sender
    arrived()
    credits.arrived()
  })
  await published.ready
  return {
    begin: (window: number) => credits.reset(window),
    settled: () => emptied(store, 'inbox'),
  }
}

/** The end that sends them to the agent of this id. */
export function sendMessages(agent: Agent, store: Store, id: string, window: SendWindow) {
  agent.handle(({ content }) => window.free(creditOf(content as Uint8Array) ?? 0))
  const fail = (error: unknown): void => window.fail(error)
  const flow = (mode: string): Flow => {
    if (mode === 'publish') {
      const send = (content: Uint8Array) => void agent.publish(TOPIC, content).catch(fail)
      return { batch: 1, acknowledged: false, send }
    }
    const guarantee = mode as Guarantee
    const acknowledged = guarantee !== 'at-most-once'
    return {
      batch: 1,
      acknowledged,
      settled: () => emptied(store, 'outbox'),
      send: content => {
        const sent = agent.send(id, content, { guarantee })
        if (!acknowledged) sent.catch(fail)
        else sent.then(({ processed }) => processed).then(() => window.free(1), fail)
        return undefined
      },
      roundTrip: content => agent.request(id, content, { guarantee, timeout: PATIENCE }),
    }
  }
  return { flow }
}
