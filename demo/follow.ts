/** The agent's events as lines of the log. */

import { type Agent, type AgentEvents, systemClock } from 'agent-flow-protocol'
import { addLog, type LogLine, nameOf, type Store } from './state.ts'

/** Those that the log tells of; `events.ts` says how. */
const TOLD = [
  'peer:online',
  'peer:offline',
  'peer:changed',
  'link:open',
  'link:changed',
  'link:closed',
  'relay',
  'refused',
  'name:conflict',
  'message:dropped',
  'handler:error',
  'dead-letter:added',
  'breaker:changed',
  'store:error',
  'feed:hole',
  'feed:lost',
  'identity:in-use',
  'closed',
] as const

/** Writes the log from now on; `onEvent` is called for each event, whether it makes a line or not. */
export function follow(agent: Agent, store: Store, onEvent: () => void): void {
  const log = (line: Pick<LogLine, 'level' | 'title' | 'detail'>, time = systemClock.now()): void =>
    store.update(state => addLog(state, { ...line, key: store.nextKey(), time }))
  const tell = <K extends keyof AgentEvents & string>(type: K): void =>
    agent.addEventListener(type, event => {
      const time = systemClock.now()
      onEvent()
      void import('./events.ts').then(({ inWords }) => {
        const line = inWords(type, event.detail, id => nameOf(store.state, id))
        if (line !== undefined) log(line, time)
      })
    })
  for (const type of TOLD) tell(type)
  // Links change with every round trip; only a change of kind is news.
  const kinds = new Map<string, string>()
  for (const type of ['link:open', 'link:changed'] as const) {
    agent.addEventListener(type, ({ detail: { peer, kind, transport } }) => {
      const before = kinds.get(peer)
      kinds.set(peer, kind)
      if (type === 'link:open' || before === undefined || before === kind) return
      const title = `Link to ${nameOf(store.state, peer)} is ${kind} now`
      log({ level: kind === 'direct' ? 'good' : 'info', title, detail: transport })
    })
  }
}
