/** `npm run soak -- adopt FILE...`: keeps what long runs wrote, and makes the page that shows it. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFile } from '../../e2e/fixtures/process.ts'
import { keptAs, pageOf, type SoakReport } from './page.ts'

const folder = projectFile('test/soak/results')

/** What is kept, in the order in which it is shown. */
export const keptReports = (): SoakReport[] =>
  readdirSync(folder)
    .toSorted(new Intl.Collator('en', { numeric: true }).compare)
    .map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')) as SoakReport)

if (import.meta.main) {
  for (const file of process.argv.slice(2)) {
    const text = readFileSync(file, 'utf8')
    const report = JSON.parse(text) as SoakReport
    if (/changed/.test(report.commit)) throw new Error(`${file} is of what is in no commit: ${report.commit}`)
    writeFileSync(join(folder, keptAs(report)), text)
  }
  const path = projectFile('docs/soaks.md')
  writeFileSync(path, pageOf(keptReports()))
  console.log(path)
}
