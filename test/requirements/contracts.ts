/** Which test files run a contract: those that import a suite of it, or of a contract that does. */

import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, sep } from 'node:path'
import { isContract } from './promises.ts'

/** What registers tests: exported, and returns nothing. What a contract exports besides is tools. */
const SUITE = /^export function (\w+)\((?:[^()]|\([^()]*\))*\): void \{/gm

/** Both forms: some pages have to be made poor before anything is loaded. */
const IMPORTS = [/^import \{([^}]*)\} from '(\.[^']*)'/gm, /^const \{([^}]*)\} = await import\('(\.[^']*)'\)/gm]

/** Texts of files by their path in the repository. */
export type Sources = ReadonlyMap<string, string>

/** Everything in `test/`. */
export function readTests(root: string): Sources {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  const paths = files.filter(file => file.endsWith('.ts')).map(file => posix.join('test', file.split(sep).join('/')))
  return new Map(paths.map(path => [path, readFileSync(join(root, path), 'utf8')]))
}

/** The test files that run a contract. */
export function runnersOf(contract: string, sources: Sources): ReadonlySet<string> {
  const suites = new Set([...(sources.get(contract) ?? '').matchAll(SUITE)].map(([, name = '']) => name))
  const runners = new Set<string>()
  for (const [path, text] of sources) {
    if (path === contract || !imports(path, text, contract).some(name => suites.has(name))) continue
    if (!isContract(path)) runners.add(path)
    else for (const runner of runnersOf(path, sources)) runners.add(runner)
  }
  return runners
}

/** The names that a file imports from another as values. */
function imports(path: string, text: string, from: string): string[] {
  return IMPORTS.flatMap(form => [...text.matchAll(form)]).flatMap(([, names = '', to = '']) =>
    posix.join(posix.dirname(path), to) === from ? names.split(',').map(name => name.trim()) : [],
  )
}
