/** Beside the conversation: the map of the mesh, and who this page is. Fetched once the rest is drawn. */

import './mesh.css'

import { useMedia } from '../hooks.ts'
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
  // Below the list, where there is not room for both: folded, until somebody wants to see it.
  const tight = useMedia('(min-width: 761px) and (max-width: 1180px) and (max-height: 1000px)')
  return (
    <>
      <section class="card map" aria-labelledby="map-title">
        <details open={!tight}>
          <summary>
            <h2 id="map-title">The mesh, seen from here</h2>
          </summary>
          <Topology state={props.state} onSelect={props.onSelect} />
        </details>
      </section>
      <Connection {...props} open={!tight} />
    </>
  )
}
