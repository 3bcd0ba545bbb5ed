/** Under the place to write to an agent: whether it is there, what waits for it and how long, and what holds it back. */

import './waiting.css'

import { type State, someone, waitingFor } from '../state.ts'
import { Icon } from './icons.tsx'

/** How long a message may wait, seconds. */
const times: readonly (readonly [seconds: number, text: string])[] = [
  [10, '10 seconds'],
  [60, '1 minute'],
  [3_600, '1 hour'],
  [86_400, '1 day'],
  [2_592_000, '30 days'],
]

/** See the head of this file. */
export function Waiting(props: {
  state: State
  /** Whom it is for. */
  id: string
  /** In place of a message: how long a question waits for its reply, ms. */
  asks: number | undefined
  /** How long a message waits, seconds. */
  ttl: number
  onTtl: (ttl: number) => void
  onHold: (on: boolean) => void
}) {
  const { state, id, asks } = props
  const waiting = waitingFor(state, `agent:${id}`)
  const held = state.held.get(id)
  const there = someone(state, id)?.peer?.online === true
  const where = held === undefined ? (there ? 'Here' : 'Away') : 'Held back'
  return (
    <div class="waiting-line" data-held={held !== undefined}>
      <p role="status" data-testid="where">
        <b>{where}</b>
        {waiting > 0 && ` · ${waiting} waiting`}
      </p>
      {asks === undefined ? (
        <label>
          <span class="wide-only">messages</span> wait up to
          <select
            data-testid="ttl"
            value={props.ttl}
            aria-label="How long a message may wait"
            onChange={event => props.onTtl(Number(event.currentTarget.value))}
          >
            {times.map(([seconds, text]) => (
              <option key={seconds} value={seconds}>
                {text}
              </option>
            ))}
          </select>
        </label>
      ) : (
        <span>a question waits {asks / 1000} s</span>
      )}
      <button
        type="button"
        class="text-button"
        data-testid="hold"
        title={held === undefined ? 'Opens the circuit breaker of this agent' : 'Closes the circuit breaker'}
        onClick={() => props.onHold(held === undefined)}
      >
        <Icon name={held === undefined ? 'pause' : 'send'} />
        {held === undefined ? 'Hold back' : 'Let go'}
      </button>
    </div>
  )
}
