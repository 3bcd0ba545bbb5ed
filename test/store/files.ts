/** A folder of its own for each test, and paths in it. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'

let files = 0

/** The folder of the test that is under way. */
export let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'afp-store-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A path at which there is nothing yet. */
export const newPath = (): string => join(folder, `${files++}.db`)
