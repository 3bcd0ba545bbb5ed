import { createHash } from 'node:crypto'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { sqliteStore } from '../../src/store/sqlite.ts'
import { goldenStores } from './golden-stores-contract.ts'
import { folder } from './golden-world.ts'

/** SHA-256 of each file. */
const DIGESTS: Readonly<Record<string, string>> = {
  'schema-1.db': 'ee8a841db45da3a1e468befa5aaaad32ca9cc9c60b682996e5e8a2fba56bd98c',
  'schema-2-ada.db': '049364e37b007da0509bf7ade07009432dd17dbc8113eb683f45b347e4e68066',
  'schema-2-bob.db': '4f304817ad9d9db7c6711ea3ccbff8b9de93c84b61a759f0fdf72c02ad75c587',
  'schema-4-ada.db': 'c47b8c35a8b7f25b1f65e8ca017062ec3b2f9ee2d4c81a499bbd3c49d14bc275',
  'schema-4-bob.db': '7a48c1b094cc13241301ecff987827bacf36fa9c00a6f3eac4578904f697b984',
  'schema-1.json': 'c5c79b3addd66ae90e18c46b5c001e4dfd0ff77ad1be9a7391a6f63233fa5b10',
  'schema-2-ada.json': '8ae0be47a8c2ea61b4122dcfa11108f3d7e47a0c40388e92801ee6b617e10fc9',
  'schema-2-bob.json': 'b7ceb4e487c2ae614888353fa221c951a3ed375dfb58d0a2b02a43213f9d2ea6',
  'schema-4-ada.json': '4a6a0f98802b3795b30b2a27bccf30a338a896d74f2b0f8d14ea40d602561aae',
  'schema-4-bob.json': '262eeb260245b395554af249af299c61e4a657fe70def97fc483661b6ad70558',
}

const copies = mkdtempSync(join(tmpdir(), 'afp-golden-'))
afterAll(() => rmSync(copies, { recursive: true, force: true }))
let count = 0

test('Every golden store is as it was.', () => {
  const files = readdirSync(folder).filter(file => file !== 'README.md')
  const digest = (file: string): string =>
    createHash('sha256')
      .update(readFileSync(new URL(file, folder)))
      .digest('hex')
  expect(Object.fromEntries(files.map(file => [file, digest(file)]))).toEqual(DIGESTS)
})

goldenStores('SQLite', name => {
  // Opening one changes it: each test has a copy of its own.
  const path = join(copies, `${count++}.db`)
  copyFileSync(new URL(`${name}.db`, folder), path)
  return sqliteStore(path)
})
