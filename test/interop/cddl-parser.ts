/**
 * Reads CDDL (RFC 8610), as far as docs/protocol.md uses it: type rules, choices, ranges, arrays, groups in them with
 * occurrences and member keys, tags, and the controls `.size` and `.cbor`. Anything else is an error.
 */

export type Type =
  | { readonly is: 'value'; readonly value: number | string }
  | { readonly is: 'range'; readonly from: number; readonly to: number }
  | { readonly is: 'name'; readonly name: string }
  | { readonly is: 'choice'; readonly types: readonly Type[] }
  | { readonly is: 'array'; readonly group: Group }
  | { readonly is: 'tag'; readonly tag: number; readonly content: Type }
  | { readonly is: 'size' | 'cbor'; readonly target: Type; readonly control: Type }

/** What comes in an array, one after the other. */
export type Group = readonly Entry[]

export interface Entry {
  readonly least: number
  readonly most: number
  /** One item, or several that come together. */
  readonly of: { readonly item: Type } | { readonly group: Group }
}

/** Rules by name, the first one first. */
export type Rules = ReadonlyMap<string, Type>

/** Names that every document has, of those in RFC 8610's appendix D. */
export const PRELUDE: ReadonlySet<string> = new Set([
  ...['any', 'bool', 'bstr', 'bytes', 'false', 'float', 'int', 'null', 'text', 'true', 'tstr', 'uint'],
])

const TOKENS =
  /(?<blank>\s+|;[^\n]*)|(?<text>"[^"\\\n]*")|(?<name>[A-Za-z@_$](?:[-.]*[\w@$])*)|(?<number>-?\d+)|(?<tag>#6\.\d+)|(?<sign>\.\.\.?|\.(?:size|cbor)\b|[=/[\](),:?*+])/y

interface Token {
  readonly kind: string
  readonly text: string
  /** Where a name follows a `=` it begins a rule. */
  readonly at: number
}

/** @throws where something is not what is known here, with the line */
function tokensOf(document: string): Token[] {
  const tokens: Token[] = []
  const pattern = new RegExp(TOKENS)
  for (let at = 0; at < document.length; at = pattern.lastIndex) {
    pattern.lastIndex = at
    const groups = pattern.exec(document)?.groups
    const [kind, text] = Object.entries(groups ?? {}).find(([, found]) => found !== undefined) ?? []
    if (kind === undefined || text === undefined) throw errorAt(document, at, document.slice(at, at + 12))
    if (kind !== 'blank') tokens.push({ kind, text, at })
  }
  return tokens
}

function errorAt(document: string, at: number, what: string): Error {
  return new Error(`CDDL, line ${document.slice(0, at).split('\n').length}: not expected here: ${what}`)
}

/** See the head of this file. @throws for what is not CDDL, is not known here, or names what is not there */
export function parseCddl(document: string): Rules {
  const parser = new Parser(document)
  const rules = parser.rules()
  for (const name of parser.named)
    if (!rules.has(name) && !PRELUDE.has(name)) throw new Error(`CDDL: there is no rule ${name}`)
  return rules
}

class Parser {
  readonly #document: string
  readonly #tokens: readonly Token[]
  #next = 0
  /** Every name that stands for a type somewhere. */
  readonly named = new Set<string>()

  constructor(document: string) {
    this.#document = document
    this.#tokens = tokensOf(document)
  }

  rules(): Rules {
    const rules = new Map<string, Type>()
    while (this.#next < this.#tokens.length) {
      const name = this.#take('name')
      this.#take('=')
      if (rules.has(name) || PRELUDE.has(name)) throw new Error(`CDDL: ${name} is there already`)
      rules.set(name, this.#type())
    }
    return rules
  }

  /** Whether a token is of this kind, or is this sign. */
  #sees(wanted: string, ahead = 0): boolean {
    const token = this.#tokens[this.#next + ahead]
    return token !== undefined && (token.kind === wanted || (token.kind === 'sign' && token.text === wanted))
  }

  #skips(wanted: string): boolean {
    const seen = this.#sees(wanted)
    if (seen) this.#next++
    return seen
  }

  #take(wanted: string): string {
    const token = this.#tokens[this.#next]
    if (token === undefined) throw new Error(`CDDL: it ends where ${wanted} is wanted`)
    if (!this.#sees(wanted)) throw errorAt(this.#document, token.at, `${token.text} instead of ${wanted}`)
    this.#next++
    return token.text
  }

  #type(): Type {
    const first = this.#controlled()
    const types = [first]
    while (this.#skips('/')) types.push(this.#controlled())
    return types.length === 1 ? first : { is: 'choice', types }
  }

  #controlled(): Type {
    const target = this.#simple()
    if (this.#skips('..')) {
      const to = this.#simple()
      const [least, most] = [target, to].map(end => (end.is === 'value' ? end.value : undefined))
      if (typeof least !== 'number' || typeof most !== 'number') throw new Error('CDDL: a range is between numbers')
      return { is: 'range', from: least, to: most }
    }
    if (this.#skips('.size')) return { is: 'size', target, control: this.#simple() }
    if (this.#skips('.cbor')) return { is: 'cbor', target, control: this.#simple() }
    return target
  }

  #simple(): Type {
    if (this.#sees('number')) return { is: 'value', value: Number(this.#take('number')) }
    if (this.#sees('text')) return { is: 'value', value: this.#take('text').slice(1, -1) }
    if (this.#skips('[')) return { is: 'array', group: this.#group(']') }
    if (this.#skips('(')) {
      const type = this.#type()
      this.#take(')')
      return type
    }
    if (this.#sees('tag')) {
      const tag = Number(this.#take('tag').slice('#6.'.length))
      this.#take('(')
      const content = this.#type()
      this.#take(')')
      return { is: 'tag', tag, content }
    }
    const name = this.#take('name')
    this.named.add(name)
    return { is: 'name', name }
  }

  #group(end: string): Group {
    const entries: Entry[] = []
    while (!this.#skips(end)) {
      entries.push(this.#entry())
      if (!this.#skips(',') && !this.#sees(end)) this.#take(end)
    }
    return entries
  }

  #entry(): Entry {
    const [least, most] = this.#occurrence()
    if (this.#skips('(')) return { least, most, of: { group: this.#group(')') } }
    // In an array the name before a colon is there to be read, and means nothing.
    if (this.#sees(':', 1)) {
      this.#take('name')
      this.#take(':')
    }
    return { least, most, of: { item: this.#type() } }
  }

  #occurrence(): [least: number, most: number] {
    if (this.#skips('?')) return [0, 1]
    if (this.#skips('+')) return [1, Number.POSITIVE_INFINITY]
    if (!this.#sees('*') && !(this.#sees('number') && this.#sees('*', 1))) return [1, 1]
    const least = this.#sees('number') ? Number(this.#take('number')) : 0
    this.#take('*')
    return [least, this.#sees('number') ? Number(this.#take('number')) : Number.POSITIVE_INFINITY]
  }
}
