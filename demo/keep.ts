/** Where the demo keeps who its relay and its agents are, and what they hold, for the next start on the same port. */

import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
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
    return { relayFile: join(folder, 'relay.key'), tick, abacus, close }
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

/**
 * Where the command keeps it unless told otherwise: with the build's own files in a clone, else with the data of
 * whoever runs it, since the folders of installed packages come and go.
 */
export function defaultData(): string {
  const here = dirname(fileURLToPath(import.meta.url))
  // `demo/` of the sources, or `dist/demo/` of what was built.
  const root = basename(dirname(here)) === 'dist' ? join(here, '../..') : join(here, '..')
  if (basename(dirname(root)) !== 'node_modules') return join(root, 'node_modules/.cache/agent-flow-protocol/demo')
  return join(platformData(), 'agent-flow-protocol/demo')
}

function platformData(): string {
  const { LOCALAPPDATA, XDG_DATA_HOME } = process.env
  if (process.platform === 'win32') return LOCALAPPDATA || join(homedir(), 'AppData/Local')
  if (process.platform === 'darwin') return join(homedir(), 'Library/Application Support')
  return XDG_DATA_HOME || join(homedir(), '.local/share')
}
