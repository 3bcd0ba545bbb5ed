/** Dead letters: what could not be delivered or handled, and what to do about it. Fetched when first shown. */

import './overlays.css'
import './letters.css'

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Commands } from '../commands.ts'
import type { LetterDesk, Outcome } from '../letters.ts'
import { reasonOf } from '../reasons.ts'
import { type Letter, nameOf, type State } from '../state.ts'
import { Avatar } from './avatar.tsx'
import { Icon } from './icons.tsx'

const clock = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const iso = (time: number): string => new Date(time).toISOString()

/** Circuit breakers that hold messages back. */
function Breakers({ state, onLetGo }: { state: State; onLetGo: (id: string) => void }) {
  if (state.held.size === 0) return null
  return (
    <ul class="breakers" aria-label="Held back">
      {[...state.held].map(([id, { byHand, failures, until }]) => (
        <li key={id} data-testid="breaker" data-name={nameOf(state, id)}>
          <Icon name="pause" />
          <p>
            <b>Messages to {nameOf(state, id)} are held back</b>{' '}
            <span class="quiet">
              {byHand ? 'by hand' : `after ${failures} failures in a row`}
              {until !== undefined && (
                <>
                  ; tried again at <time dateTime={iso(until)}>{clock.format(until)}</time>
                </>
              )}
            </span>
          </p>
          <button type="button" class="button" onClick={() => onLetGo(id)}>
            Reset
          </button>
        </li>
      ))}
    </ul>
  )
}

function LetterView(props: { state: State; letter: Letter; desk: LetterDesk; onOutcome: (outcome: Outcome) => void }) {
  const { state, letter, desk, onOutcome } = props
  const { id, came, peer, reason, attempts, time, error, text, done, notes } = letter
  const name = nameOf(state, peer)
  const [noting, setNoting] = useState(false)
  const note = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => {
    if (noting) note.current?.focus()
  }, [noting])
  const finish = (event: Event): void => {
    event.preventDefault()
    onOutcome(desk.finish(id, note.current?.value ?? ''))
  }
  const who = `the message ${came ? 'from' : 'to'} ${name}: ${text}`
  return (
    <li class="letter" data-testid="letter" data-done={done} data-side={came ? 'recipient' : 'sender'}>
      <Avatar id={peer} name={name} />
      <div class="letter-main">
        <p class="letter-head">
          <b>
            {came ? 'From' : 'To'} {name}
          </b>{' '}
          <span class="letter-why">{reason}</span>
          {done && <span class="chip">done</span>}
        </p>
        <p class="letter-text">{text === '' ? 'Empty' : text}</p>
        <p class="letter-facts">
          <time dateTime={iso(time)}>{clock.format(time)}</time>
          <span>
            {attempts} {attempts === 1 ? 'attempt' : 'attempts'}
          </span>
          {error !== undefined && <span class="letter-error">{error}</span>}
          {notes.map((note, index) => (
            <span key={index}>{note}</span>
          ))}
        </p>
      </div>
      <div class="letter-actions">
        {!done && (
          <>
            <button type="button" class="button" aria-label={`Retry ${who}`} onClick={() => onOutcome(desk.retry(id))}>
              <Icon name="again" />
              Retry
            </button>
            <button
              type="button"
              class="icon-button"
              title="Mark as done"
              aria-label={`Mark as done: ${who}`}
              aria-expanded={noting}
              onClick={() => setNoting(!noting)}
            >
              <Icon name="check" />
            </button>
          </>
        )}
        <button
          type="button"
          class="icon-button"
          title="Discard"
          aria-label={`Discard ${who}`}
          onClick={() => onOutcome(desk.discard(id))}
        >
          <Icon name="bin" />
        </button>
      </div>
      {noting && !done && (
        <form class="letter-note" onSubmit={finish}>
          <input
            ref={note}
            type="text"
            maxLength={1_024}
            autocomplete="off"
            aria-label={`Note on ${who}`}
            placeholder="A note, if you like"
          />
          <button type="submit" class="button">
            Done
          </button>
        </form>
      )}
    </li>
  )
}

/** See the head of this file. */
export function Letters({ state, commands, onClose }: { state: State; commands: Commands; onClose: () => void }) {
  const [desk, setDesk] = useState<LetterDesk>()
  const [said, setSaid] = useState('')
  const [busy, setBusy] = useState(false)
  const letters = state.letters ?? []
  useEffect(() => {
    commands.letters().then(setDesk, error => setSaid(`They could not be fetched: ${reasonOf(error)}.`))
  }, [commands])
  const drawer = useRef<HTMLElement>(null)
  // The keyboard follows what opens, and goes back to where it was.
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null
    drawer.current?.focus({ preventScroll: true })
    return () => before?.focus({ preventScroll: true })
  }, [])
  // A letter that is gone takes its buttons along: the keyboard stays in the list.
  useLayoutEffect(() => {
    if (document.activeElement === document.body) drawer.current?.focus({ preventScroll: true })
  }, [letters])
  // Before it is painted: whoever sees it can close it.
  useLayoutEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') onClose()
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  }, [onClose])
  const onOutcome = (outcome: Outcome): void => {
    setSaid('')
    setBusy(true)
    void outcome.then(setSaid).finally(() => setBusy(false))
  }
  return (
    <section class="drawer beside" ref={drawer} tabIndex={-1} aria-labelledby="letters-title" data-testid="letters">
      <header class="dialog-head">
        <h2 id="letters-title">Dead letters</h2>
        <p class="letters-said" role="status" data-testid="outcome">
          {said}
        </p>
        {desk !== undefined && state.dead > 1 && (
          <button type="button" class="button" disabled={busy} onClick={() => onOutcome(desk.retryAll())}>
            Retry all
          </button>
        )}
        <button
          type="button"
          class="button"
          aria-label="Purge done"
          disabled={desk === undefined || state.allLetters <= state.dead}
          onClick={() => desk !== undefined && onOutcome(desk.purge())}
        >
          Purge<span class="letters-wide">&nbsp;done</span>
        </button>
        <button type="button" class="icon-button close" aria-label="Close the dead letters" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="letters-body">
        <Breakers state={state} onLetGo={id => commands.hold(id, false)} />
        {desk !== undefined && letters.length === 0 ? (
          <div class="letters-none">
            <Icon name="letter" />
            <p>
              <b>No dead letters.</b> What cannot be delivered in its time, or handled here, is kept in this place until
              you deal with it.
            </p>
          </div>
        ) : (
          desk !== undefined && (
            <>
              <ol class="letters" aria-label="Dead letters, newest first">
                {letters.map(letter => (
                  <LetterView key={letter.id} state={state} letter={letter} desk={desk} onOutcome={onOutcome} />
                ))}
              </ol>
              {state.allLetters > letters.length && (
                <p class="letters-more" data-testid="letters-more">
                  These are the newest {letters.length} of {state.allLetters}. “Retry all” and “Purge done” go over all.
                </p>
              )}
            </>
          )
        )}
      </div>
    </section>
  )
}
