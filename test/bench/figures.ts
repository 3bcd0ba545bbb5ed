/** Figures of a benchmark: quantiles, what a process used, and where all of it was measured. */

import { execFileSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { mkdir, statfs, writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { arch, cpus, platform, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'

/** The value below which a part of them lies; NaN of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** The least, the middle and the most of them; nothing of none. */
export const spread = (values: readonly number[]) =>
  values.length === 0 ? undefined : { min: Math.min(...values), median: median(values), max: Math.max(...values) }

/** How steep the line is that lies nearest to the points, by least squares; NaN of fewer than two. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: 0 | 1): number => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const sum = (term: (dx: number, dy: number) => number): number =>
    points.reduce((total, point) => total + term(point[0] - x, point[1] - y), 0)
  return sum((dx, dy) => dx * dy) / sum(dx => dx * dx)
}

/** Processor time of this process so far, ms. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** Does some work under the profiler, and leaves its profile in a file. */
export async function profiled<T>(path: string, work: () => Promise<T>): Promise<T> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  try {
    return await work()
  } finally {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, JSON.stringify(profile))
  }
}

/** Names of file systems by their number in statfs(2): on one in memory a sync of the disk costs nothing. */
const FILE_SYSTEMS = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlayfs'],
])

/** What a write of a page costs with its sync, ms: the median of some. */
function syncTime(folder: string): number {
  const file = openSync(join(folder, 'sync'), 'w')
  const page = new Uint8Array(4_096)
  const times = Array.from({ length: 40 }, () => {
    const start = performance.now()
    writeSync(file, page)
    fsyncSync(file)
    return performance.now() - start
  })
  closeSync(file)
  return median(times)
}

/** What ran, when and on what machine. */
export function origin() {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
  return {
    date: new Date().toISOString(),
    commit: git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ', changed'),
    node: process.version,
    machine: `${cpus().length} x ${cpus()[0]?.model ?? arch()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${release()}`,
  }
}

/** Where figures were measured, for whoever compares them. */
export async function surroundings(folder: string) {
  const { type } = await statfs(folder)
  return {
    ...origin(),
    disk: `${FILE_SYSTEMS.get(type) ?? `file system 0x${type.toString(16)}`}, fsync ${syncTime(folder).toFixed(2)} ms`,
  }
}
