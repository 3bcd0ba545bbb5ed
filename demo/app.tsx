/** The page: who to be, and once the agent runs, the workspace. */

import type { ComponentType } from 'preact'
import type { Commands } from './commands.ts'
import { useStore } from './hooks.ts'
import { Mark } from './panels/icons.tsx'
import { Start, type StartProps } from './panels/start.tsx'
import type { Store } from './state.ts'
import type { WorkspaceProps } from './workspace.tsx'

/** What runs: the commands of the session and the code that draws it. */
export interface Running {
  readonly commands: Commands
  readonly Workspace: ComponentType<WorkspaceProps>
}

/** What stands for the moment that joining takes. */
function Splash({ mesh }: { mesh: string }) {
  return (
    <main class="splash">
      <Mark />
      <p role="status">Joining “{mesh}”</p>
    </main>
  )
}

/** What {@link App} needs. */
interface AppProps extends Omit<StartProps, 'state'> {
  store: Store
  running: Running | undefined
  /** Whether it is known from the start who this tab is. */
  arriving: boolean
  onLeave: () => void
}

/** See the head of this file. */
export function App(props: AppProps) {
  return (
    <>
      {/* Browsers give such a page no locks: nothing would keep two tabs from being one agent. */}
      {!isSecureContext && (
        <p class="unkept" role="note" data-testid="unkept">
          Nothing is kept after a reload: this page came over plain http.
        </p>
      )}
      <Part {...props} />
    </>
  )
}

function Part(props: AppProps) {
  const { store, running } = props
  const state = useStore(store)
  if (running === undefined && props.arriving && state.phase === 'starting') return <Splash mesh={state.mesh} />
  if (running === undefined) {
    const { preset, before, held, left, onStart } = props
    return <Start state={state} preset={preset} before={before} held={held} left={left} onStart={onStart} />
  }
  return <running.Workspace store={store} commands={running.commands} onLeave={props.onLeave} />
}
