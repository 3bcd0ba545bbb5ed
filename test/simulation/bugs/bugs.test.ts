/** That planted bugs fit the sources as they are, and what becomes of one that does not. */

import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { describe, expect, test } from 'vitest'
import { projectFile } from '../../../e2e/fixtures/process.ts'
import { BUGS } from './bugs.ts'
import { type Catch, hunt, isHonest } from './hunt.ts'
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

describe('How a bug is caught', () => {
  const catching = (file: string, find: string, put: string, longest?: number): Promise<Catch | undefined> => {
    const bug = { name: 'here', breaks: 'It.', file, find, put }
    return hunt(bug, { simulations: ['delivery'], from: 1, to: 1, ...(longest && { longest }) })
  }
  const keys = 'const secret = seed === undefined ?'
  const number = 'const { number, prev } = epoch.feed.next(draft.priority)'

  test('is told: one that a run throws is an error, and does not count', async () => {
    const found = await catching('src/identity/keys.ts', keys, `throw new Error('out of order')\n  ${keys}`)
    expect(found).toMatchObject({ kind: 'error', simulation: 'delivery', seed: 1 })
    expect(found?.fault).toContain('it threw: Error: out of order')
    expect(found && isHonest(found)).toBe(false)
  })

  test('is told: one that a checker sees only as code that does not run is an error, and does not count', async () => {
    const found = await catching('src/delivery/outgoing.ts', number, `${number}\n    this.missing.now()`)
    expect(found).toMatchObject({ kind: 'error', simulation: 'delivery', seed: 1 })
    expect(found?.fault).toContain('TypeError')
    expect(found && isHonest(found)).toBe(false)
  })

  test('is told: one that ends the process is a crash, and does not count', async () => {
    const late = `queueMicrotask(() => this.missing.now())\n    ${number}`
    const found = await catching('src/delivery/outgoing.ts', number, late)
    expect(found).toMatchObject({ kind: 'crash', simulation: 'delivery', seed: 1 })
    expect(found && isHonest(found)).toBe(false)
    const gone = await catching('src/delivery/outgoing.ts', number, `process.exit(7)\n    ${number}`)
    expect(gone).toMatchObject({ kind: 'crash', fault: 'its process ended with 7: ' })
  })

  test('is told: one that comes to no end, or takes all memory, is a hang, and counts', async () => {
    const ever = await catching('src/delivery/outgoing.ts', number, `for (;;) {}\n    ${number}`, 2_000)
    expect(ever).toMatchObject({ kind: 'hang', fault: 'it comes to no end in 2000 ms' })
    const all = `const all = []\n    for (;;) all.push(new Array(1_000_000).fill(0))\n    ${number}`
    const full = await catching('src/delivery/outgoing.ts', number, all)
    expect(full).toMatchObject({ kind: 'hang', fault: 'it takes all memory' })
    expect([ever, full].every(found => found && isHonest(found))).toBe(true)
  }, 60_000)

  test('is told: one that a checker sees is a fault, and counts', async () => {
    const found = await hunt(
      BUGS.find(({ name }) => name === 'ack-before-commit'),
      { from: 1, to: 10 },
    )
    expect(found?.kind).toBe('fault')
    expect(found && isHonest(found)).toBe(true)
  })
})

describe('A bug that cannot be planted', () => {
  const [bug] = BUGS as readonly [Bug]

  test('because what it changes is not there, or there twice, is an error', () => {
    expect(() => edited('a b', { file: 'x.ts', find: 'c', put: '' })).toThrow('nothing to change in x.ts: c')
    expect(() => edited('a b', { file: 'x.ts', find: '', put: '' })).toThrow('nothing to change in x.ts')
    expect(() => edited('a a', { file: 'x.ts', find: 'a', put: '' })).toThrow('there more than once in x.ts: a')
  })

  test('because no simulation that is run loads its source, is an error', async () => {
    await expect(hunt(bug, { simulations: [], from: 1, to: 1 })).rejects.toThrow(`no simulation loads`)
  })
})
