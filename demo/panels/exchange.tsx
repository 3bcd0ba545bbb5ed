/** A request with its reply, one card. */

import './exchange.css'

import { useState } from 'preact/hooks'
import type { Step } from '../behaviours/behaviour.ts'
import type { State } from '../state.ts'
import { Body, Cancel, type ExchangeProps, statusText } from './entry.tsx'
import { Icon } from './icons.tsx'

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

/** See the head of this file. */
export function Exchange(props: ExchangeProps) {
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
      <p class="exchange-foot">
        <span data-testid="status">{statusText(status)}</span>
        {entry.mine && status.at === 'waiting' && <Cancel entry={entry} onCancel={props.onCancel} />}
        {props.ways}
      </p>
    </div>
  )
}
