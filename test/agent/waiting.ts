/** Waiting for what agents tell, and what makes them fail. */

import type { Agent, AgentEvents } from '../../src/agent/agent.ts'
import { abortable } from '../../src/common/abort.ts'

/** The detail of the next event of `type` for which `accept` holds. */
export function until<K extends keyof AgentEvents>(
  agent: Agent,
  type: K,
  accept: (detail: AgentEvents[K]) => boolean = () => true,
): Promise<AgentEvents[K]> {
  return new Promise(resolve => {
    const listening = new AbortController()
    agent.addEventListener(
      type,
      ({ detail }) => {
        if (!accept(detail)) return
        listening.abort()
        resolve(detail)
      },
      { signal: listening.signal },
    )
  })
}

/** The next events of `type`, as they come. */
export function collect<K extends keyof AgentEvents>(agent: Agent, type: K): AgentEvents[K][] {
  const events: AgentEvents[K][] = []
  agent.addEventListener(type, ({ detail }) => void events.push(detail))
  return events
}

/** What a promise rejects with; an error if it does not. */
export async function failure(promise: Promise<unknown>, signal?: AbortSignal): Promise<Error & { code?: string }> {
  try {
    await abortable(promise, signal)
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}

/** Something that throws as soon as it is looked at. */
export const touchy = (error: Error): { inside: unknown } =>
  Object.defineProperty({ inside: undefined as unknown }, 'inside', {
    enumerable: true,
    get: () => {
      throw error
    },
  })
