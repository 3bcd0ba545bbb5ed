/** The panel that tells of the keyboard shortcuts. Fetched when first shown. */

import './overlays.css'

import { useModal } from '../hooks.ts'
import { Icon } from './icons.tsx'

const rows: readonly (readonly [keys: readonly string[], what: string])[] = [
  [['Enter'], 'Send'],
  [['Shift', 'Enter'], 'New line'],
  [['Ctrl', 'Enter'], 'Send the other way: ask instead of tell, tell instead of ask'],
  [['Alt', '↑ ↓'], 'Previous and next conversation'],
  [['↑ ↓'], 'Move in the list of conversations'],
  [['Alt', 'W'], 'Write'],
  [['Alt', 'I'], 'Invite'],
  [['Alt', 'L'], 'Event log'],
  [['Alt', 'U'], 'Dead letters: undelivered, unhandled'],
  [['Alt', 'K'], 'These shortcuts'],
  [['Esc'], 'Close what is open'],
]

/** The panel of shortcuts. */
export function Keyboard({ onClose }: { onClose: () => void }) {
  return (
    <dialog class="dialog" ref={useModal(onClose)} aria-labelledby="keyboard-title">
      <header class="dialog-head">
        <h2 id="keyboard-title">Keyboard</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <dl class="keys">
        {rows.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map(key => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  )
}
