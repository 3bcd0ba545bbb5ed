/** `npm run soak -- <name> [options]`: a simulation for as long as one likes. `npm test` runs its first seeds. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/** Each simulation and its file. */
const soaks = new Map([
  ['delivery', 'test/soak/delivery.ts'],
  ['planted', 'test/soak/planted.ts'],
])

const [name, ...args] = process.argv.slice(2)
const file = soaks.get(name)
if (file === undefined) {
  console.error(`usage: npm run soak -- ${[...soaks.keys()].join('|')} [--from N] [--to N] [--minutes M] [--out FILE]`)
  process.exit(2)
}
// Asked to stop, the simulation writes what it has: this process stays until it has.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})
const { status } = spawnSync(process.execPath, ['--conditions=afp-source', join(root, file), ...args], {
  cwd: root,
  stdio: 'inherit',
})
process.exit(status ?? 1)
