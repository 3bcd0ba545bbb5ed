import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeFolder } from '../../src/store/folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'afp-folder-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('A folder', () => {
  test('is made with what is missing above it, for its owner only, and stays as it is', () => {
    const deep = join(folder, 'a', 'b')
    makeFolder(deep)
    writeFileSync(join(deep, 'file'), '')
    makeFolder(deep)
    for (const path of [join(folder, 'a'), deep]) expect(statSync(path).mode & 0o777).toBe(0o700)
    expect(readdirSync(deep)).toEqual(['file'])
  })

  test('is not made below a file', () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    expect(() => makeFolder(join(file, 'a', 'b'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }))
  })
})

test.each([
  ['sqliteStore', '../../src/store/sqlite.ts'],
  ['fileIdentity', '../../src/identity/file.ts'],
])('%s fails, and ends, where no folder can be made in the one that is there', async (name, file) => {
  // In a process of its own: Node's own recursive way would hold up the thread that looks.
  const script = `
    import { rmdirSync } from 'node:fs'
    import { ${name} } from '${new URL(file, import.meta.url)}'
    process.chdir(process.argv[1])
    rmdirSync(process.argv[1])
    await ${name}('./none/at-all').catch(({ name, code, reference }) => console.log(name, code, reference))`
  const gone = join(folder, 'gone')
  makeFolder(gone)
  const args = ['--conditions=afp-source', '--input-type=module', '--eval', script, gone]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 4_000,
    killSignal: 'SIGKILL',
  })
  const [said, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'close')])
  expect({ said, code, signal }).toEqual({
    said: 'AfpDataStoreError STORE_FAILED ./none/at-all\n',
    code: 0,
    signal: null,
  })
  expect(existsSync(gone)).toBe(false)
})
