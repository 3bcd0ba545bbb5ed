/** On small screens: which part of the page is in front. */

import type { State, View } from '../state.ts'
import { Icon, type IconName } from './icons.tsx'

const tabs: readonly (readonly [View, string, IconName])[] = [
  ['agents', 'Agents', 'person'],
  ['talk', 'Talk', 'talk'],
  ['mesh', 'Mesh', 'map'],
  ['letters', 'Letters', 'letter'],
  ['log', 'Events', 'log'],
]

/** See the head of this file. */
export function Tabs({ state, unread, onView }: { state: State; unread: number; onView: (view: View) => void }) {
  const counts: Partial<Record<View, number>> = { agents: unread, letters: state.dead, log: state.warnings }
  return (
    <nav class="tabs" aria-label="Parts of the page">
      {tabs.map(([view, label, icon]) => (
        <button
          key={view}
          type="button"
          aria-current={state.view === view ? 'page' : undefined}
          onClick={() => onView(view)}
        >
          <Icon name={icon} />
          <span>{label}</span>
          {(counts[view] ?? 0) > 0 && <b class="count">{counts[view]}</b>}
        </button>
      ))}
    </nav>
  )
}
