/** What a benchmark found, as it is written down: rows of figures by round, ratios within rounds, targets. */

import { median } from './figures.ts'

/** A case at one size of content. */
export interface Row {
  readonly name: string
  /** Of content. */
  readonly bytes?: number
  /** Why there are no figures. */
  readonly notRun?: string
  /** Figures by name, each once for every round. */
  readonly figures: Readonly<Record<string, readonly number[]>>
}

/** What a figure should be. */
export interface Target {
  /** What is wanted, in words. */
  readonly text: string
  readonly figure: string
  /** The row, and the one that it is divided by within each round. */
  readonly of: string
  readonly to?: string
  readonly bytes?: number
  readonly wanted: readonly ['>=' | '>' | '<=' | '<', number]
}

/** A target with what was measured. */
export interface Judged {
  readonly text: string
  readonly measured: number | null
  readonly wanted: string
  readonly verdict: 'met' | 'short' | 'not measured'
}

/** A whole run. */
export interface Report {
  readonly bench: string
  readonly date: string
  readonly commit: string
  readonly node: string
  readonly machine: string
  readonly disk?: string
  readonly rounds: number
  /** What does the same again, with the variables that picked what was measured; runs of before it was kept have none. */
  readonly command?: string
  readonly load: readonly number[]
  /** What else has to be known to read the figures, such as what is durable. */
  readonly notes: Readonly<Record<string, string>>
  readonly rows: readonly Row[]
  readonly targets: readonly Judged[]
}

const rowOf = (rows: readonly Row[], name: string, bytes?: number): Row | undefined =>
  rows.find(row => row.name === name && (bytes === undefined || row.bytes === bytes))

/** The median of a figure; undefined where it was not measured. */
export function middle(rows: readonly Row[], name: string, figure: string, bytes?: number): number | undefined {
  const values = rowOf(rows, name, bytes)?.figures[figure]
  return values === undefined || values.length === 0 ? undefined : median(values)
}

/** The median of the ratios of two rows' figure, each taken within its round; undefined where one was not measured. */
export function ratio(
  rows: readonly Row[],
  of: string,
  to: string,
  figure: string,
  bytes?: number,
): number | undefined {
  const [own, base] = [of, to].map(name => rowOf(rows, name, bytes)?.figures[figure])
  if (own === undefined || base === undefined || own.length === 0 || own.length !== base.length) return undefined
  return median(own.map((value, i) => value / (base[i] as number)))
}

const HOLDS = {
  '>=': (a: number, b: number) => a >= b,
  '>': (a: number, b: number) => a > b,
  '<=': (a: number, b: number) => a <= b,
  '<': (a: number, b: number) => a < b,
} as const

/** Holds targets against rows. */
export function judge(targets: readonly Target[], rows: readonly Row[]): Judged[] {
  return targets.map(({ text, figure, of, to, bytes, wanted: [sign, bound] }) => {
    const measured = to === undefined ? middle(rows, of, figure, bytes) : ratio(rows, of, to, figure, bytes)
    const known = measured !== undefined && Number.isFinite(measured)
    return {
      text,
      measured: known ? measured : null,
      wanted: `${sign} ${bound}`,
      verdict: !known ? 'not measured' : HOLDS[sign](measured, bound) ? 'met' : 'short',
    }
  })
}
