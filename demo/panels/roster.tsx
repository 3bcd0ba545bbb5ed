/** Who is in the mesh: whether they are there, how they are reached, what they can do. */

import type { Peer } from 'agent-flow-protocol'
import { type Channel, conversationOf, markOf, roster, type State, waitingFor } from '../state.ts'
import { Avatar, type Presence } from './avatar.tsx'
import { moveFocus } from './list-keys.ts'

/** Whether an agent is there, and whether its tab is in front. */
export const presenceOf = (peer: Peer | undefined): Presence =>
  !peer?.online ? 'offline' : peer.hidden ? 'hidden' : 'online'

/** A round trip for people. */
export const formatRtt = (rtt: number | undefined): string =>
  rtt === undefined ? '' : rtt < 1 ? '<1 ms' : `${Math.round(rtt)} ms`

/** How an agent is reached, as a label. */
export function LinkLabel({ peer }: { peer: Peer | undefined }) {
  if (!peer?.online)
    return (
      <span class="link-label" data-kind="none">
        offline
      </span>
    )
  if (peer.link === undefined)
    return (
      <span class="link-label" data-kind="none">
        no link yet
      </span>
    )
  const { kind, rtt } = peer.link
  return (
    <span class="link-label" data-kind={kind} data-testid="link">
      <i aria-hidden="true" />
      {kind} {formatRtt(rtt)}
    </span>
  )
}

/** See the head of this file. */
export function Roster(props: { state: State; onSelect: (channel: Channel) => void; onInvite: () => void }) {
  const { state } = props
  const everyone = roster(state)
  const online = everyone.filter(({ peer }) => peer?.online).length
  const waiting = everyone.reduce((sum, { id }) => sum + waitingFor(state, `agent:${id}`), 0)
  return (
    <section class="rail-part" aria-labelledby="roster-title">
      <h2 id="roster-title">
        Agents{' '}
        <span class="quiet">
          {waiting > 0 && (
            <span class="waits" data-testid="waiting">
              {waiting} waiting
            </span>
          )}
          {online === 0 ? '' : `${online} online`}
        </span>
      </h2>
      {everyone.length === 0 && (
        <p class="rail-empty">
          Nobody else yet. Open another tab, or{' '}
          <button type="button" class="text-button" onClick={props.onInvite}>
            invite someone
          </button>
          .
        </p>
      )}
      <ul class="list" data-testid="roster" onKeyDown={moveFocus}>
        {everyone.map(({ id, name, capabilities, peer }) => {
          const channel: Channel = `agent:${id}`
          const { unread } = conversationOf(state, channel)
          const presence = presenceOf(peer)
          const waits = waitingFor(state, channel)
          const mark = markOf(state, id)
          return (
            <li key={id}>
              <button
                type="button"
                class="row"
                data-testid="agent"
                data-name={name}
                data-presence={presence}
                aria-current={state.selected === channel ? 'true' : undefined}
                onClick={() => props.onSelect(channel)}
              >
                <Avatar id={id} name={name} capabilities={capabilities} presence={presence} />
                <span class="row-text">
                  <span class="row-line">
                    <span class="row-name">{name}</span>
                    <LinkLabel peer={peer} />
                  </span>
                  <span class="row-line">
                    <span class="row-more">
                      {mark !== undefined && <code data-testid="mark">{mark} </code>}
                      {presence === 'hidden' ? 'in background · ' : <span class="visually-hidden">{presence}, </span>}
                      {capabilities.join(', ') || 'no capabilities'}
                    </span>
                    {waits > 0 && <span class="waits">{waits} waiting</span>}
                    {unread > 0 && (
                      <b class="count">
                        {unread}
                        <span class="visually-hidden"> unread</span>
                      </b>
                    )}
                  </span>
                </span>
              </button>
            </li>
          )
        })}
      </ul>
    </section>
  )
}
