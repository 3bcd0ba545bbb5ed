/** One conversation: its head, what was said, and the place to write. */

import type { ComponentType } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { behaviourOf } from '../behaviours/catalogue.ts'
import type { Commands } from '../commands.ts'
import { useLazy } from '../hooks.ts'
import { type Channel, conversationOf, isOpen, type State, someone, titleOf } from '../state.ts'
import { Avatar } from './avatar.tsx'
import { Composer } from './composer.tsx'
import { EntryView } from './entry.tsx'
import { Icon } from './icons.tsx'
import type { InviteProps } from './invite.tsx'
import { LinkLabel, presenceOf } from './roster.tsx'

const loadExchange = async () => (await import('./direct.ts')).Exchange

const about = (channel: Channel): string =>
  channel === 'everyone' ? 'Broadcast: reaches every agent in the mesh.' : 'Topic: reaches every agent that joined it.'

/** Clears a conversation; asks once more first, in the same place. */
function Clear({ title, onClear }: { title: string; onClear: () => void }) {
  const [sure, setSure] = useState(false)
  return (
    <button
      type="button"
      class={sure ? 'button danger' : 'icon-button'}
      data-testid="clear"
      aria-label={sure ? undefined : `Clear the conversation: ${title}`}
      title={sure ? 'What still waits stays' : 'Clear the conversation'}
      onBlur={() => setSure(false)}
      onKeyDown={event => event.key === 'Escape' && setSure(false)}
      onClick={() => {
        if (sure) onClear()
        setSure(!sure)
      }}
    >
      {sure ? 'Clear all of it?' : <Icon name="bin" />}
    </button>
  )
}

function Head(props: { state: State; channel: Channel; onBack: () => void; commands: Commands }) {
  const { state, channel, commands } = props
  const known = channel.startsWith('agent:') ? someone(state, channel.slice(6)) : undefined
  const peer = known?.peer
  const title = titleOf(state, channel)
  return (
    <header class="talk-head">
      <button type="button" class="icon-button narrow-only" aria-label="Back to the list" onClick={props.onBack}>
        <Icon name="back" />
      </button>
      {channel.startsWith('agent:') ? (
        <Avatar
          id={channel.slice(6)}
          name={title}
          capabilities={known?.capabilities ?? []}
          presence={presenceOf(peer)}
        />
      ) : (
        <span class="sign big">
          <Icon name={channel === 'everyone' ? 'everyone' : 'topic'} />
        </span>
      )}
      <div class="talk-title">
        <h2 data-testid="title">{title}</h2>
        <p>{channel.startsWith('agent:') ? known?.description || 'Not known here any more' : about(channel)}</p>
      </div>
      {known !== undefined && (
        <span class="talk-facts">
          {known.capabilities.map(capability => (
            <code key={capability} class="chip">
              {capability}
            </code>
          ))}
          <LinkLabel peer={peer} />
        </span>
      )}
      {conversationOf(state, channel).entries.some(entry => !isOpen(entry)) && (
        <Clear key={channel} title={title} onClear={() => commands.clear(channel)} />
      )}
      {channel.startsWith('topic:') && (
        <button type="button" class="button" onClick={() => commands.leave(channel.slice(6))}>
          Leave
        </button>
      )}
    </header>
  )
}

/** What stands where nothing was said yet. */
function Empty(props: {
  state: State
  channel: Channel
  onTry: (text: string) => void
  invite: ComponentType<InviteProps> | undefined
}) {
  const { state, channel, invite: Invite } = props
  if (channel.startsWith('agent:')) {
    const behaviour = behaviourOf(someone(state, channel.slice(6))?.capabilities ?? [])
    return (
      <div class="empty">
        <p class="empty-title">Say hello to {titleOf(state, channel)}</p>
        <p>
          {behaviour === undefined || behaviour.name === 'person'
            ? 'Messages go straight from tab to tab, and wait while one of you is away.'
            : 'It answers requests. Try one:'}
        </p>
        {behaviour !== undefined && behaviour.name !== 'person' && (
          <div class="tries">
            {behaviour.examples.map(example => (
              <button key={example} type="button" class="try" onClick={() => props.onTry(example)}>
                {example}
              </button>
            ))}
          </div>
        )}
      </div>
    )
  }
  if (state.peers.size === 0) {
    return (
      <div class="empty" data-testid="alone">
        <span class="ripple" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        <p class="empty-title">You are the first one here</p>
        <p>Waiting for other agents. Each tab, window or phone that opens this link becomes one.</p>
        {Invite !== undefined && <Invite state={state} />}
      </div>
    )
  }
  return (
    <div class="empty">
      <p class="empty-title">Nothing here yet</p>
      <p>{about(channel)} What you write now is seen by those who are here now.</p>
    </div>
  )
}

/** See the head of this file. */
export function ConversationPanel(props: {
  state: State
  commands: Commands
  invite: ComponentType<InviteProps> | undefined
  onBack: () => void
  onLetters: () => void
}) {
  const { state, commands } = props
  const channel = state.selected
  const { entries } = conversationOf(state, channel)
  const Exchange = useLazy(loadExchange)
  const list = useRef<HTMLDivElement>(null)
  const last = entries.at(-1)
  const atEnd = useRef(true)

  // Stays at the end while the reader is there; whoever scrolled up to read is left in peace.
  useLayoutEffect(() => {
    const element = list.current
    if (element !== null && (atEnd.current || last?.mine === true)) element.scrollTop = element.scrollHeight
  }, [entries, last])
  // So does a list that becomes lower, as when a drawer opens.
  useLayoutEffect(() => {
    const element = list.current
    if (element === null) return undefined
    const watch = new ResizeObserver(() => {
      if (atEnd.current) element.scrollTop = element.scrollHeight
    })
    watch.observe(element)
    return () => watch.disconnect()
  }, [entries.length === 0])
  // A conversation that is turned to starts at its end.
  useLayoutEffect(() => {
    atEnd.current = true
  }, [channel])

  return (
    <>
      <Head state={state} channel={channel} onBack={props.onBack} commands={commands} />
      {entries.length === 0 ? (
        <div class="entries">
          <Empty
            state={state}
            channel={channel}
            invite={props.invite}
            onTry={text => commands.ask(channel.slice(6), text)}
          />
        </div>
      ) : (
        <div
          class="entries"
          ref={list}
          role="log"
          aria-label={`Messages: ${titleOf(state, channel)}`}
          data-testid="messages"
          onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
            atEnd.current = scrollHeight - scrollTop - clientHeight < 80
          }}
        >
          <ol>
            {entries.map((entry, index) => (
              <EntryView
                key={entry.key}
                entry={entry}
                state={state}
                parent={entry.parentId === undefined ? undefined : entries.findLast(({ id }) => id === entry.parentId)}
                follows={
                  index > 0 &&
                  entries[index - 1]?.sender === entry.sender &&
                  entry.time - (entries[index - 1]?.time ?? 0) < 120_000
                }
                exchange={Exchange}
                onAnswer={text => commands.answer(entry, text)}
                onCancel={() => void commands.cancel(entry)}
                onRetry={letter => commands.retry(letter)}
                onLetters={props.onLetters}
              />
            ))}
          </ol>
        </div>
      )}
      <Composer key={channel} state={state} channel={channel} commands={commands} />
    </>
  )
}
