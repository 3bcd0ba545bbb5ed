/** What docs/claims.md names as proof exists: each file, and in it each title that is quoted. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isContract, type Proof, readPromises, readProofs } from './requirements/promises.ts'

const root = join(import.meta.dirname, '..')

/** The text of a file, or of every file in a folder. */
function textOf(path: string): string {
  const full = join(root, path)
  if (!statSync(full).isDirectory()) return readFileSync(full, 'utf8')
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
}

/** What is wrong with the proof of a promise. Whether the tests ran and passed is looked at when all have run. */
function faultsOf(proofs: readonly Proof[]): string[] {
  if (proofs.length === 0) return ['no test is named']
  return proofs.flatMap(({ path, title }) => {
    if (!existsSync(join(root, path))) return [`${path} does not exist`]
    if (title === undefined && isContract(path)) return [`no title of ${path} is quoted`]
    return title === undefined || textOf(path).includes(title) ? [] : [`"${title}" is not a title of ${path}`]
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
    expect(faults('`test/contracts/store.ts`, keys')).toEqual(['no title of test/contracts/store.ts is quoted'])
    expect(faults('somebody said so')).toEqual(['no test is named'])
  })

  test.each(promises)('$promise', ({ proofs }) => {
    expect(faultsOf(proofs)).toEqual([])
  })
})
