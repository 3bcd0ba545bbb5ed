/** That planted bugs mean something in the sources as they are: one that names what is not there any more would only crash. */

import { readFileSync } from 'node:fs'
import { API, type Project } from 'typescript/unstable/sync'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { projectFile } from '../../../e2e/fixtures/process.ts'
import { BUGS } from './bugs.ts'
import { type Bug, type Edit, edited, editsOf } from './plant.ts'

/** What stands for a file, by its path. */
const sources = new Map<string, string>()
let api: API

beforeAll(() => {
  api = new API({ cwd: projectFile('.'), fs: { readFile: path => sources.get(path) } })
  projectOf(api.updateSnapshot({ openProjects: [projectFile('tsconfig.json')] }).getProjects())
}, 60_000)
afterAll(() => api.close())

function projectOf(projects: readonly Project[]): Project {
  expect(projects).toHaveLength(1)
  return projects[0] as Project
}

/** What the compiler says of the sources that these edits change, each after its path. */
function saidOf(edits: readonly Edit[]): string[] {
  const before = [...sources.keys()]
  sources.clear()
  for (const edit of edits) {
    const path = projectFile(edit.file)
    sources.set(path, edited(sources.get(path) ?? readFileSync(path, 'utf8'), edit))
  }
  const snapshot = api.updateSnapshot({ fileChanges: { changed: [...before, ...sources.keys()] } })
  const { program } = projectOf(snapshot.getProjects())
  expect(program.getSourceFileNames()).toEqual(expect.arrayContaining([...sources.keys()]))
  const said = edits
    .map(({ file }) => file)
    .filter((file, at, all) => all.indexOf(file) === at)
    .flatMap(file => {
      const path = projectFile(file)
      const all = [...program.getSyntacticDiagnostics(path), ...program.getSemanticDiagnostics(path)]
      return all.map(({ text }) => `${file}: ${text}`)
    })
  snapshot.dispose()
  return said
}

const filesOf = (bug: Bug): string[] => editsOf(bug).map(({ file }) => file)

/** As few sets of bugs as may be, each of bugs that are in different files: a program can have all of a set. */
function sets(): Bug[][] {
  const all: Bug[][] = []
  for (const bug of BUGS) {
    const files = filesOf(bug)
    const free = all.find(set => !set.some(other => filesOf(other).some(file => files.includes(file))))
    if (free === undefined) all.push([bug])
    else free.push(bug)
  }
  return all
}

describe('The types of the sources', () => {
  test('hold with each planted bug', () => {
    const said = sets().flatMap(set =>
      saidOf(set.flatMap(editsOf)).map(what => {
        const bug = set.find(bug => filesOf(bug).some(file => what.startsWith(`${file}: `)))
        return `${bug?.name}: ${what}`
      }),
    )
    expect(said).toEqual([])
  })

  test('do not with one that names what is not there, and hold again after it', () => {
    const file = 'src/delivery/outgoing.ts'
    const edit = { file, find: 'this.#recorder.close()' }
    const missing = "Property 'shut' does not exist on type 'Recorder'."
    expect(saidOf([{ ...edit, put: 'this.#recorder.shut()' }])).toEqual([`${file}: ${missing}`])
    expect(saidOf([{ ...edit, put: 'this.#recorder.close(' }])[0]).toContain('expected.')
    expect(saidOf([{ ...edit, put: 'void this.#recorder.close()' }])).toEqual([])
  })
})
