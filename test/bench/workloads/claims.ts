/**
 * What the source specification claims of its workloads: the read-me of the Agent Flow Protocol for the Moya framework
 * (`moya.communication.afp`), "Performance Benchmarks". It does not say what was measured how, or against what.
 */

import { type Row, ratio } from '../report.ts'
import { CHAINS, chainCase, KINDS } from '../targets.ts'

/** How many agents are had at work together. */
export const CREWS = [2, 5, 10, 20, 50] as const

/** A claim, and what is measured of the same kind here. */
export interface Claim {
  readonly workload: string
  /** In its own words. */
  readonly claimed: string
  readonly measured: string
}

/** Whom the claims are quoted from. */
export const CLAIMED_BY = 'README of the Agent Flow Protocol for the Moya framework, "Performance Benchmarks"'

/** Names of the other rows. */
export const ROW = {
  direct: (kind: keyof typeof KINDS): string => `direct, ${KINDS[kind]}`,
  crew: (size: number, kind: keyof typeof KINDS): string => `orchestration of ${size}, ${KINDS[kind]}`,
  api: (kind: keyof typeof KINDS): string => `external API, ${KINDS[kind]}`,
} as const

/** A ratio in words: a change in percent, or how many times where it is no small one. */
export function inWords(measured: number | undefined): string {
  if (measured === undefined || !Number.isFinite(measured)) return 'not measured'
  // One of the two is within what such measurements are off by.
  if (measured <= 0) return 'too little to compare'
  if (measured >= 2) return `${measured.toFixed(measured < 10 ? 1 : 0)} times`
  if (measured < 0.1) return `1/${(1 / measured).toFixed(0)}`
  const percent = (measured - 1) * 100
  return `${percent < 0 ? '' : '+'}${percent.toFixed(Math.abs(percent) < 10 ? 1 : 0)}%`
}

const change = (rows: readonly Row[], of: string, to: string, figure: string): string =>
  inWords(ratio(rows, of, to, figure))

/** Each claim beside the figures of a run. */
export function claimsBeside(rows: readonly Row[]): Claim[] {
  const both = (row: (kind: 'off' | 'durable') => string, base: string, figure: string): string =>
    `${change(rows, row('off'), base, figure)} with reliability off, ${change(rows, row('durable'), base, figure)} with it on and on the disk`
  const direct = ROW.direct('plain')
  const reliable = (steps: number, work: number): string =>
    change(rows, chainCase(steps, work, 'durable'), chainCase(steps, work, 'off'), 'p50')
  return [
    {
      workload: 'direct',
      claimed:
        'Latency: ~59% reduction (from ~4.1ms to ~1.7ms). Throughput: ~144% increase (from ~245 to ~595 msgs/sec)',
      measured: `beside plain TCP, latency ${both(ROW.direct, direct, 'p50')}; messages/s ${both(ROW.direct, direct, 'rate')}`,
    },
    {
      workload: 'orchestration',
      claimed: 'Massive Throughput Gains: 10,000% to 30,000% improvement',
      measured: CREWS.map(
        size => `${size} agents: ${both(kind => ROW.crew(size, kind), ROW.crew(size, 'plain'), 'rate')}`,
      ).join('; '),
    },
    {
      workload: 'chains',
      claimed: 'Small Overhead: ~10.85% latency overhead for added reliability',
      measured: CHAINS.map(
        steps =>
          `${steps} steps: ${reliable(steps, 5)} where each works for 5 ms, ${reliable(steps, 0)} where none works`,
      ).join('; '),
    },
    {
      workload: 'external API',
      claimed:
        'Internal Efficiency: 10.10% lower processing overhead. Task Processing: 6.80% faster task processing time in workflows',
      measured: `beside plain TCP, overhead ${both(ROW.api, ROW.api('plain'), 'overhead')}; time of a task ${both(ROW.api, ROW.api('plain'), 'p50')}`,
    },
  ]
}
