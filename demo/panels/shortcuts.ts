/** The keyboard shortcuts; `keyboard.tsx` tells of them. */

/** What a shortcut does. */
export type Shortcut = 'next' | 'previous' | 'write' | 'invite' | 'log' | 'letters' | 'keyboard'

const byCode: Readonly<Record<string, Shortcut>> = {
  ArrowDown: 'next',
  ArrowUp: 'previous',
  KeyW: 'write',
  KeyI: 'invite',
  KeyL: 'log',
  KeyU: 'letters',
  KeyK: 'keyboard',
}

/** The shortcut that a key press means. All take Alt, so that none is in the way of typing or of assistive technology. */
export function shortcutOf(event: KeyboardEvent): Shortcut | undefined {
  if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return undefined
  return Object.hasOwn(byCode, event.code) ? byCode[event.code] : undefined
}
