/** `npm run soak -- planted`: what it runs, writes and exits with. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Catch, CatchKind } from '../simulation/bugs/hunt.ts'
import type { Bug } from '../simulation/bugs/plant.ts'
import { planted } from '../soak/planted.ts'

let folder: string
let out: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'planted-'))
  out = join(folder, 'report.json')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const tool = join(import.meta.dirname, '../../.tools/soak.mjs')
const report = (): unknown => JSON.parse(readFileSync(out, 'utf8'))

const TWENTY = Array.from(
  { length: 20 },
  (_, i): Bug => ({ name: `bug ${i}`, breaks: 'It.', file: '', find: '', put: '' }),
)
const caught = (seed: number): Catch => ({ kind: 'fault', simulation: 'delivery', seed, fault: 'lost\nand more' })

describe('A soak with planted bugs', () => {
  test('says by what, and after how many seeds, one is caught', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [tool, 'planted', '--only', 'ack-before-commit', '--seeds', '10', '--out', out],
      { encoding: 'utf8' },
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/ack-before-commit +(delivery|hostile) +\d+ +fault /)
    expect(report()).toMatchObject({
      name: 'planted',
      commit: expect.stringMatching(/^[0-9a-f]{7,}/),
      machine: expect.stringContaining('GiB'),
      seeds: 10,
      part: 1,
      results: [
        { name: 'ack-before-commit', caught: true, kind: 'fault', seed: expect.any(Number), fault: expect.any(String) },
      ],
    })
  })

  test.each([
    [19, 0],
    [18, 1],
  ])('of which %i of 20 are caught exits with %i', async (count, code) => {
    const hunts = async (bug: Bug | undefined) =>
      bug !== undefined && TWENTY.indexOf(bug) < count ? caught(3) : undefined
    expect(await planted(['--seeds', '7', '--jobs', '3', '--out', out], TWENTY, hunts)).toBe(code)
    const missed = { name: 'bug 19', breaks: 'It.', caught: false }
    expect(report()).toMatchObject({ part: count / 20, control: { seeds: 7 } })
    expect((report() as { results: unknown[] }).results.at(-1)).toEqual(missed)
  })

  test.each<[CatchKind, number]>([
    ['fault', 0],
    ['hang', 0],
    ['error', 1],
    ['crash', 1],
  ])('counts what is seen by a %s, or not: it exits with %i', async (kind, code) => {
    const told = vi.spyOn(console, 'log')
    const hunts = async (bug: Bug | undefined) => (bug === undefined ? undefined : { ...caught(3), kind })
    expect(await planted(['--out', out], TWENTY, hunts)).toBe(code)
    const results = TWENTY.map(({ name, breaks }) => ({ ...caught(3), name, breaks, kind, caught: code === 0 }))
    expect(report()).toMatchObject({ part: 1 - code, results, control: { seeds: code === 0 ? 3 : 200 } })
    const line = told.mock.calls.map(String).find(all => all.startsWith('bug 7 '))
    expect(line?.split(/ {2,}/)).toEqual([
      'bug 7',
      code === 0 ? 'delivery' : 'nobody',
      code === 0 ? '3' : '200',
      kind,
      'lost',
    ])
  })

  test('fails where simulations find something with none planted, in as many seeds as were needed', async () => {
    let asked = 0
    const hunts = async (bug: Bug | undefined, to: number) => {
      if (bug === undefined) asked = to
      return caught(bug === undefined ? 1 : TWENTY.indexOf(bug) + 1)
    }
    expect(await planted(['--out', out], TWENTY, hunts)).toBe(1)
    expect(asked).toBe(20)
    expect(report()).toMatchObject({ part: 1, control: { seeds: 20, simulation: 'delivery', seed: 1 } })
  })

  test('that are none, and options that are none, are refused', () => {
    for (const args of [
      ['--only', 'nothing'],
      ['--seeds', '0'],
      ['--jobs', 'two'],
      ['--minutes', '1'],
    ]) {
      const { status, stderr } = spawnSync(process.execPath, [tool, 'planted', ...args], { encoding: 'utf8' })
      expect(status).toBe(2)
      expect(stderr).toContain('[--only NAME]... [--seeds N] [--jobs N] [--out FILE]')
    }
  })
})
