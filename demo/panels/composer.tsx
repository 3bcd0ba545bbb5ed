/** The place to write: tells something, or asks and waits for the reply. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { behaviourOf } from '../behaviours/catalogue.ts'
import type { Commands } from '../commands.ts'
import { useLazy } from '../hooks.ts'
import { type Channel, conversationOf, type State, someone, titleOf } from '../state.ts'
import { Icon } from './icons.tsx'

const loadWaiting = async () => (await import('./direct.ts')).Waiting

type Mode = 'tell' | 'ask'

/** Longest text that is sent from here, in characters. */
const MAX_LENGTH = 8_000

/** See the head of this file. */
export function Composer({ state, channel, commands }: { state: State; channel: Channel; commands: Commands }) {
  const known = channel.startsWith('agent:') ? someone(state, channel.slice(6)) : undefined
  const behaviour = behaviourOf(known?.capabilities ?? [])
  const canAsk = channel.startsWith('agent:')
  const machine = behaviour !== undefined && behaviour.name !== 'person'
  const [mode, setMode] = useState<Mode>(machine && known?.peer?.online ? 'ask' : 'tell')
  const [ttl, setTtl] = useState(3_600)
  const [text, setText] = useState('')
  const Waiting = useLazy(loadWaiting, canAsk)
  const field = useRef<HTMLTextAreaElement>(null)
  const title = titleOf(state, channel)

  // Grows with its text where the style sheet cannot see to it. Through the object model, as the page's policy demands.
  useLayoutEffect(() => {
    const element = field.current
    if (element === null || CSS.supports('field-sizing', 'content')) return
    element.style.height = 'auto'
    // A field that is not shown has no height to measure, and keeps the least one.
    if (element.scrollHeight > 0) element.style.height = `${Math.min(element.scrollHeight, 160)}px`
  }, [text])

  const send = (as: Mode): void => {
    const said = text.trim()
    if (said === '') return
    const taken =
      as === 'ask' && canAsk
        ? commands.ask(channel.slice(6), said)
        : commands.say(channel, said, canAsk ? ttl : undefined)
    // What was not taken stays, to be sent when there is room.
    if (taken) setText('')
    field.current?.focus()
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    send((event.ctrlKey || event.metaKey) && canAsk ? (mode === 'ask' ? 'tell' : 'ask') : mode)
  }
  const tries = machine && conversationOf(state, channel).entries.length > 0 ? behaviour.examples : []
  return (
    <form
      class="composer"
      data-mode={canAsk ? mode : 'tell'}
      onSubmit={event => {
        event.preventDefault()
        send(mode)
      }}
    >
      {tries.length > 0 && text === '' && (
        <div class="tries">
          {tries.map(example => (
            <button key={example} type="button" class="try" onClick={() => commands.ask(channel.slice(6), example)}>
              {example}
            </button>
          ))}
        </div>
      )}
      <div class="composer-box">
        {canAsk && (
          <fieldset class="modes">
            <legend class="visually-hidden">Tell or ask</legend>
            {(['tell', 'ask'] as const).map(name => (
              <label key={name}>
                <input type="radio" name="mode" value={name} checked={mode === name} onChange={() => setMode(name)} />
                <span>{name === 'tell' ? 'Tell' : 'Ask'}</span>
              </label>
            ))}
          </fieldset>
        )}
        <label class="visually-hidden" for="write">
          {mode === 'ask' && canAsk ? `Ask ${title}` : `Write to ${title}`}
        </label>
        <textarea
          id="write"
          data-testid="write"
          ref={field}
          rows={1}
          maxLength={MAX_LENGTH}
          placeholder={mode === 'ask' && canAsk ? `Ask ${title}` : `Write to ${title}`}
          value={text}
          onInput={event => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        <button
          type="submit"
          class="send"
          data-testid="send"
          aria-label={mode === 'ask' && canAsk ? 'Ask' : 'Send'}
          disabled={text.trim() === ''}
        >
          <Icon name="send" />
        </button>
      </div>
      {canAsk && (
        <div class="waiting-space">
          {Waiting !== undefined && (
            <Waiting
              state={state}
              id={channel.slice(6)}
              asks={mode === 'ask' ? (behaviour?.timeout ?? 10_000) : undefined}
              ttl={ttl}
              onTtl={setTtl}
              onHold={on => commands.hold(channel.slice(6), on)}
            />
          )}
        </div>
      )}
    </form>
  )
}
