/** The promises of docs/claims.md and what they name as proof. */

/** One file, folder or contract that is named as proof, with a title of it where one is quoted. */
export interface Proof {
  readonly path: string
  readonly title: string | undefined
}

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

/** What the second cell of a row names. */
export function readProofs(cell: string): Proof[] {
  const proofs: Proof[] = []
  let named: string | undefined
  let quoted = false
  const whole = (): void => {
    if (named !== undefined && !quoted) proofs.push({ path: named, title: undefined })
  }
  for (const [, path, title] of cell.matchAll(/`([^`]+)`|"([^"]+)"/g)) {
    if (path !== undefined && /^(test|e2e)\//.test(path)) {
      whole()
      named = path
      quoted = false
    } else if (title !== undefined && named !== undefined) {
      quoted = true
      proofs.push({ path: named, title })
    }
  }
  whole()
  return proofs
}
