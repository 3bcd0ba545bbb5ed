/** gossipsub between two nodes of libp2p, signed as it is by default, or not. */

import { gossipsub, StrictNoSign, StrictSign } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Credits, creditFrame, creditOf, type Flow, type SendWindow } from '../flow.ts'
import { until } from '../until.ts'
import type { Adapter } from './adapter.ts'
import { bare } from './libp2p.ts'

const POLICIES = { StrictSign, StrictNoSign } as const
type Policy = keyof typeof POLICIES

/** Topics; each end subscribes to what the other one publishes. */
const THERE = ['messages', 'questions']
const BACK = ['credits', 'answers']

async function nodeOf(policy: Policy, listen: readonly string[], topics: readonly string[]) {
  const node = await createLibp2p({
    ...bare(listen),
    services: {
      identify: identify(),
      pubsub: gossipsub({ globalSignaturePolicy: POLICIES[policy], emitSelf: false }),
    },
  })
  for (const topic of topics) node.services.pubsub.subscribe(topic)
  return node
}

type Node = Awaited<ReturnType<typeof nodeOf>>

const heard = (node: Node, onMessage: (topic: string, data: Uint8Array) => void): void =>
  node.services.pubsub.addEventListener('message', ({ detail }) => onMessage(detail.topic, detail.data))

const introduced = (node: Node, topics: readonly string[]): Promise<void> =>
  until(() => topics.every(topic => node.services.pubsub.getSubscribers(topic).length > 0))

/** Unsigned messages are told apart by what is in them alone: each is numbered by its end. */
class Numbered {
  readonly #end: number
  #last = 0

  constructor(end: number) {
    this.#end = end
  }

  next(content: Uint8Array): Uint8Array {
    // gossipsub keeps what it is given.
    const own = new Uint8Array(Math.max(content.length, 10))
    own.set(content)
    const view = new DataView(own.buffer)
    view.setUint8(5, this.#end)
    view.setUint32(6, ++this.#last)
    return own
  }
}

function flowOf(node: Node, window: SendWindow): Flow & Required<Pick<Flow, 'roundTrip'>> {
  const { pubsub } = node.services
  const numbered = new Numbered(0)
  let answered = (): void => {}
  heard(node, (topic, data) => {
    if (topic === 'answers') answered()
    else window.free(creditOf(data) ?? 0)
  })
  const publish = (topic: string, content: Uint8Array): void => {
    pubsub.publish(topic, numbered.next(content)).catch(error => window.fail(error))
  }
  return {
    batch: 1,
    acknowledged: false,
    send: content => void publish('messages', content),
    roundTrip: content =>
      new Promise<void>(resolve => {
        answered = resolve
        publish('questions', content)
      }),
  }
}

/** See the head of this file. */
export const gossip: Adapter = {
  receive: async (_place, arrived) => {
    const address: Record<string, string> = {}
    const all: Credits[] = []
    for (const policy of ['StrictSign', 'StrictNoSign'] as const) {
      const node = await nodeOf(policy, ['/ip4/127.0.0.1/tcp/0'], THERE)
      const { pubsub } = node.services
      const numbered = new Numbered(1)
      const publish = (topic: string, content: Uint8Array): void => void pubsub.publish(topic, numbered.next(content))
      const credits = new Credits(count => publish('credits', creditFrame(count)))
      heard(node, (topic, data) => {
        if (topic === 'questions') return publish('answers', data)
        arrived()
        credits.arrived()
      })
      all.push(credits)
      address[policy] = String(node.getMultiaddrs()[0])
    }
    const begin = (window: number): void => {
      for (const credits of all) credits.reset(window)
    }
    return { address, begin }
  },
  send: async (_place, address, window) => {
    const flows = new Map<string, Flow>()
    for (const policy of ['StrictSign', 'StrictNoSign'] as const) {
      const node = await nodeOf(policy, [], BACK)
      await node.dial(multiaddr((address as Record<Policy, string>)[policy]))
      await introduced(node, THERE)
      const flow = flowOf(node, window)
      // Until an answer comes, the other end does not know yet that somebody listens here.
      await until(async () => Promise.race([flow.roundTrip(new Uint8Array(64)).then(() => true), later()]))
      flows.set(policy, flow)
    }
    return { flow: mode => flows.get(mode) as Flow }
  },
}

const later = (): Promise<false> => new Promise(resolve => setTimeout(() => resolve(false), 500))
