/** A message and how far it has come. */

import type { ComponentChildren, ComponentType } from 'preact'
import { useState } from 'preact/hooks'
import { type Shown, summary } from '../content.ts'
import { type Entry, letterOf, nameOf, type State, type Status, someone, waits } from '../state.ts'
import { Avatar } from './avatar.tsx'
import { Icon, type IconName } from './icons.tsx'

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const isoTime = (time: number): string => new Date(time).toISOString()

/** How far a message has come, in words. */
export function statusText(status: Status): string {
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
    case 'cancelled':
      if (status.came) return 'cancelled; it had come, and nobody waits for its reply'
      return status.doubt ? 'cancelled; it may have come all the same' : 'cancelled'
    case 'waiting':
      return `waiting for the reply${status.way === undefined ? '' : `, ${status.way}`}`
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

/** What shows a request is given. */
export interface ExchangeProps {
  entry: Entry
  state: State
  /** Of the one who asks, where it is not this page. */
  name: string
  onAnswer: (text: string | undefined) => void
  onCancel: () => void
  /** What leads on from a request that could not be handled here. */
  ways: ComponentChildren
}

/** What a message says. */
export function Body({ content }: { content: Shown }) {
  if (content.kind === 'text') return <p class="text">{content.text}</p>
  if (content.kind === 'answer') return <p class="text strong">{content.answer.answer}</p>
  return <pre class="data">{content.text}</pre>
}

const signs: Partial<Record<Status['at'], IconName>> = {
  queued: 'clock',
  sent: 'check',
  published: 'check',
  delivered: 'delivered',
  processed: 'delivered',
  failed: 'warn',
  cancelled: 'close',
}

/** What calls off an entry of this page's. */
export function Cancel(props: { entry: Entry; onCancel: () => void }) {
  return (
    <button
      type="button"
      class="text-button"
      aria-label={`Cancel “${summary(props.entry.content)}”`}
      disabled={props.entry.status.at === 'sending'}
      onClick={props.onCancel}
    >
      Cancel
    </button>
  )
}

/** What leads on from a message that came and could not be handled: its letter, and another try of it. */
function Ways(props: {
  entry: Entry
  letter: string
  onRetry: (letter: string) => Promise<string>
  onLetters: () => void
}) {
  const { entry, letter } = props
  const [said, setSaid] = useState('')
  const [busy, setBusy] = useState(false)
  const text = summary(entry.content)
  const retry = (): void => {
    setSaid('')
    setBusy(true)
    void props
      .onRetry(letter)
      .then(setSaid)
      .finally(() => setBusy(false))
  }
  return (
    <>
      <button type="button" class="text-button" aria-label={`Retry “${text}”`} disabled={busy} onClick={retry}>
        Retry
      </button>
      <button type="button" class="text-button" aria-label={`Dead letter of “${text}”`} onClick={props.onLetters}>
        Letter
      </button>
      <span role="status">{said}</span>
    </>
  )
}

/** How far a message has come, and what calls it off while it waits or leads on where it ended. */
function Delivery({ entry, ways, onCancel }: { entry: Entry; ways: ComponentChildren; onCancel: () => void }) {
  const sign = signs[entry.status.at]
  return (
    <p class="entry-status">
      {sign !== undefined && <Icon name={sign} />}
      <span data-testid="status">{statusText(entry.status)}</span>
      {waits(entry) && <Cancel entry={entry} onCancel={onCancel} />}
      {ways}
    </p>
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
  onCancel: () => void
  /** Handles the message of a dead letter again; resolves with what came of it, in words. */
  onRetry: (letter: string) => Promise<string>
  onLetters: () => void
  /** What shows a request, once it is there. */
  exchange: ComponentType<ExchangeProps> | undefined
}) {
  const { entry, state, follows, exchange: Exchange } = props
  const name = nameOf(state, entry.sender)
  const letter = letterOf(entry)
  const ways = letter !== undefined && (
    <Ways entry={entry} letter={letter} onRetry={props.onRetry} onLetters={props.onLetters} />
  )
  return (
    <li
      class="entry"
      data-testid={entry.kind}
      data-mine={entry.mine}
      data-follows={follows}
      data-status={entry.status.at}
    >
      {!entry.mine && (
        <Avatar id={entry.sender} name={name} capabilities={someone(state, entry.sender)?.capabilities ?? []} />
      )}
      <div class="entry-main">
        {!follows && (
          <p class="entry-head">
            <b>{entry.mine ? 'You' : name}</b> <time dateTime={isoTime(entry.time)}>{clock.format(entry.time)}</time>
          </p>
        )}
        {entry.kind === 'request' && Exchange !== undefined ? (
          <Exchange
            entry={entry}
            state={state}
            name={name}
            onAnswer={props.onAnswer}
            onCancel={props.onCancel}
            ways={ways}
          />
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
        {entry.kind === 'message' && (entry.mine || entry.status.at === 'failed') && (
          <Delivery entry={entry} ways={ways} onCancel={props.onCancel} />
        )}
      </div>
    </li>
  )
}
