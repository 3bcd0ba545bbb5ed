/** The tables of the README, made of what benchmarks wrote down. */

import { CASE } from './peers/peers.ts'
import { middle, type Report, type Row, ratio } from './report.ts'
import { short } from './short.ts'
import { CHAINS, chainCase, KINDS, type Kind, STEP_WORK, TAB_CASE } from './targets.ts'
import { CLAIMED_BY, CREWS, claimsBeside, ROW } from './workloads/claims.ts'

type Cells = readonly string[]

const table = (heads: Cells, rows: readonly Cells[]): string =>
  [heads, heads.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')).join('\n')

const size = (bytes: number): string => (bytes < 1_024 ? `${bytes} B` : `${bytes / 1_024} KiB`)

const sizesOf = (rows: readonly Row[]): number[] => [...new Set(rows.flatMap(({ bytes }) => bytes ?? []))]

const namesOf = (rows: readonly Row[], bytes: number): string[] =>
  rows.filter(row => row.bytes === bytes).map(({ name }) => name)

/** When, how often and on what it was measured. */
function about({ bench, command, rounds, date, commit, node, machine, disk, load }: Report): string {
  const times = rounds === 1 ? 'one round' : `medians of ${rounds} rounds`
  const loads = `load ${short(Math.min(...load))} to ${short(Math.max(...load))}`
  const where = [machine, disk, loads].filter(Boolean).join('; ')
  return `Measured by \`${command ?? `npm run bench -- ${bench}`}\` on ${date.slice(0, 10)}, ${times}, at ${commit}, Node ${node.slice(1)}; ${where}.`
}

const notesOf = ({ notes }: Report): string =>
  Object.entries(notes)
    .map(([what, note]) => `- ${what}: ${note}`)
    .join('\n')

const targetsOf = ({ targets }: Report): string =>
  table(
    ['wanted', 'measured', 'bound', ''],
    targets.map(({ text, measured, wanted, verdict }) => [text, short(measured), `\`${wanted}\``, verdict]),
  )

function cell(rows: readonly Row[], name: string, bytes: number, figure: string): string {
  const row = rows.find(one => one.name === name && one.bytes === bytes)
  return row?.notRun === undefined ? short(middle(rows, name, figure, bytes)) : 'not run'
}

/** The size that most is said of, where it was measured. */
const mainSize = (sizes: readonly number[]): number => (sizes.includes(1_024) ? 1_024 : (sizes[0] ?? 0))

/** Messages a second at the other sizes. */
function otherSizes(rows: readonly Row[]): string[] {
  const sizes = sizesOf(rows)
  const others = sizes.filter(bytes => bytes !== mainSize(sizes))
  if (others.length === 0) return []
  const heads = others.flatMap(bytes => [`${size(bytes)}: messages/s`, 'round trip p50, p99 ms'])
  const lines = namesOf(rows, mainSize(sizes)).map(name => [
    name,
    ...others.flatMap(bytes => {
      const of = (figure: string): string => cell(rows, name, bytes, figure)
      return [of('rate'), `${of('p50')}, ${of('p99')}`]
    }),
  ])
  return [table(['', ...heads], lines)]
}

function peers(report: Report): string[] {
  const { rows } = report
  const bytes = mainSize(sizesOf(rows))
  const heads = [
    'messages/s',
    'of a libp2p stream',
    'round trip p50, p99 ms',
    'of a libp2p stream',
    'µs of processor: ends, server',
  ]
  const lines = namesOf(rows, bytes).map(name => {
    const of = (figure: string): string => cell(rows, name, bytes, figure)
    const share = (figure: string): string => short(ratio(rows, name, CASE.stream, figure, bytes))
    const [sender, recipient] = ['senderCpu', 'recipientCpu'].map(figure => middle(rows, name, figure, bytes))
    const ends = short(sender === undefined || recipient === undefined ? undefined : sender + recipient)
    return [name, of('rate'), share('rate'), `${of('p50')}, ${of('p99')}`, share('p50'), `${ends}, ${of('serverCpu')}`]
  })
  return [table([size(bytes), ...heads], lines), ...otherSizes(rows)]
}

function tabs(report: Report): string[] {
  const { rows } = report
  const bytes = mainSize(sizesOf(rows))
  const heads = [
    'messages/s',
    'of an RTCDataChannel',
    'round trip p50, p99 ms',
    'of a libp2p stream',
    'µs of processor, whole browser',
  ]
  const lines = namesOf(rows, bytes).map(name => {
    const of = (figure: string): string => cell(rows, name, bytes, figure)
    const rate = short(ratio(rows, name, TAB_CASE.channel, 'rate', bytes))
    const trip = short(ratio(rows, name, TAB_CASE.stream, 'p50', bytes))
    return [name, of('rate'), rate, `${of('p50')}, ${of('p99')}`, trip, of('cpu')]
  })
  return [table([size(bytes), ...heads], lines), ...otherSizes(rows)]
}

function workloads({ rows }: Report): string[] {
  const kinds = Object.keys(KINDS) as Kind[]
  const line = (what: string, row: (kind: Kind) => string, figure: string): Cells => [
    what,
    ...kinds.map(kind => short(middle(rows, row(kind), figure))),
  ]
  const lines = [
    line('direct, round trip p50 ms', ROW.direct, 'p50'),
    line('direct, messages/s', ROW.direct, 'rate'),
    ...CREWS.map(crew => line(`orchestration of ${crew}, answers/s`, kind => ROW.crew(crew, kind), 'rate')),
    ...STEP_WORK.flatMap(work =>
      CHAINS.map(steps =>
        line(`chain of ${steps}, ${work} ms of work a step, p50 ms`, kind => chainCase(steps, work, kind), 'p50'),
      ),
    ),
    line('external API called by two, p50 ms', ROW.api, 'p50'),
    line('of it beside the API, ms', ROW.api, 'overhead'),
  ]
  const claims = claimsBeside(rows).map(({ workload, claimed, measured }) => [workload, claimed, measured])
  return [
    table(['', ...kinds.map(kind => KINDS[kind])], lines),
    `What the ${CLAIMED_BY}, claims, in its own words, and what is measured here. It does not say what it measured against.`,
    table(['workload', 'claimed', 'measured here'], claims),
  ]
}

function memory({ rows }: Report): string[] {
  const of = (row: Row, figure: string): number | undefined => row.figures[figure]?.at(-1)
  const costs = rows.filter(({ figures, notRun }) => figures.MiB !== undefined || notRun !== undefined)
  const flat = rows.filter(({ figures }) => figures['sender slope'] !== undefined)
  return [
    table(
      [
        '',
        'sender: MiB at the end, bytes more a message',
        'its process: MiB after a twentieth, at the end',
        'recipient: MiB at the end, bytes more a message',
        'its process: MiB after a twentieth, at the end',
        'messages/s',
      ],
      flat.map(row => {
        const end = (side: string): Cells => [
          `${short(of(row, `${side} heap`))}, ${short(of(row, `${side} slope`))}`,
          `${short(row.figures[`${side} RSS`]?.[0])}, ${short(of(row, `${side} RSS`))}`,
        ]
        return [row.name, ...end('sender'), ...end('recipient'), short(middle(rows, row.name, 'rate'))]
      }),
    ),
    table(
      ['kept, of content', 'MiB', 'of it in the server', 'MiB that the sender’s process grew by', 'ms to open'],
      costs.map(row => {
        const what = `${row.name}, ${size(row.bytes ?? 0)}`
        if (row.notRun !== undefined) return [what, 'not run', '', '']
        return [what, ...['MiB', 'server RSS', 'sender RSS', 'open ms'].map(figure => short(of(row, figure)))]
      }),
    ),
  ]
}

const MAKERS: Readonly<Record<string, (report: Report) => string[]>> = { peers, tabs, workloads, memory }

/** What stands in the README of a run. */
export const partOf = (report: Report): string =>
  [about(report), ...(MAKERS[report.bench]?.(report) ?? []), targetsOf(report), notesOf(report)].join('\n\n')

/** The names of the runs that have a part. */
export const PARTS: readonly string[] = Object.keys(MAKERS)

/** The README with the part of a run between its marks. @throws where it has none */
export function withPart(readme: string, report: Report): string {
  const [begin, end] = [`<!-- bench: ${report.bench} -->`, `<!-- end of bench: ${report.bench} -->`]
  const [before, rest] = readme.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`the README has no place for ${report.bench}`)
  return `${before}${begin}\n\n${partOf(report)}\n\n${end}${after}`
}
