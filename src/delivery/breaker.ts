/**
 * A circuit breaker: after too many failures in a row a recipient is left alone for a while, then tried with a few
 * calls. Open means wait, never give up: nothing is dropped because of it.
 *
 * It is a state machine of its own because it has to run on the clock that is handed in: cockatiel, which has one,
 * reads the platform's time and timers by itself, so neither tests nor simulations could drive it. There are no timers
 * in here. The way from open to half-open is taken by the first call that comes after the reset timeout.
 */

import { abortable } from '../common/abort.ts'
import { checkOption, checkOptions, FUNCTION, type OptionChecks, SIGNAL } from '../common/check-options.ts'
import type { Clock } from '../common/clock.ts'
import { AfpCircuitBreakerError, AfpError, AfpTimeoutError } from '../common/errors.ts'
import { TypedEventTarget } from '../common/events.ts'

/** `closed`: calls pass; `open`: none does; `half-open`: a few do, to see whether it can close. */
export type BreakerState = 'closed' | 'open' | 'half-open'

/** Options of a {@link CircuitBreaker}. */
export interface BreakerOptions {
  /** Failures in a row that open it. Default 5. */
  readonly failureThreshold?: number | undefined
  /** How long it stays open, ms. Default 30,000. */
  readonly resetTimeout?: number | undefined
  /** Calls under way at a time while half-open, and successes that close it. Default 1. */
  readonly halfOpenCalls?: number | undefined
  /**
   * Which errors count as failures. Default: all. Any other is an answer, so the recipient works: it counts as a
   * success. Calls that were called off are neither, see {@link CircuitBreaker.execute}. What makes this throw counts as
   * a failure, and what it threw is told by `threw`.
   */
  readonly isFailure?: ((error: unknown) => boolean) | undefined
}

/** A change of state; also from open to open, when {@link CircuitBreaker.forceOpen} holds what failures had opened. */
export interface BreakerChange {
  readonly name: string
  readonly from: BreakerState
  readonly to: BreakerState
  /** Failures in a row so far. */
  readonly failures: number
  /** Opened by {@link CircuitBreaker.forceOpen}. */
  readonly forced: boolean
}

/** What a {@link CircuitBreaker} tells. */
export interface BreakerEvents {
  change: BreakerChange
  /** {@link BreakerOptions.isFailure} threw; for agents also a `handler:error`. */
  threw: { readonly name: string; readonly error: unknown }
}

/** A call that was let through. The first of its methods that is called counts, later ones do nothing. */
export interface BreakerCall {
  /** It worked. */
  succeed(): void
  /** It failed, if {@link BreakerOptions.isFailure} says that this is a failure. */
  fail(error: unknown): void
  /** It was called off: neither a success nor a failure. */
  abandon(): void
}

/** Options of {@link CircuitBreaker.execute}. */
export interface ExecuteOptions<T> {
  /** What to do instead while the breaker lets nothing through; a failed operation does not lead to it. */
  readonly fallback?: ((error: AfpCircuitBreakerError) => T | Promise<T>) | undefined
  /** Calls the wait off. */
  readonly signal?: AbortSignal | undefined
}

/** The options, none left out. */
type Settings = { readonly [K in keyof BreakerOptions]-?: NonNullable<BreakerOptions[K]> }

const EXECUTE: OptionChecks<ExecuteOptions<unknown>> = { fallback: FUNCTION, signal: SIGNAL }

/** See the head of this file. */
export class CircuitBreaker extends TypedEventTarget<BreakerEvents> {
  readonly name: string
  readonly #clock: Clock
  #settings: Settings
  #state: BreakerState = 'closed'
  #forced = false
  #failures = 0
  #successes = 0
  #openedAt = 0
  /** Calls let through while half-open that have not ended, and when they began. */
  readonly #probes = new Map<BreakerCall, number>()
  /** Counts changes of state: a call that began before the last one has nothing to say any more. */
  #era = 0

  /**
   * @param name - what it guards; in errors and events
   * @throws AfpError INVALID_OPTION
   */
  constructor(name: string, clock: Clock, options: BreakerOptions = {}) {
    super()
    this.name = name
    this.#clock = clock
    this.#settings = checked(options)
  }

  /** Has these options from now on, and is in the state that it was in. @throws AfpError INVALID_OPTION @internal */
  configure(options: BreakerOptions): void {
    this.#settings = checked(options)
  }

  /** The state; `half-open` as soon as a call would be let through to try, although only that call changes it. */
  get state(): BreakerState {
    return this.#state === 'open' && this.retryAfter === 0 ? 'half-open' : this.#state
  }

  /** Failures in a row, those that opened it included. */
  get failureCount(): number {
    return this.#failures
  }

  /** Whether {@link forceOpen} holds it open. */
  get forced(): boolean {
    return this.#forced
  }

  /**
   * Milliseconds until it lets a call try again: 0 unless it is open; infinite while it is forced open. While half-open
   * and full it is 0 although no call is let through: try again when one has ended.
   */
  get retryAfter(): number {
    if (this.#forced) return Number.POSITIVE_INFINITY
    if (this.#state !== 'open') return 0
    // Whole, and up: a timer set to a part of a millisecond may fire before it is over.
    return Math.ceil(Math.max(0, this.#openedAt + this.#settings.resetTimeout - this.#clock.monotonic()))
  }

  /** Asks for a call to be let through; undefined when it is not. Whoever gets one tells how it ended. */
  admit(): BreakerCall | undefined {
    if (this.retryAfter > 0) return undefined
    if (this.#state === 'open') this.#enter('half-open')
    if (this.#state === 'closed') return this.#call()
    const now = this.#clock.monotonic()
    for (const [call, since] of this.#probes) {
      // One that never ends must not keep the breaker half-open for ever: it gives up its place and its say.
      if (now - since >= this.#settings.resetTimeout) this.#probes.delete(call)
    }
    if (this.#probes.size + this.#successes >= this.#settings.halfOpenCalls) return undefined
    const call = this.#call()
    this.#probes.set(call, now)
    return call
  }

  /**
   * Runs `operation` if the breaker lets it through. An operation that rejects after `signal` has fired, or with an
   * `AbortError`, was called off and counts as nothing; a signal that fired because time was up counts as a failure.
   * The result counts when the operation ends, also when the caller has stopped waiting before.
   *
   * @throws AfpCircuitBreakerError CIRCUIT_OPEN when it is not let through and there is no fallback
   * @throws AfpError INVALID_OPTION for options that are none, or no operation: then nothing was called, and nothing counts
   * @throws whatever the operation or the fallback throws, or the signal's reason
   */
  async execute<T>(operation: () => T | Promise<T>, options: ExecuteOptions<T> = {}): Promise<T> {
    checkOption('what execute() runs', operation, FUNCTION)
    checkOptions('execute()', options, EXECUTE)
    const { fallback, signal } = options
    signal?.throwIfAborted()
    const call = this.admit()
    if (call === undefined) {
      if (fallback === undefined) throw this.error()
      return abortable(Promise.resolve(fallback(this.error())), signal)
    }
    const run = async (): Promise<T> => {
      try {
        const result = await operation()
        call.succeed()
        return result
      } catch (error) {
        if (calledOff(error, signal)) call.abandon()
        else call.fail(error)
        throw error
      }
    }
    return abortable(run(), signal)
  }

  /** Closes it and forgets every failure; calls under way do not count any more. */
  reset(): void {
    this.#forced = false
    this.#failures = 0
    this.#enter('closed')
  }

  /** Where failures opened it, calls may try at once: what it guards is there again. */
  halfOpen(): void {
    if (this.#state === 'open') this.#openedAt = Number.NEGATIVE_INFINITY
  }

  /** Opens it until {@link reset}, however long that takes. */
  forceOpen(): void {
    const news = !this.#forced
    this.#forced = true
    this.#openedAt = this.#clock.monotonic()
    this.#enter('open', news)
  }

  /** The error for a call that is not let through. */
  error(): AfpCircuitBreakerError {
    const { retryAfter } = this
    const why = this.#forced ? 'was opened by hand' : retryAfter > 0 ? 'is open' : 'is being tried by another call'
    return new AfpCircuitBreakerError(`circuit breaker ${this.name} ${why}`, {
      circuitName: this.name,
      failures: this.#failures,
      resetTimeout: this.#settings.resetTimeout / 1000,
      details: { state: this.state, forced: this.#forced, retryAfter },
    })
  }

  #call(): BreakerCall {
    const era = this.#era
    const probing = this.#state === 'half-open'
    let open = true
    const end = (effect?: () => void): void => {
      const counts = open && era === this.#era && (!probing || this.#probes.has(call))
      open = false
      if (!counts) return
      this.#probes.delete(call)
      effect?.()
    }
    const call: BreakerCall = {
      succeed: () => end(() => this.#succeeded()),
      fail: error => end(this.#fails(error) ? () => this.#failed() : () => this.#succeeded()),
      abandon: () => end(),
    }
    return call
  }

  /** The application's own judgement. Where that fails, the call has all the same: it has to end. */
  #fails(error: unknown): boolean {
    try {
      return this.#settings.isFailure(error)
    } catch (thrown) {
      this.emit('threw', { name: this.name, error: thrown })
      return true
    }
  }

  #succeeded(): void {
    if (this.#state === 'half-open' && ++this.#successes < this.#settings.halfOpenCalls) return
    this.#failures = 0
    if (this.#state === 'half-open') this.#enter('closed')
  }

  #failed(): void {
    this.#failures++
    if (this.#state === 'closed' && this.#failures < this.#settings.failureThreshold) return
    this.#openedAt = this.#clock.monotonic()
    this.#enter('open')
  }

  #enter(to: BreakerState, news = false): void {
    const from = this.#state
    this.#era++
    this.#state = to
    this.#successes = 0
    this.#probes.clear()
    const { name, failureCount: failures, forced } = this
    if (from !== to || news) this.emit('change', { name, from, to, failures, forced })
  }
}

function calledOff(error: unknown, signal: AbortSignal | undefined): boolean {
  const late = (reason: unknown): boolean =>
    reason instanceof AfpTimeoutError || (reason as { name?: unknown } | null | undefined)?.name === 'TimeoutError'
  if (signal?.aborted) return !late(signal.reason)
  return (error as { name?: unknown } | null | undefined)?.name === 'AbortError'
}

function checked(options: BreakerOptions): Settings {
  const { failureThreshold = 5, resetTimeout = 30_000, halfOpenCalls = 1, isFailure = () => true } = options
  return {
    failureThreshold: positive(failureThreshold, 'failureThreshold'),
    resetTimeout: positive(resetTimeout, 'resetTimeout'),
    halfOpenCalls: positive(halfOpenCalls, 'halfOpenCalls'),
    isFailure,
  }
}

function positive(value: number, what: string): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new AfpError('INVALID_OPTION', `${what} of a circuit breaker has to be a positive integer`)
}
