/** The agent's events and errors in words for people. */

import { AfpError, type AfpErrorCode, type AgentEvents } from 'agent-flow-protocol'
import { CannotAnswer } from './behaviours/behaviour.ts'
import { shortAddress } from './settings.ts'
import type { LogLine } from './state.ts'

/** A line of the event log without its key and time. */
export type Described = Pick<LogLine, 'level' | 'title' | 'detail'>

const reasons: Partial<Record<AfpErrorCode, string>> = {
  TIMEOUT: 'no answer in time',
  NO_ROUTE: 'no way to reach it now',
  UNKNOWN_RECIPIENT: 'nobody of that name is here',
  AMBIGUOUS_NAME: 'several agents go by that name',
  NO_CAPABLE_AGENT: 'nobody here can do that',
  NO_HANDLER: 'it takes no such messages',
  MESSAGE_TOO_LARGE: 'too large',
  MESSAGE_EXPIRED: 'too late',
  CLOSED: 'the agent has closed',
  INVALID_NAME: 'that name cannot be used',
  INVALID_TOPIC: 'that topic cannot be used',
}

/** Why something failed, in words; errors that another agent told keep theirs. */
export function reasonOf(error: unknown): string {
  if (error instanceof CannotAnswer) return error.message
  // What the other side said stands behind its id, which means nothing to people.
  if (error instanceof AfpError && error.code === 'HANDLER_FAILED')
    return error.message.replace(/^the handler at \S+ failed: /, '')
  if (error instanceof AfpError) return reasons[error.code] ?? error.message
  return error instanceof Error ? error.message : 'it failed'
}

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
