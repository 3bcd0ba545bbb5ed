/** The link that brings others here, and its QR code. Fetched when first shown. */

import './overlays.css'

import { useMemo } from 'preact/hooks'
import { encode } from 'uqr'
import { useCopy, useModal } from '../hooks.ts'
import { inviteLink } from '../settings.ts'
import type { State } from '../state.ts'
import { Icon } from './icons.tsx'

/** Properties of {@link Invite}. */
export interface InviteProps {
  state: State
  /** Whether it opens over the page. */
  dialog?: boolean
  onClose?: () => void
}

/** A QR code as one path, a unit square for each dark module. */
function QrCode({ text }: { text: string }) {
  const { path, size } = useMemo(() => {
    const code = encode(text, { ecc: 'L', border: 2 })
    let path = ''
    for (const [y, row] of code.data.entries()) {
      for (const [x, dark] of row.entries()) if (dark) path += `M${x} ${y}h1v1h-1z`
    }
    return { path, size: code.size }
  }, [text])
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label="QR code of the invite link" data-testid="qr">
      <path d={path} />
    </svg>
  )
}

function Content({ state }: { state: State }) {
  const link = inviteLink(location.href, { mesh: state.mesh, relays: [...state.relays.keys()] })
  const [copied, copy] = useCopy()
  return (
    <div class="invite">
      <QrCode text={link} />
      <div class="invite-side">
        <label for="invite-link">Invite link</label>
        <textarea
          id="invite-link"
          data-testid="invite-link"
          readOnly
          rows={4}
          value={link}
          onFocus={event => event.currentTarget.select()}
        />
        <div class="invite-actions">
          <button type="button" class="button primary" onClick={() => copy(link)}>
            <Icon name={copied ? 'check' : 'copy'} />
            <span>{copied ? 'Copied' : 'Copy link'}</span>
          </button>
          <a class="button" href={link} target="_blank" rel="noopener noreferrer">
            Open a tab
          </a>
        </div>
      </div>
    </div>
  )
}

/** See the head of this file. */
export function Invite(props: InviteProps) {
  return props.dialog === true ? <InviteDialog {...props} /> : <Content state={props.state} />
}

const nothing = (): void => {}

function InviteDialog({ state, onClose = nothing }: InviteProps) {
  return (
    <dialog class="dialog" ref={useModal(onClose)} aria-labelledby="invite-title">
      <header class="dialog-head">
        <h2 id="invite-title">Bring another agent to “{state.mesh}”</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <p class="quiet">
        Whoever opens this link becomes an agent of this mesh. The mesh is open: the link is all they need.
      </p>
      <Content state={state} />
    </dialog>
  )
}
