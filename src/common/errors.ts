/**
 * Errors of the protocol. Tell them apart by {@link AfpError.code}, never by message text: messages may be reworded in
 * any release, codes are part of the public interface.
 */

/** Every code an {@link AfpError} can carry. */
export type AfpErrorCode =
  // message
  | 'INVALID_MESSAGE'
  | 'INVALID_CONTENT'
  | 'INVALID_OPTION'
  | 'INVALID_NAME'
  | 'INVALID_TOPIC'
  | 'INVALID_CONTENT_TYPE'
  | 'INVALID_PRIORITY'
  | 'INVALID_TTL'
  | 'INVALID_METADATA'
  | 'MESSAGE_EXPIRED'
  | 'MESSAGE_TOO_LARGE'
  | 'HOOK_REFUSED'
  /** A message of these days has the id that was given; this one was not sent. See `messageIdFrom`. */
  | 'DUPLICATE_MESSAGE'
  // routing
  | 'NO_RECIPIENT'
  | 'UNKNOWN_RECIPIENT'
  | 'AMBIGUOUS_NAME'
  | 'NO_CAPABLE_AGENT'
  | 'NO_ROUTE'
  | 'NO_HANDLER'
  | 'QUEUE_FULL'
  // subscription
  | 'DUPLICATE_SUBSCRIPTION'
  | 'UNKNOWN_SUBSCRIPTION'
  | 'INVALID_FILTER'
  | 'SUBSCRIPTION_OVERFLOW'
  // timeout, abort, life
  | 'TIMEOUT'
  | 'CLOSED'
  // store
  | 'STORE_FAILED'
  | 'STORE_FULL'
  | 'STORE_IN_USE'
  | 'STORE_CONFLICT'
  | 'STORE_TOO_NEW'
  /** The store is another agent's, or the same one's in another mesh: `details.owner` has its `id` and `mesh`. */
  | 'STORE_MISMATCH'
  // security
  | 'IDENTITY_IN_USE'
  | 'INVALID_IDENTITY'
  | 'INVALID_ADDRESS'
  | 'INVALID_CARD'
  | 'UNAUTHORIZED'
  | 'INSECURE_CONTEXT'
  | 'INVALID_KEY'
  | 'INVALID_OPENING'
  | 'UNDECRYPTABLE'
  // network, delivery
  | 'NETWORK_FAILED'
  | 'NETWORK_PARTITION'
  /**
   * The circuit breaker of a recipient is open: too often in a row it acknowledged nothing, or somebody holds it open.
   * What is kept waits for it. What is `at-most-once`, replies aside, and a request whose time would be over before it
   * may close, are refused at once, as AfpRoutingError whose `details` have `state`, `forced` and `retryAfter`, ms, and
   * whose `cause` is an {@link AfpCircuitBreakerError}. An application falls back by the code:
   *
   * @example
   * ```ts
   * import { AfpError, createAgent } from 'agent-flow-protocol'
   *
   * const bob = await createAgent({ name: 'bob', mesh: 'demo', listen: ['/ip4/127.0.0.1/tcp/0'] })
   * bob.handle(() => 'sunny')
   *
   * const ada = await createAgent({ name: 'ada', mesh: 'demo', peers: bob.addresses })
   * ada.breakers.getOrCreate(bob.id).forceOpen()
   * const weather = await ada.request(bob.id, 'how is the weather?').then(
   *   reply => reply.content,
   *   error => {
   *     if (error instanceof AfpError && error.code === 'CIRCUIT_OPEN') return 'as yesterday'
   *     throw error
   *   },
   * )
   * console.log([weather]) // [ 'as yesterday' ]
   *
   * await ada.close()
   * await bob.close()
   * ```
   */
  | 'CIRCUIT_OPEN'
  | 'GUARANTEE_UNSUPPORTED'
  | 'DELIVERY_FAILED'
  | 'UNKNOWN_LETTER'
  | 'HANDLER_FAILED'
  // what a stranger sent
  | 'MALFORMED'

/** Options every error takes beside its message. */
export interface AfpErrorOptions {
  /** What lies beneath, kept as `error.cause`. */
  cause?: unknown
  /** Facts for logs and tools: what was kept, what to do. Never secrets. */
  details?: Readonly<Record<string, unknown>>
}

/**
 * The base of every error that this package throws on purpose.
 * @typeParam Facts - what an error of this class tells beside code, message and details: its constructor takes them among
 * the options, and they become its properties
 */
export class AfpError<Facts extends object = object> extends Error {
  override readonly name: string = 'AfpError'
  /** Stable, machine-readable reason. */
  readonly code: AfpErrorCode
  /** Facts for logs and tools. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: AfpErrorCode, message: string, options = {} as AfpErrorOptions & NoInfer<Facts>) {
    const { cause, details = {}, ...facts } = options
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
    Object.assign(this, facts)
  }

  /** The error as plain data, for logs; the stack and the cause stay behind. */
  toJSON(): Record<string, unknown> {
    return { ...(this as object), message: this.message }
  }
}

/** A message that cannot be built, encoded, decoded or that failed validation. */
export class AfpMessageError extends AfpError<{ messageId?: string | undefined }> {
  override readonly name = 'AfpMessageError'
  declare readonly messageId?: string | undefined
}

interface RoutingFacts {
  sender?: string | undefined
  recipients?: readonly string[]
  messageId?: string | undefined
}

/** No way to the recipients: unknown, ambiguous, unreachable, or left alone by their circuit breakers. */
export class AfpRoutingError extends AfpError<RoutingFacts> {
  override readonly name = 'AfpRoutingError'
  declare readonly sender?: string | undefined
  /** Whom it was to reach; empty if nobody was named. */
  declare readonly recipients: readonly string[]
  declare readonly messageId?: string | undefined

  constructor(code: AfpErrorCode, message: string, options?: AfpErrorOptions & RoutingFacts) {
    super(code, message, { recipients: [], ...options })
  }
}

/** A subscription that cannot be made, found or served. */
export class AfpSubscriptionError extends AfpError<{
  subscriber?: string | undefined
  subscriptionId?: string | undefined
}> {
  override readonly name = 'AfpSubscriptionError'
  declare readonly subscriber?: string | undefined
  declare readonly subscriptionId?: string | undefined
}

interface TimeoutFacts {
  messageId?: string | undefined
  timeoutSeconds: number
}

/** Something did not happen in time. */
export class AfpTimeoutError extends AfpError<TimeoutFacts> {
  override readonly name = 'AfpTimeoutError'
  declare readonly messageId?: string | undefined
  /** How long was waited, in seconds. */
  declare readonly timeoutSeconds: number

  constructor(message: string, options: AfpErrorOptions & TimeoutFacts) {
    super('TIMEOUT', message, options)
  }
}

/** The store refused, failed or is full. */
export class AfpDataStoreError extends AfpError<{ reference?: string | undefined }> {
  override readonly name = 'AfpDataStoreError'
  /** What was asked for: a table, a key or a content reference. */
  declare readonly reference?: string | undefined
}

/** Whether a store refused a batch because a check of it does not hold. @internal */
export const isConflict = (error: unknown): boolean =>
  error instanceof AfpDataStoreError && error.code === 'STORE_CONFLICT'

interface SecurityFacts {
  agentId?: string | undefined
  context?: Readonly<Record<string, unknown>>
}

/** Identity, authentication or authorisation failed. */
export class AfpSecurityError extends AfpError<SecurityFacts> {
  override readonly name = 'AfpSecurityError'
  declare readonly agentId?: string | undefined
  /** What was asked for: an action, a resource. */
  declare readonly context: Readonly<Record<string, unknown>>

  constructor(code: AfpErrorCode, message: string, options?: AfpErrorOptions & SecurityFacts) {
    super(code, message, { context: {}, ...options })
  }
}

interface PartitionFacts {
  partitionId?: string | undefined
  affectedAgents?: readonly string[]
}

/** The operation needs agents that a partition cut off. */
export class AfpNetworkPartitionError extends AfpError<PartitionFacts> {
  override readonly name = 'AfpNetworkPartitionError'
  declare readonly partitionId?: string | undefined
  declare readonly affectedAgents: readonly string[]

  constructor(message: string, options?: AfpErrorOptions & PartitionFacts) {
    super('NETWORK_PARTITION', message, { affectedAgents: [], ...options })
  }
}

interface CircuitFacts {
  circuitName: string
  failures: number
  resetTimeout: number
}

/** A circuit breaker is open and there was no fallback. Where a message was refused, the `cause` of what says so. */
export class AfpCircuitBreakerError extends AfpError<CircuitFacts> {
  override readonly name = 'AfpCircuitBreakerError'
  declare readonly circuitName: string
  declare readonly failures: number
  /** Seconds from opening to the next probe. */
  declare readonly resetTimeout: number

  constructor(message: string, options: AfpErrorOptions & CircuitFacts) {
    super('CIRCUIT_OPEN', message, options)
  }
}

interface DeliveryFacts {
  messageId?: string | undefined
  guarantee?: string | undefined
  retries?: number
}

/** A message was not delivered as its guarantee asks. */
export class AfpDeliveryError extends AfpError<DeliveryFacts> {
  override readonly name = 'AfpDeliveryError'
  declare readonly messageId?: string | undefined
  declare readonly guarantee?: string | undefined
  /** Attempts after the first one. */
  declare readonly retries: number

  constructor(code: AfpErrorCode, message: string, options?: AfpErrorOptions & DeliveryFacts) {
    super(code, message, { retries: 0, ...options })
  }
}
