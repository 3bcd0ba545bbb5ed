/** `npm run bench`: what it takes. The benchmarks themselves are no tests. */

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const tool = join(root, '.tools/bench.mjs')

test('A benchmark that there is not, or that is told something else than how much, is refused', () => {
  for (const args of [
    [],
    ['nothing'],
    ['peers', '0'],
    ['peers', 'x'],
    ['peers', '1', '2'],
    ['table', '1'],
    ['adopt'],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, [tool, ...args], { encoding: 'utf8' })
    expect(status, args.join(' ')).toBe(2)
    expect(stderr).toContain('usage: npm run bench -- peers|')
  }
})

test('Every benchmark that can be asked for is a file', () => {
  const files = [...readFileSync(tool, 'utf8').matchAll(/\['[\w-]+', '([\w/.-]+)'\]/g)].map(([, file = '']) => file)
  expect(files.length).toBeGreaterThan(6)
  expect(files.filter(file => !existsSync(join(root, file)))).toEqual([])
})
