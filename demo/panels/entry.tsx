/** A message, or a request with its reply, and how far it has come. */

import { useState } from 'preact/hooks'
import type { Step } from '../behaviours/behaviour.ts'
import { type Shown, summary } from '../content.ts'
import { type Entry, nameOf, type State, type Status } from '../state.ts'
import { Avatar } from './avatar.tsx'
import { Icon } from './icons.tsx'

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const isoTime = (time: number): string => new Date(time).toISOString()

/** How far a message has come, in words. */
function statusText(status: Status): string {
  switch (status.at) {
    case 'sending':
      return 'sending'
    case 'sent':
    case 'queued':
    case 'delivered':
    case 'processed':
      return status.at
    case 'published':
      if (status.peers === 0) return status.onward ? 'sent to the relay' : 'nobody was there'
      return `sent to ${status.peers} ${status.peers === 1 ? 'agent' : 'agents'}`
    case 'waiting':
      return 'waiting for the reply'
    case 'asked':
      return 'waiting for you'
    case 'answered':
      return `answered in ${status.ms < 1 ? '<1' : Math.round(status.ms)} ms`
    case 'failed':
      return `failed: ${status.reason}`
    case 'received':
      return ''
  }
}

function Body({ content }: { content: Shown }) {
  if (content.kind === 'text') return <p class="text">{content.text}</p>
  if (content.kind === 'answer') return <p class="text strong">{content.answer.answer}</p>
  return <pre class="data">{content.text}</pre>
}

function Steps({ steps, state }: { steps: readonly Step[]; state: State }) {
  return (
    <ol class="steps" data-testid="steps" aria-label={`Steps, ${state.mesh}`}>
      {steps.map((step, index) => (
        // Steps are never moved, only added and completed.
        <li
          key={index}
          data-state={step.error !== undefined ? 'failed' : step.answer === undefined ? 'waiting' : 'done'}
        >
          <span class="step-ask">
            <code class="chip">{step.capability}</code> {step.ask}
          </span>
          <span class="step-answer">
            {step.error ?? step.answer ?? '…'}
            {step.by !== undefined && (
              <span class="quiet">
                {' '}
                {step.by}
                {step.ms === undefined ? '' : `, ${step.ms} ms`}
              </span>
            )}
          </span>
        </li>
      ))}
    </ol>
  )
}

function AnswerForm({ onAnswer }: { onAnswer: (text: string | undefined) => void }) {
  const [text, setText] = useState('')
  const submit = (event: Event): void => {
    event.preventDefault()
    if (text.trim() !== '') onAnswer(text.trim())
  }
  return (
    <form class="answer-form" onSubmit={submit}>
      <input
        aria-label="Your reply"
        placeholder="Your reply"
        data-testid="answer"
        maxLength={4_000}
        value={text}
        onInput={event => setText(event.currentTarget.value)}
      />
      <button type="submit" class="button primary" disabled={text.trim() === ''}>
        Reply
      </button>
      <button type="button" class="button" onClick={() => onAnswer(undefined)}>
        Decline
      </button>
    </form>
  )
}

function Request(props: { entry: Entry; state: State; name: string; onAnswer: (text: string | undefined) => void }) {
  const { entry, state } = props
  const { status, reply, steps } = entry
  return (
    <div class="exchange" data-status={status.at}>
      <div class="exchange-ask">
        <span class="exchange-label">
          <Icon name="ask" />
          {entry.mine ? 'You ask' : `${props.name} asks`}
        </span>
        <Body content={entry.content} />
      </div>
      {steps !== undefined && steps.length > 0 && <Steps steps={steps} state={state} />}
      {status.at === 'asked' && <AnswerForm onAnswer={props.onAnswer} />}
      {status.at === 'waiting' && (
        <div class="exchange-reply waiting" aria-hidden="true">
          <i />
          <i />
          <i />
        </div>
      )}
      {reply !== undefined && (
        <div class="exchange-reply" data-testid="reply">
          <Body content={reply} />
        </div>
      )}
      <p class="exchange-foot" data-testid="status">
        {statusText(status)}
      </p>
    </div>
  )
}

/** See the head of this file. */
export function EntryView(props: {
  /** The message that this one answers, where it is still known. */
  parent: Entry | undefined
  entry: Entry
  state: State
  follows: boolean
  onAnswer: (text: string | undefined) => void
}) {
  const { entry, state, follows } = props
  const name = nameOf(state, entry.sender)
  const card = state.peers.get(entry.sender)?.card
  return (
    <li
      class="entry"
      data-testid={entry.kind}
      data-mine={entry.mine}
      data-follows={follows}
      data-status={entry.status.at}
    >
      {!entry.mine && <Avatar id={entry.sender} name={name} capabilities={card?.capabilities ?? []} />}
      <div class="entry-main">
        {!follows && (
          <p class="entry-head">
            <b>{entry.mine ? 'You' : name}</b> <time dateTime={isoTime(entry.time)}>{clock.format(entry.time)}</time>
          </p>
        )}
        {entry.kind === 'request' ? (
          <Request entry={entry} state={state} name={name} onAnswer={props.onAnswer} />
        ) : (
          <div class="bubble">
            {props.parent !== undefined && (
              <p class="quote">
                <span class="visually-hidden">answers </span>
                {summary(props.parent.content)}
              </p>
            )}
            <Body content={entry.content} />
          </div>
        )}
        {entry.kind === 'message' && entry.mine && (
          <p class="entry-status" data-testid="status">
            {['sent', 'delivered', 'processed', 'published'].includes(entry.status.at) ? <Icon name="check" /> : null}
            {statusText(entry.status)}
          </p>
        )}
      </div>
    </li>
  )
}
