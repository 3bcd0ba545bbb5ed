/** What docs/claims.md names as proof exists: each file, and in it each title that is quoted. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

/** The promises of the table, each with what stands in its second cell. */
function promisesIn(markdown: string): [promise: string, proof: string][] {
  const rows = markdown.split('\n').flatMap(line => {
    const cells = /^\| (.+?) \| (.+) \|$/.exec(line)
    return cells === null ? [] : [[cells[1] ?? '', cells[2] ?? ''] as [string, string]]
  })
  return rows.filter(([promise]) => promise !== 'promise')
}

/** The text of a file, or of every file in a folder. */
function textOf(path: string): string {
  const full = join(root, path)
  if (!statSync(full).isDirectory()) return readFileSync(full, 'utf8')
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
}

/** What is wrong with a proof. */
function faultsOf(proof: string): string[] {
  const faults: string[] = []
  let files = 0
  let text = ''
  for (const [, path, title] of proof.matchAll(/`([^`]+)`|"([^"]+)"/g)) {
    if (path?.startsWith('test/') || path?.startsWith('e2e/')) {
      files++
      if (existsSync(join(root, path))) text = textOf(path)
      else faults.push(`${path} does not exist`)
    } else if (title !== undefined && !text.includes(title)) {
      faults.push(`"${title}" is not a title of the file before it`)
    }
  }
  return files === 0 ? [...faults, 'no test is named'] : faults
}

const promises = promisesIn(readFileSync(join(root, 'docs/claims.md'), 'utf8'))

describe('the claims', () => {
  test('are read from the table, and a proof that is not there is seen', () => {
    expect(promises.length).toBeGreaterThan(20)
    expect(faultsOf('`test/claims.test.ts` "are read from the table"')).toEqual([])
    expect(faultsOf('`test/nothing.test.ts`')).toEqual(['test/nothing.test.ts does not exist'])
    expect(faultsOf('`test/floors.test.ts` "no such title"')).toHaveLength(1)
    expect(faultsOf('somebody said so')).toEqual(['no test is named'])
  })

  test.each(promises)('%s', (_promise, proof) => {
    expect(faultsOf(proof)).toEqual([])
  })
})
