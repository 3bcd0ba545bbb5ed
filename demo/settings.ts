/** Where a page gets its mesh, its relays and its name from: the link, the server, this tab's memory. */

import { type BehaviourName, behaviourNamed } from './behaviours/catalogue.ts'
import type { Channel, View } from './state.ts'

/** What a link says in its fragment, which browsers do not send to servers. */
export interface Link {
  readonly mesh: string | undefined
  readonly relays: readonly string[]
  readonly name: string | undefined
  readonly as: BehaviourName | undefined
}

/** The mesh to join and how. */
export interface Mesh {
  readonly mesh: string
  readonly relays: readonly string[]
}

/** Who to be. */
export interface Who {
  readonly name: string
  readonly as: BehaviourName
}

const MAX_RELAYS = 8

const bounded = (text: unknown, length: number): string | undefined =>
  typeof text === 'string' && text.trim() !== '' && text.length <= length ? text.trim() : undefined

const readRelays = (values: readonly unknown[]): string[] =>
  values
    .map(value => bounded(value, 512))
    .filter(value => value?.startsWith('/') === true)
    .slice(0, MAX_RELAYS) as string[]

/** Reads a link's fragment, such as `#mesh=demo&relay=/ip4/…`; what makes no sense is left out. */
export function readLink(fragment: string): Link {
  const fields = new URLSearchParams(fragment.replace(/^#/, '').slice(0, 8_192))
  const as = fields.get('as')
  return {
    mesh: bounded(fields.get('mesh'), 64),
    relays: readRelays(fields.getAll('relay')),
    name: bounded(fields.get('name'), 64),
    as: as === null ? undefined : behaviourNamed(as).name,
  }
}

/** The link that brings others to a mesh. */
export function inviteLink(page: string, { mesh, relays }: Pick<Link, 'mesh' | 'relays'>): string {
  const fields = [...(mesh === undefined ? [] : [['mesh', mesh]]), ...relays.map(relay => ['relay', relay])]
  // Slashes are allowed in a fragment; left as they are, the link is half as long and the QR code coarser.
  const fragment = fields.map(([key, value = '']) => `${key}=${encodeURIComponent(value).replaceAll('%2F', '/')}`)
  return `${page.split('#')[0]}#${fragment.join('&')}`
}

/** The mesh that a link names, the rest from the server that served the page. */
export async function findMesh(link: Link, load: () => Promise<unknown>): Promise<Mesh> {
  if (link.mesh !== undefined && link.relays.length > 0) return { mesh: link.mesh, relays: link.relays }
  const config = (await load().catch(() => undefined)) as { mesh?: unknown; relays?: unknown } | null | undefined
  return {
    mesh: link.mesh ?? bounded(config?.mesh, 64) ?? 'demo',
    relays: link.relays.length > 0 ? link.relays : readRelays(Array.isArray(config?.relays) ? config.relays : []),
  }
}

/** A multiaddr for people: host and port, without the id. */
export function shortAddress(address: string): string {
  const [, , host = '', , port = ''] = address.split('/')
  return `${host}:${port}`
}

/** What the browser keeps for the page; undefined where it forbids it, which only asking tells. */
export function allowed(ask: () => Storage): Storage | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}

const KEY = 'agent-flow-demo'
const PLACE = 'agent-flow-demo-place'

/** Who this tab was before it was reloaded. */
export function remembered(storage: Storage | undefined): Who | undefined {
  try {
    const saved = JSON.parse(storage?.getItem(KEY) ?? 'null') as { name?: unknown; as?: string } | null
    const name = bounded(saved?.name, 64)
    return name === undefined ? undefined : { name, as: behaviourNamed(saved?.as).name }
  } catch {
    return undefined
  }
}

/** Remembers who this tab is. A storage that is full or forbidden is no reason to fail. */
export function remember(storage: Storage | undefined, who: Who): void {
  try {
    storage?.setItem(KEY, JSON.stringify(who))
  } catch {
    // The tab will ask again after a reload; that is all.
  }
}

/** Forgets who this tab is, but not whom it does not want to be any more. */
export function forget(storage: Storage | undefined): void {
  const left = remembered(storage)?.name ?? ''
  try {
    for (const key of [KEY, PLACE]) storage?.removeItem(key)
    storage?.setItem(KEY, JSON.stringify({ left }))
  } catch {
    // As above.
  }
}

/** Who this tab was and does not want to be any more; undefined where it was nobody, or is still that one. */
export function whoLeft(storage: Storage | undefined): string | undefined {
  try {
    const saved = JSON.parse(storage?.getItem(KEY) ?? 'null') as { left?: unknown } | null
    return typeof saved?.left === 'string' ? saved.left : undefined
  } catch {
    return undefined
  }
}

/** Where somebody was in the mesh that they are in: what was open. */
export interface Place {
  readonly mesh: string
  readonly selected: Channel
  readonly view: View
}

/** Where this tab was before it was reloaded, if that was in this mesh. */
export function rememberedPlace(storage: Storage | undefined, mesh: string): Place | undefined {
  try {
    const saved = JSON.parse(storage?.getItem(PLACE) ?? 'null') as Partial<Place> | null
    if (saved?.mesh !== mesh || !/^(everyone$|topic:|agent:)/.test(`${saved.selected}`)) return undefined
    return { mesh, selected: saved.selected as Channel, view: saved.view === 'talk' ? 'talk' : 'agents' }
  } catch {
    return undefined
  }
}

/** Remembers where this tab is, as {@link remember} does. */
export function rememberPlace(storage: Storage | undefined, { mesh, selected, view }: Place): void {
  try {
    storage?.setItem(PLACE, JSON.stringify({ mesh, selected, view }))
  } catch {
    // It opens in the lobby; that is all.
  }
}
