/** A message and how far it has come. */

import type { ComponentType } from 'preact'
import { type Shown, summary } from '../content.ts'
import { type Entry, nameOf, type State, type Status, someone, waits } from '../state.ts'
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

/** How far a message of this page's has come, and what calls it off while it waits. */
function Delivery({ entry, onCancel }: { entry: Entry; onCancel: () => void }) {
  const sign = signs[entry.status.at]
  return (
    <p class="entry-status">
      {sign !== undefined && <Icon name={sign} />}
      <span data-testid="status">{statusText(entry.status)}</span>
      {waits(entry) && <Cancel entry={entry} onCancel={onCancel} />}
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
  /** What shows a request, once it is there. */
  exchange: ComponentType<ExchangeProps> | undefined
}) {
  const { entry, state, follows, exchange: Exchange } = props
  const name = nameOf(state, entry.sender)
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
          <Exchange entry={entry} state={state} name={name} onAnswer={props.onAnswer} onCancel={props.onCancel} />
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
        {entry.kind === 'message' && entry.mine && <Delivery entry={entry} onCancel={props.onCancel} />}
      </div>
    </li>
  )
}
