/** The agent's events in words for people. Fetched once the page is drawn: the log can wait for it. */

import type { AgentEvents } from 'agent-flow-protocol'
import { CannotAnswer } from './behaviours/behaviour.ts'
import { reasonOf, whyDead } from './reasons.ts'
import { shortAddress } from './settings.ts'
import type { LogLine } from './state.ts'

/** A line of the event log without its key and time. */
export type Described = Pick<LogLine, 'level' | 'title' | 'detail'>

type Details = { [K in keyof AgentEvents]: AgentEvents[K] }

/** An event as a line of the log, or undefined for those that come too often to be read. */
export function inWords<K extends keyof AgentEvents>(
  type: K,
  detail: AgentEvents[K],
  name: (id: string) => string,
): Described | undefined {
  const event = { type, detail } as { [T in keyof Details]: { type: T; detail: Details[T] } }[keyof Details]
  switch (event.type) {
    case 'peer:online':
      return {
        level: 'good',
        title: `${event.detail.card.name} came online`,
        detail: event.detail.card.capabilities.join(', '),
      }
    case 'peer:offline':
      return {
        level: 'info',
        title: `${name(event.detail.id)} went offline`,
        detail: event.detail.reason === 'left' ? 'said goodbye' : 'fell silent',
      }
    case 'link:open':
      return {
        level: 'good',
        title: `Link to ${name(event.detail.peer)}`,
        detail: `${event.detail.kind}, ${event.detail.transport}`,
      }
    case 'link:closed':
      return { level: 'info', title: `Link to ${name(event.detail.peer)} closed`, detail: '' }
    case 'refused':
      return {
        level: 'warn',
        title: `Refused: ${event.detail.reason}`,
        detail: [`from ${name(event.detail.peer)}`, event.detail.detail].filter(Boolean).join(', '),
      }
    case 'name:conflict':
      return {
        level: 'warn',
        title: `Two agents claim the name ${event.detail.name}`,
        detail: `…${event.detail.claimant.slice(-6)} is not the one known by it`,
      }
    case 'message:dropped':
      return { level: 'warn', title: `Message dropped: ${event.detail.reason}`, detail: `${name(event.detail.peer)}` }
    case 'handler:error':
      return event.detail.error instanceof CannotAnswer
        ? undefined
        : { level: 'bad', title: 'A handler failed', detail: reasonOf(event.detail.error) }
    case 'dead-letter:added': {
      const { side, peer, reason } = event.detail.letter
      return {
        level: 'warn',
        title: `A message ${side === 'sender' ? 'to' : 'from'} ${name(peer)} is a dead letter`,
        detail: whyDead(reason),
      }
    }
    case 'breaker:changed': {
      const { name: peer, to, failures, forced } = event.detail
      const held = { level: 'warn', title: `Messages to ${name(peer)} are held back` } as const
      if (to === 'open') return { ...held, detail: forced ? 'by hand' : `${failures} failures in a row` }
      return to === 'closed' ? { level: 'good', title: `Messages to ${name(peer)} go again`, detail: '' } : undefined
    }
    case 'store:error':
      return { level: 'bad', title: 'Something could not be written', detail: reasonOf(event.detail.error) }
    case 'feed:lost':
    case 'feed:hole':
      return {
        level: 'warn',
        title: `${event.detail.count} messages of ${name(event.detail.peer)} never came`,
        detail: event.type === 'feed:lost' ? 'this browser’s store was set back' : 'they were given up',
      }
    case 'relay': {
      const { state, address, error } = event.detail
      const level = state === 'lost' ? 'bad' : state === 'reserved' ? 'good' : 'info'
      return {
        level,
        title: `Relay ${state}`,
        detail: error === undefined ? shortAddress(address) : `${shortAddress(address)}: ${reasonOf(error)}`,
      }
    }
    case 'identity:in-use':
      return { level: 'bad', title: 'This identity is used elsewhere', detail: 'The agent has stopped' }
    case 'closed':
      return { level: 'info', title: 'The agent has closed', detail: '' }
    default:
      return undefined
  }
}
