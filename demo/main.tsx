/** Starts the page: the agent's code is fetched first, the page is drawn meanwhile. */

const loadingSession = import('./session.ts')

import { render } from 'preact'
import { App, type Running } from './app.tsx'
import { holdName, namesHeld, namesToOffer, rememberName } from './names.ts'
import { applyTheme, savedTheme } from './panels/theme.tsx'
import {
  allowed,
  findMesh,
  forget,
  inviteLink,
  readLink,
  remember,
  remembered,
  rememberedPlace,
  rememberPlace,
  type Who,
  whoLeft,
} from './settings.ts'
import { initialState, Store } from './state.ts'

const link = readLink(location.hash)
const store = new Store({ ...initialState, mesh: link.mesh ?? 'demo' })
const finding = findMesh(link, async () => (await fetch('./config.json')).json())
const loadingWorkspace = loadingSession.then(() => import('./workspace.tsx'))
const local = allowed(() => localStorage)
const session = allowed(() => sessionStorage)
const root = document.querySelector('#app') as HTMLElement

async function start(who: Who): Promise<void> {
  store.update(state => ({ ...state, phase: 'starting', problem: undefined }))
  const { startSession, startProblem } = await loadingSession
  const mesh = await finding
  // Before it is there: who opens another tab meanwhile is not offered this name.
  const letGo = holdName(navigator.locks, mesh.mesh, who.name)
  try {
    const commands = await startSession(store, mesh, who, rememberedPlace(session, mesh.mesh))
    remember(session, who)
    rememberName(local, mesh.mesh, who)
    rememberPlace(session, store.state)
    let before = store.state
    store.subscribe(() => {
      const now = store.state
      if (now.selected !== before.selected || now.view !== before.view) rememberPlace(session, now)
      before = now
    })
    // Saying goodbye tells the others at once; a page that comes back from the browser's cache starts anew.
    addEventListener('pagehide', () => void commands.close(), { once: true })
    addEventListener('pageshow', event => event.persisted && location.reload())
    draw({ commands, Workspace: (await loadingWorkspace).Workspace })
  } catch (error) {
    letGo()
    store.update(state => ({ ...state, phase: 'start', problem: startProblem(error) }))
  }
}

function leave(): void {
  forget(session)
  // The name goes, the mesh stays.
  if (link.name !== undefined) history.replaceState(null, '', inviteLink(location.href, link))
  location.reload()
}

function draw(running?: Running): void {
  render(
    <App
      store={store}
      running={running}
      onStart={start}
      onLeave={leave}
      preset={link}
      before={before}
      left={left}
      held={held}
      arriving={who !== undefined}
    />,
    root,
  )
}

applyTheme(savedTheme())
const left = whoLeft(session)
const before = finding.then(({ mesh }) => namesToOffer(local, navigator.locks, mesh)).catch(() => [])
const held = finding.then(({ mesh }) => namesHeld(navigator.locks, mesh)).catch(() => new Set<string>())
const who = link.name === undefined ? remembered(session) : { name: link.name, as: link.as ?? 'person' }
if (who !== undefined) void start(who)
draw()
finding.then(({ mesh }) => store.update(state => (state.phase === 'running' ? state : { ...state, mesh })))
