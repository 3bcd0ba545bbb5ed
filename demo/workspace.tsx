/** The page while its agent runs: lays the panels out and listens to the keyboard. Fetched after the agent's code. */

import './talk.css'
import './composer.css'
import './list.css'
import './delivery.css'

import { useCallback, useEffect, useRef } from 'preact/hooks'
import type { Commands } from './commands.ts'
import { useLazy, useStore } from './hooks.ts'
import { ConversationPanel } from './panels/conversation.tsx'
import { Header } from './panels/header.tsx'
import { Icon } from './panels/icons.tsx'
import { Roster } from './panels/roster.tsx'
import { shortcutOf } from './panels/shortcuts.ts'
import { Tabs } from './panels/tabs.tsx'
import { Topics } from './panels/topics.tsx'
import { type Channel, channels, markRead, type State, type Store, select } from './state.ts'

const loadInvite = async () => (await import('./panels/invite.tsx')).Invite
const loadKeyboard = async () => (await import('./panels/keyboard.tsx')).Keyboard
const loadLetters = async () => (await import('./panels/letters.tsx')).Letters
const loadLog = async () => (await import('./panels/log.tsx')).Log
const loadSide = async () => (await import('./panels/side.tsx')).Side

/** What {@link Workspace} needs. */
export interface WorkspaceProps {
  store: Store
  commands: Commands
  onLeave: () => void
}

/** See the head of this file. */
export function Workspace({ store, commands, onLeave }: WorkspaceProps) {
  const state = useStore(store)
  const set = useCallback((change: Partial<State>) => store.update(before => ({ ...before, ...change })), [store])
  const turnTo = useCallback((channel: Channel) => store.update(before => select(before, channel)), [store])
  const close = useCallback(() => set({ open: undefined }), [set])
  const showLog = useCallback(() => set({ open: 'log', warnings: 0 }), [set])
  const showLetters = useCallback(() => set({ open: 'letters' }), [set])
  /** From a conversation: where there is room for one part only, the letters are a part of their own. */
  const turnToLetters = useCallback(
    () => set(matchMedia('(max-width: 760px)').matches ? { view: 'letters', open: undefined } : { open: 'letters' }),
    [set],
  )
  const showInvite = useCallback(() => set({ open: 'invite' }), [set])

  const Side = useLazy(loadSide)
  const Invite = useLazy(loadInvite, state.open === 'invite' || state.peers.size === 0)
  const Keyboard = useLazy(loadKeyboard, state.open === 'keyboard')
  const Letters = useLazy(loadLetters, state.open === 'letters' || state.view === 'letters')
  const Log = useLazy(loadLog, state.open === 'log' || state.view === 'log')

  // What was focused went with the first page.
  const rail = useRef<HTMLElement>(null)
  useEffect(() => {
    if (document.activeElement === document.body) rail.current?.focus({ preventScroll: true })
  }, [])
  useEffect(() => {
    const listening = new AbortController()
    const { signal } = listening
    addEventListener(
      'keydown',
      event => {
        const shortcut = shortcutOf(event)
        if (shortcut === undefined || store.state.phase !== 'running') return
        event.preventDefault()
        if (shortcut === 'next' || shortcut === 'previous') {
          const list = channels(store.state)
          const at = list.indexOf(store.state.selected) + (shortcut === 'next' ? 1 : -1)
          const channel = list.at(at % list.length)
          if (channel !== undefined) turnTo(channel)
        } else if (shortcut === 'write') {
          set({ view: 'talk', open: undefined })
          document.querySelector<HTMLTextAreaElement>('#write')?.focus()
        } else if (shortcut === 'log' && store.state.open !== 'log') showLog()
        else set({ open: store.state.open === shortcut ? undefined : shortcut })
      },
      { signal },
    )
    document.addEventListener(
      'visibilitychange',
      () => document.visibilityState === 'visible' && store.update(markRead),
      { signal },
    )
    return () => listening.abort()
  }, [store, set, turnTo, showLog])

  const unread = [...state.conversations.values()].reduce((sum, conversation) => sum + conversation.unread, 0)
  useEffect(() => {
    const title = state.me === undefined ? 'Agent Flow' : `${state.me.name} · Agent Flow`
    document.title = unread === 0 ? title : `(${unread}) ${title}`
  }, [unread, state.me])

  return (
    <div class="app" data-view={state.view}>
      <Header
        state={state}
        onInvite={showInvite}
        onLetters={showLetters}
        onLog={showLog}
        onKeyboard={() => set({ open: 'keyboard' })}
      />
      <nav class="rail" aria-label="Conversations" tabIndex={-1} ref={rail}>
        <Topics state={state} onSelect={turnTo} onJoin={topic => commands.join(topic)} />
        <Roster state={state} onSelect={turnTo} onInvite={showInvite} />
      </nav>
      <main class="talk">
        <ConversationPanel
          state={state}
          commands={commands}
          invite={Invite}
          onBack={() => set({ view: 'agents' })}
          onLetters={turnToLetters}
        />
      </main>
      <aside class="side" aria-label="Mesh">
        {Side !== undefined && (
          <Side
            state={state}
            onSelect={turnTo}
            onInvite={showInvite}
            onLeave={onLeave}
            onFailing={failing => set({ failing })}
          />
        )}
      </aside>
      {(state.open === 'log' || state.view === 'log') && Log !== undefined && (
        <Log
          state={state}
          onClose={() => set({ open: undefined, view: state.view === 'log' ? 'agents' : state.view })}
        />
      )}
      {(state.open === 'letters' || state.view === 'letters') && Letters !== undefined && (
        <Letters
          state={state}
          commands={commands}
          onClose={() => set({ open: undefined, view: state.view === 'letters' ? 'agents' : state.view })}
        />
      )}
      <Tabs
        state={state}
        unread={unread}
        onView={view => set({ view, open: undefined, ...(view === 'log' ? { warnings: 0 } : {}) })}
      />
      {state.open === 'invite' && Invite !== undefined && <Invite state={state} dialog onClose={close} />}
      {state.open === 'keyboard' && Keyboard !== undefined && <Keyboard onClose={close} />}
      {state.notice !== undefined && (
        <div class="stopped notice" role="alert" data-testid="notice">
          <p>{state.notice}</p>
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => set({ notice: undefined })}>
            <Icon name="close" />
          </button>
        </div>
      )}
      {state.phase === 'stopped' && (
        <div class="stopped" role="alert">
          <p>{state.problem}</p>
          <button type="button" class="button primary" onClick={() => location.reload()}>
            Start again
          </button>
        </div>
      )}
    </div>
  )
}
