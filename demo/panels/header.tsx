/** The bar on top: where this page is and how it stands. */

import type { RelayState, State } from '../state.ts'
import { Icon, Mark } from './icons.tsx'
import { ThemeToggle } from './theme.tsx'

const words: Readonly<Record<RelayState, string>> = {
  reserved: 'Reachable through the relay',
  connected: 'Relay connected',
  connecting: 'Connecting to the relay',
  lost: 'Relay lost, trying again',
}

const ranks: readonly RelayState[] = ['reserved', 'connected', 'connecting', 'lost']

/** The best that any relay gives; undefined without relays. */
export const bestRelay = (state: State): RelayState | undefined =>
  ranks.find(rank => [...state.relays.values()].includes(rank))

/** See the head of this file. */
export function Header(props: {
  state: State
  onInvite: () => void
  onLetters: () => void
  onLog: () => void
  onKeyboard: () => void
}) {
  const { state } = props
  const relay = bestRelay(state)
  return (
    <header class="bar">
      <h1 class="brand">
        <Mark />
        <span>Agent Flow</span>
      </h1>
      <span class="mesh-name" title="The mesh this page is in">
        {state.mesh}
      </span>
      <p class="relay-state" data-testid="relay-state" data-state={relay ?? 'none'} role="status">
        <i class="lamp" aria-hidden="true" />
        <span>{relay === undefined ? 'No relay' : words[relay]}</span>
      </p>
      <span class="grow" />
      <button type="button" class="button" data-testid="open-letters" onClick={props.onLetters}>
        <Icon name="letter" />
        <span>Dead letters</span>
        {state.dead > 0 && <b class="count warn">{state.dead}</b>}
      </button>
      <button type="button" class="button" data-testid="open-log" onClick={props.onLog}>
        <Icon name="log" />
        <span>Events</span>
        {state.warnings > 0 && <b class="count warn">{state.warnings}</b>}
      </button>
      <button
        type="button"
        class="icon-button wide-only"
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts"
        onClick={props.onKeyboard}
      >
        <Icon name="keyboard" />
      </button>
      <ThemeToggle />
      <button
        type="button"
        class="button primary"
        aria-label="Invite"
        data-testid="open-invite"
        onClick={props.onInvite}
      >
        <Icon name="invite" />
        <span>Invite</span>
      </button>
    </header>
  )
}
