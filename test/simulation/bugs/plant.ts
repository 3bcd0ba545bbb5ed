/**
 * Planted bugs: mistakes that a real engineer could make, put into the sources as a process loads them. Nothing of them is
 * in the sources themselves, nor in the package.
 */

import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import { projectFile } from '../../../e2e/fixtures/process.ts'

/** A change to one source. */
export interface Edit {
  /** From the project's root. */
  readonly file: string
  /** What is there, exactly once. */
  readonly find: string
  /** What is put in its place. */
  readonly put: string
}

/** See the head of this file. */
export interface Bug extends Edit {
  readonly name: string
  /** What it breaks, in a sentence. */
  readonly breaks: string
  /** More that belongs to it, after the first one. */
  readonly also?: readonly Edit[]
  /** The simulations that are to find it. Default: those that are usual, see `simulations.ts`. */
  readonly by?: readonly string[]
}

/** The variable that has the bug to be planted in a process, as JSON. */
export const PLANTED = 'AFP_PLANTED'

export const editsOf = (bug: Bug): readonly Edit[] => [bug, ...(bug.also ?? [])]

/** A source with a change. @throws Error unless what is to be replaced is there exactly once */
export function edited(source: string, { file, find, put }: Edit): string {
  const at = source.indexOf(find)
  if (find === '' || at < 0) throw new Error(`nothing to change in ${file}: ${find}`)
  if (source.indexOf(find, at + 1) >= 0) throw new Error(`there more than once in ${file}: ${find}`)
  return source.slice(0, at) + put + source.slice(at + find.length)
}

/** Plants a bug in all that this process loads from here on; returns what tells the sources that were not loaded yet. */
export function plant(bug: Bug): () => string[] {
  const edits = Map.groupBy(editsOf(bug), ({ file }) => pathToFileURL(projectFile(file)).href)
  const left = new Set(edits.keys())
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context)
      const mine = edits.get(url)
      if (mine === undefined) return loaded
      left.delete(url)
      return { ...loaded, source: mine.reduce(edited, String(loaded.source)) }
    },
  })
  return () => [...left]
}
