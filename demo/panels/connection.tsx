/** Who this page is, and how it stands with the relays. */

import { behaviourNamed } from '../behaviours/catalogue.ts'
import { useCopy } from '../hooks.ts'
import { shortAddress } from '../settings.ts'
import { idMark, type State } from '../state.ts'
import { Avatar } from './avatar.tsx'
import { Icon } from './icons.tsx'

/** See the head of this file. */
export function Connection(props: {
  state: State
  /** Whether it is unfolded at first. */
  open: boolean
  onInvite: () => void
  onLeave: () => void
  onFailing: (failing: boolean) => void
}) {
  const { me, relays, peers } = props.state
  const [copied, copy] = useCopy()
  if (me === undefined) return null
  const behaviour = behaviourNamed(me.as)
  const links = [...peers.values()].flatMap(peer => (peer.link === undefined ? [] : [peer.link.kind]))
  const direct = links.filter(kind => kind === 'direct').length
  return (
    <section class="card you" aria-labelledby="you-title">
      <details open={props.open}>
        <summary class="you-head">
          <Avatar id={me.id} name={me.name} capabilities={[behaviour.capability]} />
          <h2 id="you-title" data-testid="me">
            {me.name}
          </h2>
        </summary>
        <p class="quiet">
          {behaviour.title}: {behaviour.summary}
        </p>
        <dl class="facts">
          <div>
            <dt>Id</dt>
            <dd>
              <code>
                {me.id.slice(0, 8)}
                <b>{idMark(me.id)}</b>…
              </code>
              <button
                type="button"
                class="icon-button small"
                aria-label={copied ? 'Copied' : 'Copy the id'}
                onClick={() => copy(me.id)}
              >
                <Icon name={copied ? 'check' : 'copy'} />
              </button>
            </dd>
          </div>
          <div>
            <dt>Links</dt>
            <dd>
              {direct} direct, {links.length - direct} relayed
            </dd>
          </div>
          {[...relays].map(([address, state]) => (
            <div key={address} data-testid="relay" data-state={state}>
              <dt>Relay</dt>
              <dd title={address}>
                <code>{shortAddress(address)}</code>{' '}
                <span class="relay-word" data-state={state}>
                  {state}
                </span>
              </dd>
            </div>
          ))}
          {relays.size === 0 && (
            <div>
              <dt>Relay</dt>
              <dd>none: others have to dial this page, which tabs cannot be</dd>
            </div>
          )}
        </dl>
        <label class="failing">
          <input
            type="checkbox"
            checked={props.state.failing}
            onChange={event => props.onFailing(event.currentTarget.checked)}
          />
          <span>
            Fail at what comes in <span class="quiet">so that messages to this page become dead letters</span>
          </span>
        </label>
        <div class="you-actions">
          <button type="button" class="button" onClick={props.onInvite}>
            Invite link
          </button>
          <button type="button" class="button" onClick={props.onLeave}>
            Become someone else
          </button>
        </div>
      </details>
    </section>
  )
}
