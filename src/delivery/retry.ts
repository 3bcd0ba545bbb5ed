/**
 * Retry strategies as plain values: when to try again, and when to stop. They know no clock and keep nothing, so a
 * strategy and its state are two small rows that go on after a crash where they were.
 *
 * `retries: n` is n further tries after the first one, n + 1 in all.
 */

import { checkNames, checkOption, isObject, oneOf } from '../common/check-options.ts'
import { AfpDataStoreError, AfpError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'

/** The same pause before every retry. */
export interface FixedRetry {
  readonly kind: 'fixed'
  /** The pause, ms. */
  readonly delay: number
  /** Tries after the first one. */
  readonly retries: number
}

/** Pauses that grow by a factor up to a cap. */
export interface ExponentialRetry {
  readonly kind: 'exponential'
  /** The first pause, ms. */
  readonly base: number
  /** What each pause is multiplied by to make the next. */
  readonly factor: number
  /** The longest pause, ms, before jitter. */
  readonly cap: number
  /** Share by which a pause is lengthened or shortened at random, so that many senders do not come back together. */
  readonly jitter: number
  /** Tries after the first one; null: as many as the time to live has room for. */
  readonly retries: number | null
}

/** When to try again. Made by {@link fixedRetry}, {@link exponentialRetry} or {@link untilExpiry}. */
export type RetryStrategy = FixedRetry | ExponentialRetry

/** Where one message stands; what is stored beside its strategy. */
export interface RetryState {
  /** Tries that were made. */
  readonly attempts: number
  /** When the next one is due, ms since 1970; 0: at once. */
  readonly nextAt: number
}

/** Of a message that was never tried. */
export const NEVER_TRIED: RetryState = Object.freeze({ attempts: 0, nextAt: 0 })

/** What a step needs from the world. */
export interface RetryContext {
  /** Wall time, ms since 1970. */
  readonly now: number
  readonly random: Pick<Random, 'float'>
  /** When the message ends, ms since 1970; default: never. */
  readonly expiresAt?: number | undefined
}

/** Why there is no further try; both are reasons of dead letters. */
export type Exhaustion = 'attempts-exhausted' | 'expired'

/** What follows a try that failed. */
export type RetryStep =
  | { readonly at: number; readonly state: RetryState }
  | { readonly exhausted: Exhaustion; readonly state: RetryState }

/** The longest pause that a strategy may have, ms: as long as a message can live. */
const MAX_PAUSE = 30 * 24 * 3_600_000
/** The most retries that can be asked for; also keeps rows of a damaged store within reason. */
const MAX_RETRIES = 1_000_000
/** What pauses that grow are made of. */
const SHAPE = ['base', 'factor', 'cap', 'jitter']

/**
 * The same pause before every retry. Defaults, which are the base strategy: 1 s before each of 3 retries.
 * @throws AfpError INVALID_OPTION
 */
export function fixedRetry(options: Partial<FixedRetry> = {}): FixedRetry {
  checkShape('fixedRetry()', options, 'fixed', ['delay', 'retries'])
  return checked({ kind: 'fixed', delay: options.delay ?? 1_000, retries: options.retries ?? 3 })
}

/**
 * Growing pauses. Defaults: 100 ms, doubled each time, at most 60 s, give or take 10 %, 5 retries.
 * @throws AfpError INVALID_OPTION
 */
export function exponentialRetry(options: Partial<ExponentialRetry> = {}): ExponentialRetry {
  checkShape('exponentialRetry()', options, 'exponential', [...SHAPE, 'retries'])
  const { base = 100, factor = 2, cap = 60_000, jitter = 0.1, retries = 5 } = options
  return checked({ kind: 'exponential', base, factor, cap, jitter, retries })
}

/**
 * What delivery does unless told otherwise: {@link exponentialRetry} that goes on until the message expires.
 * @throws AfpError INVALID_OPTION
 */
export function untilExpiry(options: Partial<Omit<ExponentialRetry, 'kind' | 'retries'>> = {}): ExponentialRetry {
  checkNames('untilExpiry()', options, SHAPE)
  return exponentialRetry({ ...options, retries: null })
}

/** Options may be spread from a strategy of the same kind. */
function checkShape(where: string, options: { kind?: string }, kind: string, names: readonly string[]): void {
  checkNames(where, options, [...names, 'kind'])
  if (options.kind !== undefined) checkOption(`${where}: kind`, options.kind, oneOf(kind))
}

/**
 * What to do after a try that failed: `state` is the one before that try. A retry that would fall after the expiry is
 * moved to it, so that nothing counts as expired before it is.
 */
export function nextRetry(strategy: RetryStrategy, state: RetryState, context: RetryContext): RetryStep {
  const { now, random } = context
  // Wall time comes in whole milliseconds, an expiry need not.
  const end = Math.floor(context.expiresAt ?? Number.POSITIVE_INFINITY)
  const attempts = state.attempts + 1
  const ended = (exhausted: Exhaustion): RetryStep => ({ exhausted, state: { attempts, nextAt: 0 } })
  if (now >= end) return ended('expired')
  if (strategy.retries !== null && attempts > strategy.retries) return ended('attempts-exhausted')
  const at = Math.min(Math.round(now + pause(strategy, attempts, random)), end)
  return { at, state: { attempts, nextAt: at } }
}

/**
 * A state as it was stored, for a clock that may have been set back since: no retry is further away than the strategy's
 * longest pause.
 */
export function resumeRetry(strategy: RetryStrategy, state: RetryState, now: number): RetryState {
  const longest = strategy.kind === 'fixed' ? strategy.delay : strategy.cap * (1 + strategy.jitter)
  return { attempts: state.attempts, nextAt: Math.min(state.nextAt, Math.round(now + longest)) }
}

/** The pause after try number `attempts`, ms. */
function pause(strategy: RetryStrategy, attempts: number, random: Pick<Random, 'float'>): number {
  if (strategy.kind === 'fixed') return strategy.delay
  const plain = Math.min(strategy.base * strategy.factor ** (attempts - 1), strategy.cap)
  return plain * (1 + strategy.jitter * (2 * random.float() - 1))
}

/** A strategy as a value that CBOR can hold. */
export function strategyToWire(strategy: RetryStrategy): unknown[] {
  return strategy.kind === 'fixed'
    ? [0, strategy.delay, strategy.retries]
    : [1, strategy.base, strategy.factor, strategy.cap, strategy.jitter, strategy.retries]
}

/**
 * A strategy out of a store.
 * @throws AfpDataStoreError STORE_FAILED when it is none
 */
export function strategyFromWire(value: unknown): RetryStrategy {
  const [kind, ...fields] = Array.isArray(value) ? value : []
  try {
    if (kind === 0 && fields.length === 2) {
      const [delay, retries] = fields
      return checked({ kind: 'fixed', delay, retries })
    }
    if (kind === 1 && fields.length === 5) {
      const [base, factor, cap, jitter, retries] = fields
      return checked({ kind: 'exponential', base, factor, cap, jitter, retries })
    }
  } catch (cause) {
    throw damaged('retry strategy', cause)
  }
  throw damaged('retry strategy')
}

/** A state as a value that CBOR can hold. */
export const retryStateToWire = (state: RetryState): unknown[] => [state.attempts, state.nextAt]

/**
 * A state out of a store.
 * @throws AfpDataStoreError STORE_FAILED when it is none
 */
export function retryStateFromWire(value: unknown): RetryState {
  const [attempts, nextAt] = Array.isArray(value) && value.length === 2 ? value : []
  if (!isCount(attempts) || !isCount(nextAt)) throw damaged('retry state')
  if (attempts === 0 && nextAt === 0) return NEVER_TRIED
  return { attempts, nextAt }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Whether a value, such as an option in plain JavaScript, is a strategy as the functions here make them. */
export function isRetryStrategy(value: unknown): value is RetryStrategy {
  if (!isObject(value) || (value.kind !== 'fixed' && value.kind !== 'exponential')) return false
  try {
    // A copy: what is checked is frozen, and the value is the application's.
    checked({ ...value } as unknown as RetryStrategy)
    return true
  } catch {
    return false
  }
}

/** Options in plain JavaScript and rows of a store can hold anything. */
function checked<S extends RetryStrategy>(strategy: S): S {
  const { retries } = strategy
  const unbounded = retries === null && strategy.kind === 'exponential'
  within(unbounded ? 0 : retries, 0, MAX_RETRIES, 'retries', Number.isSafeInteger)
  if (strategy.kind === 'fixed') within(strategy.delay, 1, MAX_PAUSE, 'delay')
  else {
    within(strategy.base, 1, MAX_PAUSE, 'base')
    within(strategy.factor, 1, 1_000, 'factor')
    within(strategy.cap, strategy.base, MAX_PAUSE, 'cap')
    within(strategy.jitter, 0, 1, 'jitter')
  }
  return Object.freeze(strategy)
}

function within(value: unknown, low: number, high: number, what: string, also = Number.isFinite): void {
  if (typeof value === 'number' && also(value) && value >= low && value <= high) return
  throw new AfpError('INVALID_OPTION', `the ${what} of a retry strategy has to be a number from ${low} to ${high}`)
}

const damaged = (what: string, cause?: unknown): AfpDataStoreError =>
  new AfpDataStoreError('STORE_FAILED', `the store holds a ${what} that is none`, { cause })
