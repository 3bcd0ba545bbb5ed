/** The keyboard shortcuts: what they are, and the panel that tells. */

import { useModal } from '../hooks.ts'
import { Icon } from './icons.tsx'

/** What a shortcut does. */
export type Shortcut = 'next' | 'previous' | 'write' | 'invite' | 'log' | 'keyboard'

const byCode: Readonly<Record<string, Shortcut>> = {
  ArrowDown: 'next',
  ArrowUp: 'previous',
  KeyW: 'write',
  KeyI: 'invite',
  KeyL: 'log',
  KeyK: 'keyboard',
}

/** The shortcut that a key press means. All take Alt, so that none is in the way of typing or of assistive technology. */
export function shortcutOf(event: KeyboardEvent): Shortcut | undefined {
  if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return undefined
  return Object.hasOwn(byCode, event.code) ? byCode[event.code] : undefined
}

const rows: readonly (readonly [keys: readonly string[], what: string])[] = [
  [['Enter'], 'Send'],
  [['Shift', 'Enter'], 'New line'],
  [['Ctrl', 'Enter'], 'Send the other way: ask instead of tell, tell instead of ask'],
  [['Alt', '↑ ↓'], 'Previous and next conversation'],
  [['↑ ↓'], 'Move in the list of conversations'],
  [['Alt', 'W'], 'Write'],
  [['Alt', 'I'], 'Invite'],
  [['Alt', 'L'], 'Event log'],
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
