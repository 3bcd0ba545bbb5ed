/**
 * `npm run bench -- <name> [runs]`: a benchmark, from the sources; `kept` and `memory` take messages for runs. Benchmarks are
 * no part of `npm test`. `table` makes the tables of the README of the runs that are kept in `test/bench/results`, and
 * `adopt <name>` keeps the last run of a benchmark there first. `profile <folder>` sums up the profiles that `BENCH_PROFILE` left.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/** Each benchmark and its file. */
const benches = new Map([
  ['peers', 'test/bench/peers.ts'],
  ['tabs', 'test/bench/tabs.ts'],
  ['workloads', 'test/bench/workloads.ts'],
  ['memory', 'test/bench/memory.ts'],
  ['first-message', 'e2e/bench/first-message.ts'],
  ['sealing', 'test/bench/sealing.ts'],
  ['kept', 'test/bench/kept.ts'],
  ['table', 'test/bench/readme.ts'],
  ['adopt', 'test/bench/readme.ts'],
  ['profile', 'test/bench/profile.ts'],
])

const [name, ...args] = process.argv.slice(2)
const file = benches.get(name)
const wanted = { table: /^$/, adopt: /^(peers|tabs|workloads|memory)$/, profile: /./ }[name] ?? /^([1-9]\d{0,6})?$/
if (file === undefined || args.length > 1 || !wanted.test(args[0] ?? '')) {
  console.error(`usage: npm run bench -- ${[...benches.keys()].join('|')} [runs, messages, or the benchmark to adopt]`)
  process.exit(2)
}
const { status } = spawnSync(process.execPath, ['--conditions=afp-source', join(root, file), ...args], {
  cwd: root,
  stdio: 'inherit',
})
process.exit(status ?? 1)
