/** The page `docs/soaks.md`, made of what long runs wrote down. */

import type { Found } from './planted.ts'

interface Origin {
  readonly date: string
  readonly commit: string
  readonly node: string
  readonly machine: string
}
interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}
interface Kills {
  readonly kills: number
  readonly 'in flight at each kill': Spread
  readonly seconds: number
  readonly faults: readonly unknown[]
  readonly counters: Readonly<Record<string, number>>
}

/** What a long run wrote, by its name. */
export type SoakReport = Origin &
  (
    | {
        readonly name: 'mesh' | 'delivery'
        readonly seeds: { readonly from: number; readonly to: number; readonly count: number }
        readonly seconds: number
        readonly faults: readonly unknown[]
        readonly counters: Readonly<Record<string, number>>
      }
    | { readonly name: 'kills'; readonly parties: Readonly<Record<string, Kills>> }
    | ({ readonly name: 'chromium-kills'; readonly seed: number } & Kills)
    | {
        readonly name: 'planted'
        readonly seeds: number
        readonly seconds: number
        readonly results: readonly Found[]
        readonly control: { readonly seeds: number; readonly fault?: string }
      }
  )

/** The name of the file that a report is kept in: of each kind of run there is one. */
export function keptAs(report: SoakReport): string {
  if (report.name === 'kills') return `kills-${Object.keys(report.parties).join('-')}.json`
  return 'counters' in report && 'seeds' in report ? `${report.name}-${report.seeds.from}.json` : `${report.name}.json`
}

const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, heads.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')).join('\n')

const count = (value: number): string => value.toLocaleString('en')

const where = ({ date, commit, node, machine }: Origin): string =>
  `${date.slice(0, 10)}, ${commit}, Node ${node.slice(1)}, ${machine}`

function simulations(reports: readonly SoakReport[]): string[] {
  const rows = reports.flatMap(report => {
    if (report.name !== 'mesh' && report.name !== 'delivery') return []
    const { name, seeds, seconds, faults, counters } = report
    const effects = count((counters.handled ?? 0) + (counters.handledOnce ?? 0))
    const range = `${count(seeds.from)} to ${count(seeds.to)}`
    return [[name, range, count(faults.length), count(counters.sent ?? 0), effects, count(seconds), where(report)]]
  })
  const heads = ['simulation', 'seeds', 'with a fault', 'messages', 'effects', 'seconds', 'of']
  return rows.length === 0 ? [] : ['## Simulations', table(heads, rows)]
}

function kills(reports: readonly SoakReport[]): string[] {
  const row = (who: string, kills: Kills, report: SoakReport): string[] => {
    const { min, median, max } = kills['in flight at each kill']
    const { counters, faults, seconds } = kills
    const kept = counters.kept === undefined ? '-' : count(counters.kept)
    return [
      who,
      count(kills.kills),
      count(faults.length),
      `${min}, ${median}, ${max}`,
      kept,
      count(seconds),
      where(report),
    ]
  }
  const rows = reports.flatMap(report => {
    if (report.name === 'chromium-kills') return [row('Chromium', report, report)]
    return report.name === 'kills' ? Object.entries(report.parties).map(([who, kills]) => row(who, kills, report)) : []
  })
  const heads = ['killed', 'times', 'rounds with a fault', 'in flight: min, median, max', 'kept', 'seconds', 'of']
  return rows.length === 0 ? [] : ['## Kills', table(heads, rows)]
}

function plants(reports: readonly SoakReport[]): string[] {
  return reports.flatMap(report => {
    if (report.name !== 'planted') return []
    const { results, control, seeds } = report
    const caught = results.filter(result => result.caught)
    const rows = results.map(({ name, breaks, caught, simulation, seed }) => [
      `\`${name}\``,
      breaks,
      ...(caught ? [String(simulation), count(Number(seed))] : ['not caught', `in ${count(seeds)}`]),
    ])
    const none = control.fault === undefined ? 'nothing is found' : `${control.fault} is found`
    return [
      '## Planted bugs',
      `${caught.length} of ${results.length} are caught; with none planted ${none} in ${control.seeds} seeds of each simulation. ${where(report)}.`,
      table(['bug', 'what it breaks', 'caught by', 'at seed'], rows),
    ]
  })
}

/** The whole page. */
export function pageOf(reports: readonly SoakReport[]): string {
  const parts = [
    '# Long runs',
    'What `npm run soak -- <name>` found in its last long runs. `npm test` has a sample of each; docs/claims.md says what they look for, and what is not promised. `npm run soak -- adopt FILE...` puts what a run wrote in here.',
    ...simulations(reports),
    ...kills(reports),
    ...plants(reports),
  ]
  return `${parts.join('\n\n')}\n`
}
