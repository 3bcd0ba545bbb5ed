/**
 * Arithmetic in text, parsed by recursive descent: nothing is ever evaluated as code.
 *
 *     sum     = product { ("+" | "-") product }
 *     product = power { ("*" | "/" | "mod" | "of") power }
 *     power   = sign [ "^" power ]                        right-associative; -2^2 is -4
 *     sign    = { "+" | "-" } postfix
 *     postfix = atom { "%" | "!" }                        50% is 0.5
 *     atom    = number | constant | function "(" sum { "," sum } ")" | "(" sum ")"
 */

/** Longest expression, in characters. */
export const MAX_EXPRESSION = 256

/** Deepest nesting of parentheses, signs and powers. */
const MAX_DEPTH = 64

/** An expression that cannot be read or has no value; the message says where. */
export class ExpressionError extends Error {
  override readonly name: string = 'ExpressionError'
}

/** An expression that can be read but has no value, such as a division by zero. */
export class NoValueError extends ExpressionError {
  override readonly name = 'NoValueError'
}

type Token = { readonly kind: 'number' | 'word' | 'mark' | 'end'; readonly text: string; readonly at: number }

const constants = new Map([
  ['pi', Math.PI],
  ['π', Math.PI],
  ['tau', 2 * Math.PI],
  ['e', Math.E],
])

const functions = new Map<string, (...values: number[]) => number>([
  ['sqrt', Math.sqrt],
  ['cbrt', Math.cbrt],
  ['abs', Math.abs],
  ['round', Math.round],
  ['floor', Math.floor],
  ['ceil', Math.ceil],
  ['sin', Math.sin],
  ['cos', Math.cos],
  ['tan', Math.tan],
  ['exp', Math.exp],
  ['ln', Math.log],
  ['log', Math.log10],
  ['log2', Math.log2],
])

const variadic = new Map<string, (...values: number[]) => number>([
  ['min', Math.min],
  ['max', Math.max],
  ['hypot', Math.hypot],
])

/** Signs that people and keyboards use for the plain ones. */
const spellings = new Map([
  ['×', '*'],
  ['·', '*'],
  ['÷', '/'],
  ['−', '-'],
  ['–', '-'],
])

const lexeme =
  /\s*(?:(?<number>(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)|(?<word>[a-zπ]+\d?)|(?<mark>\*\*|[-+*/^%!(),×·÷−–]))/iy

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  lexeme.lastIndex = 0
  const end = text.trimEnd().length
  while (lexeme.lastIndex < end) {
    const from = lexeme.lastIndex
    const groups = lexeme.exec(text)?.groups
    if (groups === undefined) throw new ExpressionError(`I cannot read “${text.slice(from).trim().slice(0, 12)}”`)
    const at = from + 1
    if (groups.number !== undefined) tokens.push({ kind: 'number', text: groups.number, at })
    else if (groups.word !== undefined) tokens.push({ kind: 'word', text: groups.word.toLowerCase(), at })
    else {
      const mark = groups.mark ?? ''
      tokens.push({ kind: 'mark', text: mark === '**' ? '^' : (spellings.get(mark) ?? mark), at })
    }
  }
  tokens.push({ kind: 'end', text: '', at: end + 1 })
  return tokens
}

class Parser {
  readonly #tokens: Token[]
  #next = 0
  #depth = 0

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  all(): number {
    const value = this.#sum()
    if (this.#token.kind !== 'end') throw this.#unexpected()
    return value
  }

  get #token(): Token {
    return this.#tokens[this.#next] as Token
  }

  #take(...texts: string[]): string | undefined {
    const { kind, text } = this.#token
    if (kind === 'number' || !texts.includes(text)) return undefined
    this.#next++
    return text
  }

  #unexpected(): ExpressionError {
    const { kind, text, at } = this.#token
    return new ExpressionError(
      kind === 'end' ? 'Something is missing at the end' : `I did not expect “${text}” at ${at}`,
    )
  }

  #deeper<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new ExpressionError(`Nested deeper than ${MAX_DEPTH}`)
    const value = parse()
    this.#depth--
    return value
  }

  #sum(): number {
    let value = this.#product()
    for (let sign = this.#take('+', '-'); sign !== undefined; sign = this.#take('+', '-')) {
      const right = this.#product()
      value = sign === '+' ? value + right : value - right
    }
    return value
  }

  #product(): number {
    let value = this.#sign()
    for (;;) {
      const sign = this.#take('*', '/', 'mod', 'of')
      if (sign === undefined) return value
      const right = this.#sign()
      if ((sign === '/' || sign === 'mod') && right === 0) throw new NoValueError('Nothing can be divided by zero')
      if (sign === '/') value /= right
      else if (sign === 'mod') value %= right
      else value *= right
    }
  }

  #sign(): number {
    const sign = this.#take('+', '-')
    if (sign === undefined) return this.#power()
    const value = this.#deeper(() => this.#sign())
    return sign === '-' ? -value : value
  }

  #power(): number {
    const base = this.#postfix()
    if (this.#take('^') === undefined) return base
    return base ** this.#deeper(() => this.#sign())
  }

  #postfix(): number {
    let value = this.#atom()
    for (let mark = this.#take('%', '!'); mark !== undefined; mark = this.#take('%', '!')) {
      value = mark === '%' ? value / 100 : factorial(value)
    }
    return value
  }

  #atom(): number {
    const token = this.#token
    if (token.kind === 'number') {
      this.#next++
      return Number(token.text)
    }
    if (this.#take('(') !== undefined) return this.#inside()[0] as number
    if (token.kind !== 'word') throw this.#unexpected()
    const constant = constants.get(token.text)
    const single = functions.get(token.text)
    const several = variadic.get(token.text)
    if (constant === undefined && single === undefined && several === undefined) {
      throw new ExpressionError(`I do not know “${token.text}”`)
    }
    this.#next++
    if (constant !== undefined) return constant
    if (this.#take('(') === undefined) throw new ExpressionError(`“${token.text}” needs parentheses`)
    const values = this.#inside(several === undefined ? 1 : 16)
    return (single ?? several ?? Number)(...values)
  }

  /** What stands between an opening parenthesis, already taken, and its closing one. */
  #inside(most = 1): number[] {
    const values = [this.#deeper(() => this.#sum())]
    while (this.#take(',') !== undefined) values.push(this.#deeper(() => this.#sum()))
    if (values.length > most) throw new ExpressionError(`Too many values between the parentheses`)
    if (this.#take(')') === undefined) {
      throw this.#token.kind === 'end' ? new ExpressionError('A parenthesis is not closed') : this.#unexpected()
    }
    return values
  }
}

function factorial(value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 170)
    throw new NoValueError('! takes whole numbers from 0 to 170')
  let product = 1
  for (let factor = 2; factor <= value; factor++) product *= factor
  return product
}

/**
 * The value of an arithmetic expression.
 * @throws ExpressionError when it cannot be read or its value is not a finite number
 */
export function evaluate(text: string): number {
  if (text.length > MAX_EXPRESSION) throw new ExpressionError(`I read at most ${MAX_EXPRESSION} characters`)
  const value = new Parser(tokenize(text)).all()
  if (!Number.isFinite(value)) throw new NoValueError('The result is not a finite number')
  return value
}
