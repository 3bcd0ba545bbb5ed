/** `npm run bench -- <name> [runs]`: a benchmark, from the sources; `kept` takes messages for runs. Benchmarks are no part of `npm test`. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/** Each benchmark and its file. */
const benches = new Map([
  ['first-message', 'e2e/bench/first-message.ts'],
  ['peers', 'test/bench/peers.ts'],
  ['tabs', 'e2e/bench/tabs.ts'],
  ['memory', 'test/bench/memory.ts'],
  ['workloads', 'test/bench/workloads.ts'],
  ['sealing', 'test/bench/sealing.ts'],
  ['kept', 'test/bench/kept.ts'],
])

const [name, ...args] = process.argv.slice(2)
const file = benches.get(name)
if (file === undefined || args.length > 1 || !/^[1-9]\d{0,5}$/.test(args[0] ?? '1')) {
  console.error(`usage: npm run bench -- ${[...benches.keys()].join('|')} [runs or messages]`)
  process.exit(2)
}
const { status } = spawnSync(process.execPath, ['--conditions=afp-source', join(root, file), ...args], {
  cwd: root,
  stdio: 'inherit',
})
process.exit(status ?? 1)
