/** `npm run soak -- mesh`: the simulation of meshes, seed after seed; `--timeline SEED FILE`: what happens with one of them. */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { scarce } from '../simulation/mesh/floors.ts'
import { simulateMesh } from '../simulation/mesh/mesh.ts'
import { soak } from './soak.ts'

const [first, ...rest] = process.argv.slice(2)
process.exitCode =
  first === '--timeline' ? await timeline(rest) : await soak('mesh', simulateMesh, process.argv.slice(2), scarce)

/** Writes what happens with a seed. The code to exit with, as that of a soak. */
async function timeline([given, file = `mesh-${given}.jsonl`]: string[]): Promise<number> {
  const seed = Number(given)
  if (!Number.isSafeInteger(seed) || seed < 1) {
    console.error('usage: npm run soak -- mesh --timeline SEED [FILE]')
    return 2
  }
  const path = resolve(file)
  let lines = ''
  const { faults, digest } = await simulateMesh(seed, {
    timeline: all => {
      lines = all
    },
  })
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, lines)
  for (const fault of faults) console.log(fault)
  console.log(`${lines.split('\n').length - 1} lines, ${faults.length} faults, digest ${digest}: ${path}`)
  return faults.length > 0 ? 1 : 0
}
