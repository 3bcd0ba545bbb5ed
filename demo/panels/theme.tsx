/** Light, dark, or as the system has it. */

import { useState } from 'preact/hooks'
import { Icon } from './icons.tsx'

type Theme = 'auto' | 'light' | 'dark'

const KEY = 'agent-flow-theme'
const order: readonly Theme[] = ['auto', 'light', 'dark']

/** The theme chosen earlier. */
export function savedTheme(): Theme {
  try {
    const saved = localStorage.getItem(KEY)
    return order.find(theme => theme === saved) ?? 'auto'
  } catch {
    return 'auto'
  }
}

/** Puts a theme on. */
export function applyTheme(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

/** A button that goes through the themes. */
export function ThemeToggle() {
  const [theme, setTheme] = useState(savedTheme)
  const next = order[(order.indexOf(theme) + 1) % order.length] ?? 'auto'
  const change = (): void => {
    applyTheme(next)
    setTheme(next)
    try {
      localStorage.setItem(KEY, next)
    } catch {
      // Not remembered, but on.
    }
  }
  return (
    <button
      type="button"
      class="icon-button"
      data-testid="theme"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={change}
    >
      <Icon name={theme} />
    </button>
  )
}
