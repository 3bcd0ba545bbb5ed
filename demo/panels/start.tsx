/** The first thing a visitor sees: who to be. */

import { useEffect, useRef, useState } from 'preact/hooks'
import { type BehaviourName, behaviourNamed, catalogue } from '../behaviours/catalogue.ts'
import { freeNames, suggestName } from '../names.ts'
import type { Link, Who } from '../settings.ts'
import type { State } from '../state.ts'
import { Icon, Mark } from './icons.tsx'
import { ThemeToggle } from './theme.tsx'

/** One of a behaviour's names that is not taken. */
function suggest(as: BehaviourName, taken: ReadonlySet<string>): string {
  const [chance = 0] = crypto.getRandomValues(new Uint32Array(1))
  return suggestName(behaviourNamed(as).names, taken, chance)
}

/** Three tabs and a relay, drawn once; what moves is still where motion is not wanted. */
function Picture() {
  return (
    <svg class="picture" viewBox="0 0 420 240" aria-hidden="true" focusable="false">
      <path class="pic-direct" d="M92 168 L210 62" />
      <path class="pic-direct" d="M210 62 L332 152" />
      <path class="pic-relayed" d="M92 168 Q150 214 212 206 T332 152" />
      <circle class="pic-pulse one" r="5" />
      <circle class="pic-pulse two" r="5" />
      <circle class="pic-pulse three" r="5" />
      <g class="pic-node" transform="translate(92 168)">
        <rect x="-34" y="-24" width="68" height="48" rx="10" />
        <path d="M-34 -11h68" />
        <text y="14">Ada</text>
      </g>
      <g class="pic-node" transform="translate(210 62)">
        <rect x="-34" y="-24" width="68" height="48" rx="10" />
        <path d="M-34 -11h68" />
        <text y="14">Abacus</text>
      </g>
      <g class="pic-node" transform="translate(332 152)">
        <rect x="-34" y="-24" width="68" height="48" rx="10" />
        <path d="M-34 -11h68" />
        <text y="14">Tick</text>
      </g>
      <rect class="pic-relay" x="201" y="195" width="22" height="22" rx="4" transform="rotate(45 212 206)" />
      <text class="pic-label" x="132" y="104">
        direct
      </text>
      <text class="pic-label far" x="264" y="218">
        relayed
      </text>
    </svg>
  )
}

/** What {@link Start} needs. */
export interface StartProps {
  state: State
  preset: Link
  /** Who was here before and could be so again, the latest first. */
  before: Promise<readonly Who[]>
  /** The names that other tabs have. */
  held: Promise<ReadonlySet<string>>
  /** Who was here in this tab and wants to be none of those; undefined where nobody was. */
  left: string | undefined
  onStart: (who: Who) => Promise<void>
}

/** See the head of this file. */
export function Start(props: StartProps) {
  const { state, preset } = props
  const [as, setAs] = useState<BehaviourName>(preset.as ?? 'person')
  // Empty until it is known who was here: nobody is to join as a stranger by being quick.
  const [name, setName] = useState(preset.name ?? '')
  const [touched, setTouched] = useState(preset.name !== undefined)
  const [before, setBefore] = useState<readonly Who[]>([])
  /** Names that are somebody's, or that somebody had and could have again. */
  const [taken, setTaken] = useState<ReadonlySet<string>>(new Set())
  const chosen = useRef(preset.name !== undefined)
  const starting = state.phase === 'starting'

  const be = (who: Who): void => {
    chosen.current = true
    setName(who.name)
    setAs(who.as)
  }
  /** As {@link be}, because somebody says so: another behaviour is no reason for another name then. */
  const pick = (who: Who): void => {
    be(who)
    setTouched(true)
  }
  useEffect(() => {
    void Promise.all([props.before, props.held]).then(([all, held]) => {
      const others = new Set([
        ...held,
        ...all.map(({ name }) => name),
        ...(props.left === undefined ? [] : [props.left]),
      ])
      setBefore(all)
      setTaken(others)
      if (chosen.current) return
      const latest =
        props.left === undefined ? all.find(who => preset.as === undefined || who.as === preset.as) : undefined
      be(latest ?? { name: suggest(as, others), as })
    })
  }, [])
  const choose = (behaviour: BehaviourName): void => {
    if (touched) setAs(behaviour)
    else be({ name: suggest(behaviour, taken), as: behaviour })
  }
  const submit = (event: Event): void => {
    event.preventDefault()
    if (name.trim() !== '' && !starting) void props.onStart({ name: name.trim(), as })
  }
  return (
    <div class="start">
      <header class="start-bar">
        <p class="brand">
          <Mark />
          <span>Agent Flow</span>
        </p>
        <ThemeToggle />
      </header>
      <main class="start-main">
        <div class="start-story">
          <h1>Every tab is an agent.</h1>
          <p>
            Open a few. They find each other, talk straight from tab to tab, and ask whoever can do the job. A relay
            only introduces them.
          </p>
          <Picture />
        </div>
        <form class="start-form" onSubmit={submit} aria-busy={starting}>
          <div class="field">
            <label for="name">Name</label>
            <input
              id="name"
              data-testid="name"
              required
              maxLength={64}
              autocomplete="off"
              spellcheck={false}
              value={name}
              onInput={event => {
                chosen.current = true
                setName(event.currentTarget.value)
                setTouched(true)
              }}
            />
            <fieldset class="tries">
              <legend class="visually-hidden">Suggested names</legend>
              {before.slice(0, 3).map(who => (
                <button
                  key={`again ${who.name}`}
                  type="button"
                  class="try"
                  aria-pressed={who.name === name && who.as === as}
                  onClick={() => pick(who)}
                >
                  Be {who.name} again
                </button>
              ))}
              {freeNames(behaviourNamed(as).names, taken)
                .slice(0, 5 - Math.min(before.length, 3))
                .map(suggestion => (
                  <button
                    key={suggestion}
                    type="button"
                    class="try"
                    aria-pressed={suggestion === name}
                    onClick={() => pick({ name: suggestion, as })}
                  >
                    {suggestion}
                  </button>
                ))}
            </fieldset>
          </div>
          <fieldset class="behaviours">
            <legend>Behaviour</legend>
            {catalogue.map(entry => (
              <label key={entry.name} class="behaviour">
                <input
                  type="radio"
                  name="as"
                  value={entry.name}
                  checked={as === entry.name}
                  onChange={() => choose(entry.name)}
                />
                <Icon name={entry.name} />
                <b>{entry.title}</b>
                <span>{entry.summary}</span>
              </label>
            ))}
          </fieldset>
          {state.problem !== undefined && (
            <p class="problem" role="alert">
              <Icon name="warn" /> {state.problem}
            </p>
          )}
          <div class="start-foot">
            <button
              type="submit"
              class="button primary large"
              data-testid="start"
              disabled={starting || name.trim() === ''}
            >
              {starting ? 'Joining…' : `Join “${state.mesh}”`}
            </button>
          </div>
        </form>
      </main>
    </div>
  )
}
