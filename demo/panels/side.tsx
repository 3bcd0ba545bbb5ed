/** Beside the conversation: the map of the mesh, and who this page is. Fetched once the rest is drawn. */

import './mesh.css'

import type { Channel, State } from '../state.ts'
import { Connection } from './connection.tsx'
import { Topology } from './topology.tsx'

/** See the head of this file. */
export function Side(props: {
  state: State
  onSelect: (channel: Channel) => void
  onInvite: () => void
  onLeave: () => void
  onFailing: (failing: boolean) => void
}) {
  return (
    <>
      <section class="card map" aria-labelledby="map-title">
        <h2 id="map-title">The mesh, seen from here</h2>
        <Topology state={props.state} onSelect={props.onSelect} />
      </section>
      <Connection {...props} />
    </>
  )
}
