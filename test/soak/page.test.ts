import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { projectFile } from '../../e2e/fixtures/process.ts'
import { scarce } from '../simulation/mesh/floors.ts'
import { keptReports } from './adopt.ts'
import { keptAs, pageOf, type SoakReport } from './page.ts'

const origin = { date: '2026-11-23T00:00:00Z', commit: 'abc', node: 'v24.0.0', machine: 'a machine' }

describe('The page of long runs', () => {
  it('shows what is kept of them', () => {
    expect(readFileSync(projectFile('docs/soaks.md'), 'utf8')).toBe(pageOf(keptReports()))
  })

  it('shows meshes in which enough happened', () => {
    const meshes = keptReports().filter(({ name }) => name === 'mesh')
    expect(meshes).not.toEqual([])
    for (const { counters = {}, seeds } of meshes as {
      counters?: Record<string, number>
      seeds: { count: number }
    }[]) {
      expect(scarce(counters, seeds.count)).toEqual([])
      expect(scarce({ ...counters, heard: 0 }, seeds.count)).toHaveLength(1)
    }
  })

  it('shows faults, and which bugs were not caught', () => {
    const reports: SoakReport[] = [
      {
        ...origin,
        name: 'mesh',
        seeds: { from: 1, to: 9, count: 9 },
        seconds: 1,
        faults: ['a'],
        counters: { sent: 5 },
      },
      {
        ...origin,
        name: 'planted',
        seeds: 200,
        seconds: 1,
        results: [
          { name: 'a', breaks: 'A.', caught: true, simulation: 'mesh', seed: 3 },
          { name: 'b', breaks: 'B.', caught: false },
        ] as never,
        control: { seeds: 200, fault: 'something' },
      },
    ]
    const page = pageOf(reports)
    expect(page).toContain('| mesh | 1 to 9 | 1 | 5 | 0 | 1 |')
    expect(page).toContain('1 of 2 are caught; with none planted something is found in 200 seeds')
    expect(page).toContain('| `a` | A. | mesh | 3 |')
    expect(page).toContain('| `b` | B. | not caught | in 200 |')
    expect(reports.map(keptAs)).toEqual(['mesh-1.json', 'planted.json'])
  })
})
