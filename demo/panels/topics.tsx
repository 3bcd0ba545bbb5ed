/** Everyone and the topics this page is in: their list, and joining one. */

import { useState } from 'preact/hooks'
import { type Channel, conversationOf, type State } from '../state.ts'
import { Icon } from './icons.tsx'
import { moveFocus } from './list-keys.ts'

function Row(props: { state: State; channel: Channel; name: string; onSelect: (channel: Channel) => void }) {
  const { unread, entries } = conversationOf(props.state, props.channel)
  const topic = props.channel !== 'everyone'
  return (
    <li>
      <button
        type="button"
        class="row slim"
        data-testid={topic ? 'topic' : 'everyone'}
        data-name={props.name}
        aria-current={props.state.selected === props.channel ? 'true' : undefined}
        onClick={() => props.onSelect(props.channel)}
      >
        <span class="sign">
          <Icon name={topic ? 'topic' : 'everyone'} />
        </span>
        <span class="row-name">{props.name}</span>
        {unread > 0 ? (
          <b class="count">
            {unread}
            <span class="visually-hidden"> unread</span>
          </b>
        ) : (
          <span class="quiet">{entries.length > 0 ? 'live' : ''}</span>
        )}
      </button>
    </li>
  )
}

/** See the head of this file. */
export function Topics(props: {
  state: State
  onSelect: (channel: Channel) => void
  /** Why it could not be joined, if so. */
  onJoin: (topic: string) => string | undefined
}) {
  const [name, setName] = useState('')
  const [problem, setProblem] = useState<string>()
  const join = (event: Event): void => {
    event.preventDefault()
    const topic = name.trim().replace(/^#/, '')
    if (topic === '') return
    const refused = props.onJoin(topic)
    setProblem(refused)
    if (refused !== undefined) return
    props.onSelect(`topic:${topic}`)
    setName('')
  }
  return (
    <section class="rail-part" aria-labelledby="topics-title">
      <h2 id="topics-title">Channels</h2>
      <ul class="list" onKeyDown={moveFocus}>
        <Row {...props} channel="everyone" name="Everyone" />
        {props.state.topics.map(topic => (
          <Row key={topic} {...props} channel={`topic:${topic}`} name={topic} />
        ))}
      </ul>
      <form class="join" onSubmit={join}>
        <label class="visually-hidden" for="join">
          Join a topic
        </label>
        <input
          id="join"
          placeholder="Join a topic"
          maxLength={64}
          autocomplete="off"
          value={name}
          aria-invalid={problem !== undefined}
          aria-describedby={problem === undefined ? undefined : 'join-problem'}
          onInput={event => {
            setName(event.currentTarget.value)
            setProblem(undefined)
          }}
        />
        <button type="submit" class="icon-button" aria-label="Join" disabled={name.trim() === ''}>
          <Icon name="plus" />
        </button>
      </form>
      {problem !== undefined && (
        <p class="join-problem" id="join-problem" role="alert">
          {problem}
        </p>
      )}
    </section>
  )
}
