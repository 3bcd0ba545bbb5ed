/** The promises of docs/claims.md and what they name as proof. */

/** One file, folder or contract that is named as proof, with a title of it where one is quoted. */
export interface Proof {
  readonly path: string
  readonly title: string | undefined
  /** In what it has to have run, each of these; empty: in anything. */
  readonly where: readonly Place[]
}

/** What tests run in. */
export const PLACES = ['Node', 'Chromium', 'Firefox'] as const

/** See {@link PLACES}. */
export type Place = (typeof PLACES)[number]

/** Contracts run in the files of those who keep them, so that one is proof only by the titles that are quoted. */
export const isContract = (path: string): boolean => path.startsWith('test/contracts/') || path.endsWith('-contract.ts')

/** One row of the table. */
export interface Promised {
  readonly promise: string
  readonly proofs: readonly Proof[]
}

/** Reads the table. */
export function readPromises(markdown: string): Promised[] {
  const rows = markdown.split('\n').flatMap(line => {
    const [, promise, cell] = /^\| (.+?) \| (.+) \|$/.exec(line) ?? []
    return promise === undefined || cell === undefined || promise === 'promise'
      ? []
      : [{ promise, proofs: readProofs(cell) }]
  })
  return rows
}

/** What the second cell of a row names: files, titles behind them, and behind these what they have to have run in. */
export function readProofs(cell: string): Proof[] {
  const named: { path: string; titles: string[]; where: Place[] }[] = []
  for (const [word, path, title] of cell.matchAll(/`([^`]+)`|"([^"]+)"|\b(?:Node|Chromium|Firefox)\b/g)) {
    if (path !== undefined) {
      if (/^(test|e2e)\//.test(path)) named.push({ path, titles: [], where: [] })
    } else if (title !== undefined) named.at(-1)?.titles.push(title)
    else named.at(-1)?.where.push(word as Place)
  }
  return named.flatMap(({ path, titles, where }): Proof[] =>
    titles.length === 0 ? [{ path, title: undefined, where }] : titles.map(title => ({ path, title, where })),
  )
}
