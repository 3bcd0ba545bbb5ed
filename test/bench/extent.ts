/** How much is measured: sizes of content, and how many messages may be under way. */

const SIZES = [256, 1_024, 65_536]

/** Bytes of content that `BENCH_SIZES` names, by default 1024; `all` are those that are compared. */
export function contentSizes(named = process.env.BENCH_SIZES ?? '1024'): number[] {
  const sizes = named === 'all' ? SIZES : named.split(',').map(size => Number(size))
  // Less has no room for what tells a message from others.
  if (!sizes.every(size => Number.isInteger(size) && size >= 64))
    throw new Error(`BENCH_SIZES=${named}: no sizes from 64`)
  return [...sizes]
}

/** Messages under way at a time: 1,024, but no more than 4 MiB of them. */
export const windowOf = (bytes: number): number => Math.max(1, Math.min(1_024, Math.floor(2 ** 22 / bytes)))

/** Of fewer round trips a 99th percentile would be the longest of all. */
export const ROUND_TRIPS = { ms: 500, least: 200 } as const

/** Variables that take something away from a run, so that it is not a whole one. */
const PARTIAL = /\bBENCH_(CASES|MS|PROFILE|QUEUED)=/

/** What has a benchmark run as it does now. Profiles slow it down, and are among what picks what is measured. */
export function commandOf(bench: string, env: NodeJS.ProcessEnv = process.env, args = process.argv.slice(2)): string {
  const picked = Object.entries(env).filter(([name]) => name.startsWith('BENCH_'))
  const variables = picked.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}=${value}`)
  return [...variables, 'npm run bench --', bench, ...args].join(' ')
}

/** Whether a command measures all that there is. */
export const isWhole = (command: string): boolean => !PARTIAL.test(command)
