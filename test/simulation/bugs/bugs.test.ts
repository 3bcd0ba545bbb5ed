/** That planted bugs fit the sources as they are, and what becomes of one that does not. */

import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { describe, expect, test } from 'vitest'
import { projectFile } from '../../../e2e/fixtures/process.ts'
import { BUGS } from './bugs.ts'
import { hunt } from './hunt.ts'
import { type Bug, edited, editsOf } from './plant.ts'
import { SIMULATIONS } from './simulations.ts'

describe('Each planted bug', () => {
  test.each(BUGS)('fits its source, which can be read with it: $name', bug => {
    const sources = new Map<string, string>()
    for (const edit of editsOf(bug)) {
      const source = sources.get(edit.file) ?? readFileSync(projectFile(edit.file), 'utf8')
      const changed = edited(source, edit)
      expect(changed).not.toBe(source)
      sources.set(edit.file, changed)
    }
    for (const [file, source] of sources) {
      expect(file).toMatch(/^src\//)
      expect(stripTypeScriptTypes(source)).not.toBe('')
    }
    expect(bug.breaks).toMatch(/^[A-Z].*\.$/)
    for (const name of bug.by ?? []) expect([...SIMULATIONS.keys()]).toContain(name)
  })

  test('has a name of its own, and there are at least 24', () => {
    expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length)
    expect(BUGS.length).toBeGreaterThanOrEqual(24)
  })
})

describe('A bug that cannot be planted', () => {
  const [bug] = BUGS as readonly [Bug]

  test('because what it changes is not there, or there twice, is an error', () => {
    expect(() => edited('a b', { file: 'x.ts', find: 'c', put: '' })).toThrow('nothing to change in x.ts: c')
    expect(() => edited('a b', { file: 'x.ts', find: '', put: '' })).toThrow('nothing to change in x.ts')
    expect(() => edited('a a', { file: 'x.ts', find: 'a', put: '' })).toThrow('there more than once in x.ts: a')
  })

  test('because nobody knows its name, is an error', async () => {
    const unknown = hunt({ ...bug, name: 'unheard-of' }, { from: 1, to: 1 })
    await expect(unknown).rejects.toThrow('there is no bug with the name unheard-of')
  })

  test('because no simulation that is run loads its source, is an error', async () => {
    await expect(hunt(bug, { simulations: [], from: 1, to: 1 })).rejects.toThrow(`no simulation loads`)
  })
})
