/** An agent's picture: a colour from its id, a sign of what it does, or its initial. */

import { behaviourOf } from '../behaviours/catalogue.ts'
import { Icon } from './icons.tsx'

/** A hue for an id: FNV-1a over its end, where ids differ. */
export function hueOf(id: string): number {
  let hash = 0x811c9dc5
  for (const character of id.slice(-12)) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  return (hash >>> 0) % 360
}

/** How an agent is there. */
export type Presence = 'online' | 'offline' | 'hidden'

/** See the head of this file. */
export function Avatar(props: { id: string; name: string; capabilities?: readonly string[]; presence?: Presence }) {
  const behaviour = behaviourOf(props.capabilities ?? [])?.name
  return (
    <span class="avatar" style={{ '--hue': String(hueOf(props.id)) }} aria-hidden="true">
      {behaviour === undefined || behaviour === 'person' ? (
        <span class="initial">{[...props.name][0]?.toUpperCase() ?? '?'}</span>
      ) : (
        <Icon name={behaviour} />
      )}
      {props.presence !== undefined && <i class="dot" data-presence={props.presence} />}
    </span>
  )
}
