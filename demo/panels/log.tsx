/** The event log: everything the agent tells, refusals and drops above all. */

import './overlays.css'

import { useLayoutEffect, useState } from 'preact/hooks'
import type { State } from '../state.ts'
import { Icon } from './icons.tsx'

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})

/** See the head of this file. */
export function Log({ state, onClose }: { state: State; onClose: () => void }) {
  const [troubleOnly, setTroubleOnly] = useState(false)
  // Before it is painted: whoever sees it can close it.
  useLayoutEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') onClose()
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  }, [onClose])
  const trouble = state.log.filter(line => line.level === 'warn' || line.level === 'bad')
  const lines = troubleOnly ? trouble : state.log
  return (
    <section class="drawer" aria-labelledby="log-title" data-testid="log">
      <header class="dialog-head">
        <h2 id="log-title">Events</h2>
        <fieldset class="modes">
          <legend class="visually-hidden">Which events</legend>
          {[false, true].map(only => (
            <label key={String(only)}>
              <input type="radio" name="events" checked={troubleOnly === only} onChange={() => setTroubleOnly(only)} />
              <span>{only ? `Refused and dropped ${trouble.length}` : `All ${state.log.length}`}</span>
            </label>
          ))}
        </fieldset>
        <span class="grow" />
        <button type="button" class="icon-button close" aria-label="Close the events" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {lines.length === 0 ? (
        <p class="rail-empty">{troubleOnly ? 'Nothing was refused or dropped.' : 'Nothing happened yet.'}</p>
      ) : (
        <ol class="log-lines">
          {lines.toReversed().map(line => (
            <li key={line.key} data-level={line.level}>
              <time dateTime={new Date(line.time).toISOString()}>{clock.format(line.time)}</time>
              <b>{line.title}</b>
              <span>{line.detail}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
