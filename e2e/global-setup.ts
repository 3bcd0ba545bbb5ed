/** Builds the pages once, as they would be published, into a folder that goes when the suite ends. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildPage } from './fixtures/build.ts'

export default async function setUp(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'afp-e2e-'))
  const pages = { AFP_E2E_PAGE: 'e2e/page', AFP_E2E_DEMO: 'demo' }
  for (const [variable, source] of Object.entries(pages)) {
    const built = join(folder, variable)
    await buildPage(source, built)
    // Workers inherit the environment.
    process.env[variable] = built
  }
  return () => rm(folder, { recursive: true })
}
