/** Where the demo keeps who its relay and its agents are, and what they hold, for the next start on the same port. */

import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AfpError, type AgentOptions, type Store } from 'agent-flow-protocol'
import { fileIdentity, sqliteStore } from 'agent-flow-protocol/node'

/** Who an agent is and where it keeps things, as `createAgent` takes it. */
export type Home = Pick<AgentOptions, 'identity' | 'store'>

/** What is kept of one demo. Nobody else has it until it is closed. */
export interface Keep {
  /** The file of the relay's identity. */
  readonly relayFile: string
  readonly tick: Home
  readonly abacus: Home
  /** The port that the relay had the last time: pages that are open look for it there. */
  readonly relayPort: number | undefined
  keepRelayPort(port: number): Promise<void>
  close(): Promise<void>
}

/**
 * What is kept in a folder for a port and a mesh, one folder for each: two demos at once do not meet there, and what
 * waits for a mesh goes to no other.
 *
 * @throws AfpDataStoreError STORE_IN_USE while another demo has it; AfpSecurityError INVALID_IDENTITY
 */
export async function openKeep(data: string, port: number, mesh: string): Promise<Keep> {
  // Any text can be a mesh's name, and not all of it a folder's.
  const folder = join(data, String(port), createHash('sha256').update(mesh).digest('hex').slice(0, 16))
  const stores: Store[] = []
  const close = async (): Promise<void> => {
    for (const store of stores.splice(0)) await store.close()
  }
  const home = async (name: string): Promise<Home> => {
    // First the store: it makes the folder, and whoever has it has the rest too.
    const store = await sqliteStore(join(folder, `${name}.db`))
    stores.push(store)
    return { store, identity: await fileIdentity(join(folder, `${name}.key`)) }
  }
  try {
    const [tick, abacus] = [await home('tick'), await home('abacus')]
    const portFile = join(folder, 'relay.port')
    const last = Number(await readFile(portFile, 'utf8').catch(() => Number.NaN))
    return {
      relayFile: join(folder, 'relay.key'),
      tick,
      abacus,
      relayPort: Number.isInteger(last) && last > 0 && last < 65_536 ? last : undefined,
      keepRelayPort: port => writeFile(portFile, `${port}`),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Why nothing is kept, in words; what is in the place of an identity and is none, is an error all the same. */
export function whyUnkept(error: unknown): string {
  if (error instanceof AfpError && error.code === 'INVALID_IDENTITY') throw error
  if (error instanceof AfpError && error.code === 'STORE_IN_USE') return 'another demo has what is kept for this port'
  return (error as Error).message
}

/** What the default folder depends on. */
export interface Place {
  /** Where this module is. */
  readonly folder: string
  readonly platform: NodeJS.Platform
  readonly env: Readonly<Record<string, string | undefined>>
  /** @throws where nobody knows, as for a user without an entry */
  readonly home: () => string
}

const here: Place = {
  folder: dirname(fileURLToPath(import.meta.url)),
  platform: process.platform,
  env: process.env,
  home: homedir,
}

/**
 * Where the command keeps it unless told otherwise: in a clone beside the sources, where git ignores it and npm leaves
 * it alone, else with the data of whoever runs it, since the folders of installed packages come and go. Undefined where
 * there is no such place.
 */
export function defaultData(place: Partial<Place> = {}): string | undefined {
  const { folder, platform, env, home } = { ...here, ...place }
  // `demo/` of the sources, or `dist/demo/` of what was built.
  const root = basename(dirname(folder)) === 'dist' ? join(folder, '../..') : join(folder, '..')
  if (basename(dirname(root)) !== 'node_modules') return join(root, '.afp-demo')
  try {
    return join(platformData({ platform, env, home }), 'agent-flow-protocol/demo')
  } catch {
    return undefined
  }
}

function platformData({ platform, env, home }: Omit<Place, 'folder'>): string {
  const { LOCALAPPDATA, XDG_DATA_HOME = '' } = env
  if (platform === 'win32') return LOCALAPPDATA || join(home(), 'AppData/Local')
  if (platform === 'darwin') return join(home(), 'Library/Application Support')
  // One that is relative has to be ignored (XDG Base Directory Specification).
  return isAbsolute(XDG_DATA_HOME) ? XDG_DATA_HOME : join(home(), '.local/share')
}
