/** `npm run soak`: what it runs, writes and exits with. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { soak } from '../soak/soak.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'soak-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const tool = join(import.meta.dirname, '../../.tools/soak.mjs')
const run = (...args: string[]) => spawnSync(process.execPath, [tool, ...args], { encoding: 'utf8' })
const report = (out: string): unknown => JSON.parse(readFileSync(out, 'utf8'))

describe('A soak', () => {
  test('of delivery runs the seeds that are asked for, and says where and what', () => {
    const out = join(folder, 'deep/report.json')
    const { status, stdout, stderr } = run('delivery', '--from', '2', '--to', '3', '--out', out)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(out)
    expect(report(out)).toMatchObject({
      name: 'delivery',
      commit: expect.stringMatching(/^[0-9a-f]{7,}/),
      node: process.version,
      machine: expect.stringContaining('GiB'),
      seeds: { from: 2, to: 3, count: 2 },
      faults: [],
      counters: { sent: expect.any(Number), crashes: expect.any(Number) },
    })
  })

  test('of meshes runs in plain Node, and writes what happens with a seed', () => {
    const file = join(folder, 'timeline/2.jsonl')
    const { status, stdout, stderr } = run('mesh', '--timeline', '2', file)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(file)
    const [first] = readFileSync(file, 'utf8').split('\n')
    expect(JSON.parse(first ?? '')).toEqual({ at: 0, who: 'relay0', what: 'boot' })
    expect(run('mesh', '--timeline', 'two').status).toBe(2)
  })

  test('names the seeds with faults, whether they were found or thrown, and fails', async () => {
    const out = join(folder, 'report.json')
    const simulate = async (seed: number) => {
      if (seed === 2) throw new Error('broken')
      return { faults: seed === 3 ? ['lost'] : [], counters: { sent: seed } }
    }
    expect(await soak('delivery', simulate, ['--to', '4', '--out', out])).toBe(1)
    const broken = expect.stringContaining('broken')
    expect(report(out)).toMatchObject({
      seeds: { from: 1, to: 4, count: 4 },
      faults: [
        { seed: 2, faults: [broken] },
        { seed: 3, faults: ['lost'] },
      ],
      counters: { sent: 8 },
    })
  })

  test('of kills is refused options that are none, and says which there are', () => {
    for (const args of [
      ['--cycles', '0'],
      ['--party', 'nobody'],
      ['--seed', 'x'],
      ['--minutes', '-1'],
      ['--from', '1'],
    ]) {
      const { status, stderr } = run('kills', ...args)
      expect(status).toBe(2)
      expect(stderr).toContain('[--party sender|recipient|relay|all|each]')
    }
    expect(run('chromium-kills', '--cycles', 'x')).toMatchObject({ status: 2 })
  })

  test('ends with the minutes', async () => {
    const out = join(folder, 'report.json')
    const simulate = async () => ({ faults: [], counters: {} })
    expect(await soak('delivery', simulate, ['--minutes', '0.0001', '--out', out])).toBe(0)
  })

  test('of nothing, and with options that are none, is refused', () => {
    for (const args of [[], ['nothing'], ['delivery', '--to', '0'], ['delivery', '--from', '2', '--to', '1']]) {
      const { status, stderr } = run(...args)
      expect(status).toBe(2)
      expect(stderr).toContain('[--from N] [--to N] [--minutes M] [--out FILE]')
    }
  })
})
