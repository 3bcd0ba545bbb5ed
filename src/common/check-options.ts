/** Options checked once, where an application hands them in: a table says what each has to be. */

import { AfpError } from './errors.ts'

/** What an option has to be, and whether a value is it. Never asked about `undefined`, which is as absent, nor about `null`. */
export type OptionCheck = readonly [wanted: string, holds: (value: unknown) => boolean]

/** One check for each option of `T`. */
export type OptionChecks<T = Record<string, unknown>> = { readonly [K in keyof T]-?: OptionCheck }

/** Whether a value is an object that is neither a list nor a function. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether a value is an object with all of these methods. */
export const hasMethods =
  (...names: string[]) =>
  (value: unknown): boolean =>
    isObject(value) && names.every(name => typeof value[name] === 'function')

/** A list whose every place `holds`: holes, which `every` skips, included. */
export const listOf =
  (holds: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && Array.from<unknown>(value).every(holds)

const isString = (value: unknown): boolean => typeof value === 'string'
const isStrings = listOf(isString)

/** An object with all of these methods. */
export const withMethods = (what: string, ...names: string[]): OptionCheck => [
  `${what} with ${names.join(', ')}`,
  hasMethods(...names),
]
/** For an option that a validator of its own looks at, with a code of its own. */
export const checkedLater = (wanted: string): OptionCheck => [wanted, () => true]
/** One of these words. */
export const oneOf = (...words: string[]): OptionCheck => [
  words.map(word => `'${word}'`).join(' or '),
  value => words.includes(value as string),
]
export const STRING: OptionCheck = ['a string', isString]
export const STRINGS: OptionCheck = ['a list of strings', isStrings]
export const STRING_OR_STRINGS: OptionCheck = [
  'a string or a list of strings',
  value => isString(value) || isStrings(value),
]
export const BOOLEAN: OptionCheck = ['true or false', value => typeof value === 'boolean']
export const NUMBER: OptionCheck = ['a number', value => typeof value === 'number']
export const COUNT: OptionCheck = ['a positive integer', value => Number.isSafeInteger(value) && (value as number) > 0]
export const WHOLE: OptionCheck = [
  'a whole number from 0',
  value => Number.isSafeInteger(value) && (value as number) >= 0,
]
export const MILLISECONDS: OptionCheck = [
  'a number of milliseconds from 0 up',
  value => Number.isFinite(value) && (value as number) >= 0,
]
export const FUNCTION: OptionCheck = ['a function', value => typeof value === 'function']
// By its methods: a signal may come from another realm.
export const SIGNAL: OptionCheck = [
  'an AbortSignal',
  hasMethods('throwIfAborted', 'addEventListener', 'removeEventListener'),
]

export const ICE_SERVERS: OptionCheck = [
  'a list of { urls }',
  listOf(server => isObject(server) && (isString(server.urls) || isStrings(server.urls))),
]
export const RECORD: OptionCheck = ['an object', isObject]
export const CLOCK = withMethods('a clock', 'now', 'monotonic', 'after')

/** @throws AfpError INVALID_OPTION, saying what the value has to be and what it is */
export function checkOption(name: string, value: unknown, [wanted, holds]: OptionCheck): void {
  if (value === null || !holds(value)) {
    throw invalid(`${name} has to be ${wanted}, not ${describe(value)}`)
  }
}

/**
 * Checks the names of options alone: for a place that judges their values itself.
 * @throws AfpError INVALID_OPTION for what is no object, and for an option that is none of `names`
 */
export function checkNames(
  where: string,
  given: unknown,
  names: readonly string[],
): asserts given is Record<string, unknown> {
  if (!isObject(given)) throw invalid(`the options of ${where} have to be an object, not ${describe(given)}`)
  const stranger = Object.keys(given).find(name => !names.includes(name))
  if (stranger === undefined) return
  throw invalid(`${where} has no option '${stranger.slice(0, 80)}'; it takes ${names.join(', ')}`)
}

/**
 * Checks the options that `where`, a call such as `send()`, was given.
 * @throws AfpError INVALID_OPTION for what is no object, for an option that is not in the table, and for one that is not
 * what the table wants
 */
export function checkOptions(where: string, given: unknown, table: OptionChecks): void {
  checkNames(where, given, Object.keys(table))
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) checkOption(`${where}: ${name}`, value, table[name] as OptionCheck)
  }
}

const invalid = (message: string): AfpError => new AfpError('INVALID_OPTION', message)

/** Any value in an error message. What is inside an object stays there: it may be a secret, or throw when it is looked at. */
export function describe(value: unknown): string {
  return Array.isArray(value) ? `[${Array.from(value.slice(0, 4), kind).join(', ')}]` : kind(value)
}

function kind(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  if (typeof value === 'function') return 'a function'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
