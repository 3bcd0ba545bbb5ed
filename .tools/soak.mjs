/** `npm run soak -- <name> [options]`: a simulation, or kills, for as long as one likes. `npm test` runs the first of them. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

const SEEDS = '[--from N] [--to N] [--minutes M] [--out FILE]'

/** The file of each, after what it needs before that, and what it takes. */
const soaks = new Map([
  ['delivery', { file: ['test/soak/delivery.ts'], options: SEEDS }],
  [
    'mesh',
    {
      file: ['--import=./test/simulation/mesh/register.mjs', 'test/soak/mesh.ts'],
      options: `${SEEDS} | --timeline SEED FILE`,
    },
  ],
  ['planted', { file: ['test/soak/planted.ts'], options: '[--only NAME]... [--seeds N] [--jobs N] [--out FILE]' }],
  [
    'kills',
    {
      file: ['test/soak/kills.ts'],
      options: '[--cycles N] [--party sender|recipient|relay|all|each] [--seed N] [--minutes M] [--out FILE]',
    },
  ],
  ['adopt', { file: ['test/soak/adopt.ts'], options: 'FILE...' }],
  ['chromium-kills', { file: ['test/soak/chromium-kills.ts'], options: '[--cycles N] [--seed N] [--out FILE]' }],
])

const [name, ...args] = process.argv.slice(2)
const file = soaks.get(name)?.file
if (file === undefined) {
  for (const [known, { options }] of soaks) console.error(`usage: npm run soak -- ${known} ${options}`)
  process.exit(2)
}
// Asked to stop, the simulation writes what it has: this process stays until it has.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})
const { status } = spawnSync(process.execPath, ['--conditions=afp-source', ...file, ...args], {
  cwd: root,
  stdio: 'inherit',
})
process.exit(status ?? 1)
