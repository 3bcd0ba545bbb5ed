/** The mesh as this page sees it, live: who is there, and whether bytes go straight or through the relay. */

import type { Peer } from 'agent-flow-protocol'
import { type Channel, markOf, nameOf, roster, type State } from '../state.ts'
import { hueOf } from './avatar.tsx'
import { bestRelay } from './header.tsx'
import { formatRtt, presenceOf } from './roster.tsx'
import { centre, HEIGHT, line, orbit, type Point, pathOf, places, relayPlace, WIDTH } from './topology-layout.ts'

/** Most agents on the map; the roster has them all. */
const MAX_SHOWN = 12

const short = (name: string, most = 11): string => (name.length > most ? `${name.slice(0, most - 1)}…` : name)

/** The way from this page to an agent: straight, or by way of the relay. */
const wayTo = (peer: Peer, place: Point): string | undefined => {
  if (peer.link === undefined) return undefined
  if (peer.link.kind === 'direct') {
    const { from, to } = line(centre, place, 24, 20)
    return pathOf(from, to)
  }
  const up = line(centre, relayPlace, 24, 14)
  const down = line(relayPlace, place, 14, 20)
  return pathOf(up.from, up.to, down.from, down.to)
}

function Edge({ peer, place }: { peer: Peer; place: Point }) {
  const way = wayTo(peer, place)
  if (peer.link === undefined || way === undefined) return null
  const { kind, rtt } = peer.link
  const { middle } = kind === 'direct' ? line(centre, place, 24, 20) : line(relayPlace, place, 14, 20)
  const label = `${kind}${rtt === undefined ? '' : ` ${formatRtt(rtt)}`}`
  const width = label.length * 5.4 + 10
  return (
    <g class="edge" data-kind={kind} data-testid="edge">
      <path d={way} />
      <rect x={middle.x - width / 2} y={middle.y - 8} width={width} height={16} rx={8} />
      <text x={middle.x} y={middle.y + 3.5}>
        {label}
      </text>
    </g>
  )
}

function Node(props: {
  place: Point
  id: string
  name: string
  mark?: string | undefined
  presence: string
  note?: string
  onClick?: () => void
}) {
  return (
    // The roster offers the same to keyboards and screen readers; the map as a whole is one image.
    // biome-ignore lint/a11y/noStaticElementInteractions: see above
    <g
      class="node"
      data-presence={props.presence}
      style={{ transform: `translate(${props.place.x}px, ${props.place.y}px)`, '--hue': String(hueOf(props.id)) }}
      onClick={props.onClick}
    >
      <circle r={props.presence === 'me' ? 22 : 17} />
      <text class="node-initial" y={5}>
        {[...props.name][0]?.toUpperCase()}
      </text>
      <text class="node-name" y={props.presence === 'me' ? -29 : 31}>
        {props.mark === undefined ? short(props.name) : `${short(props.name, 6)} ${props.mark}`}
      </text>
    </g>
  )
}

const sentence = (state: State, peers: readonly Peer[]): string =>
  peers.length === 0
    ? 'Map of the mesh: nobody else yet'
    : `Map of the mesh: ${peers.map(peer => `${nameOf(state, peer.card.id)} ${peer.link === undefined ? 'without a link' : `${peer.link.kind} ${formatRtt(peer.link.rtt)}`}`).join(', ')}`

/** See the head of this file. */
export function Topology({ state, onSelect }: { state: State; onSelect: (channel: Channel) => void }) {
  const peers = roster(state).flatMap(({ peer }) => (peer?.online ? [peer] : []))
  const shown = peers.slice(0, MAX_SHOWN)
  const at = places(shown.map(peer => peer.link?.kind === 'relayed'))
  const relay = bestRelay(state)
  const { pulse, me } = state
  const pulsed = pulse === undefined ? -1 : shown.findIndex(peer => peer.card.id === pulse.peer)
  const pulsedPeer = shown[pulsed]
  const way = pulsedPeer === undefined ? undefined : wayTo(pulsedPeer, at[pulsed] as Point)
  const relayLine = line(centre, relayPlace, 24, 14)
  return (
    <>
      <svg
        class="topology"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={sentence(state, shown)}
        data-testid="topology"
      >
        <ellipse class="orbit" cx={centre.x} cy={centre.y} rx={orbit.x} ry={orbit.y} />
        {relay !== undefined && (
          <g class="to-relay" data-state={relay}>
            <path d={pathOf(relayLine.from, relayLine.to)} />
          </g>
        )}
        {shown.map((peer, index) => (
          <Edge key={peer.card.id} peer={peer} place={at[index] as Point} />
        ))}
        {way !== undefined && pulse !== undefined && (
          <circle
            key={pulse.key}
            class="pulse"
            data-outward={pulse.outward}
            r={4.5}
            style={{ offsetPath: `path("${way}")` }}
          />
        )}
        {relay !== undefined && (
          <g class="relay-node" data-state={relay}>
            <rect
              x={relayPlace.x - 11}
              y={relayPlace.y - 11}
              width={22}
              height={22}
              rx={4}
              transform={`rotate(45 ${relayPlace.x} ${relayPlace.y})`}
            />
            <text x={relayPlace.x + 24} y={relayPlace.y + 4}>
              relay
            </text>
          </g>
        )}
        {shown.map((peer, index) => (
          <Node
            key={peer.card.id}
            place={at[index] as Point}
            id={peer.card.id}
            name={peer.card.name}
            mark={markOf(state, peer.card.id)}
            presence={presenceOf(peer)}
            onClick={() => onSelect(`agent:${peer.card.id}`)}
          />
        ))}
        {me !== undefined && <Node place={centre} id={me.id} name={`${me.name}`} presence="me" />}
      </svg>
      <p class="legend">
        <span data-kind="direct">direct</span>
        <span data-kind="relayed">through the relay</span>
        {peers.length > MAX_SHOWN && <span>{peers.length - MAX_SHOWN} more in the list</span>}
      </p>
    </>
  )
}
