/** What docs/claims.md names as proof exists: each file, and in it the titles that are quoted. Nothing is proof as a whole. */

import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Proof, readPromises, readProofs } from './requirements/promises.ts'

const root = join(import.meta.dirname, '..')

/** What is wrong with the proof of a promise. Whether the tests ran and passed is looked at when all have run. */
function faultsOf(proofs: readonly Proof[]): string[] {
  if (proofs.length === 0) return ['no test is named']
  return proofs.flatMap(({ path, title }) => {
    const full = join(root, path)
    if (!existsSync(full)) return [`${path} does not exist`]
    if (!statSync(full).isFile()) return [`${path} is no file`]
    if (title === undefined) return [`no title of ${path} is quoted`]
    if (/%[a-z]/i.test(title)) return [`"${title}" has a place that is filled in: no test that ran has that title`]
    return readFileSync(full, 'utf8').includes(title) ? [] : [`"${title}" is not a title of ${path}`]
  })
}

const promises = readPromises(readFileSync(join(root, 'docs/claims.md'), 'utf8'))

describe('the claims', () => {
  test('are read from the table, and a proof that is not there is seen', () => {
    expect(promises.length).toBeGreaterThan(20)
    const faults = (cell: string): string[] => faultsOf(readProofs(cell))
    expect(faults('`test/claims.test.ts` "are read from the table"')).toEqual([])
    expect(faults('`test/nothing.test.ts`')).toEqual(['test/nothing.test.ts does not exist'])
    expect(faults('`test/floors.test.ts` "no such title"')).toHaveLength(1)
    expect(faults('`test/network/frames.test.ts` "a length of %s is a fault"')).toHaveLength(1)
    expect(faults('`test/contracts/store.ts`, keys')).toEqual(['no title of test/contracts/store.ts is quoted'])
    expect(faults('`test/floors.test.ts`; `e2e/kills.spec.ts` "a browser"')).toEqual([
      'no title of test/floors.test.ts is quoted',
    ])
    expect(faults('`test/security` "an opening"')).toEqual(['test/security is no file'])
    expect(faults('somebody said so')).toEqual(['no test is named'])
  })

  test.each(promises)('$promise', ({ proofs }) => {
    expect(faultsOf(proofs)).toEqual([])
  })
})
