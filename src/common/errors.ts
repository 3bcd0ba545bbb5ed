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
  | 'CIRCUIT_OPEN'
  | 'GUARANTEE_UNSUPPORTED'
  | 'DELIVERY_FAILED'
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

/** The base of every error that this package throws on purpose. */
export class AfpError extends Error {
  override readonly name: string = 'AfpError'
  /** Stable, machine-readable reason. */
  readonly code: AfpErrorCode
  /** Facts for logs and tools. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: AfpErrorCode, message: string, options: AfpErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  /** The error as plain data, for logs; the stack and the cause stay behind. */
  toJSON(): Record<string, unknown> {
    return { ...(this as object), name: this.name, code: this.code, message: this.message, details: this.details }
  }
}

/** A message that cannot be built, encoded, decoded or that failed validation. */
export class AfpMessageError extends AfpError {
  override readonly name = 'AfpMessageError'
  readonly messageId: string | undefined

  constructor(code: AfpErrorCode, message: string, options: AfpErrorOptions & { messageId?: string | undefined } = {}) {
    super(code, message, options)
    this.messageId = options.messageId
  }
}

/** No way to the recipients: unknown, ambiguous or unreachable. */
export class AfpRoutingError extends AfpError {
  override readonly name = 'AfpRoutingError'
  readonly sender: string | undefined
  readonly recipients: readonly string[]
  readonly messageId: string | undefined

  constructor(
    code: AfpErrorCode,
    message: string,
    options: AfpErrorOptions & {
      sender?: string | undefined
      recipients?: readonly string[] | undefined
      messageId?: string | undefined
    } = {},
  ) {
    super(code, message, options)
    this.sender = options.sender
    this.recipients = options.recipients ?? []
    this.messageId = options.messageId
  }
}

/** A subscription that cannot be made, found or served. */
export class AfpSubscriptionError extends AfpError {
  override readonly name = 'AfpSubscriptionError'
  readonly subscriber: string | undefined
  readonly subscriptionId: string | undefined

  constructor(
    code: AfpErrorCode,
    message: string,
    options: AfpErrorOptions & { subscriber?: string | undefined; subscriptionId?: string | undefined } = {},
  ) {
    super(code, message, options)
    this.subscriber = options.subscriber
    this.subscriptionId = options.subscriptionId
  }
}

/** Something did not happen in time. */
export class AfpTimeoutError extends AfpError {
  override readonly name = 'AfpTimeoutError'
  readonly messageId: string | undefined
  /** How long was waited, in seconds. */
  readonly timeoutSeconds: number

  constructor(message: string, options: AfpErrorOptions & { messageId?: string | undefined; timeoutSeconds: number }) {
    super('TIMEOUT', message, options)
    this.messageId = options.messageId
    this.timeoutSeconds = options.timeoutSeconds
  }
}

/** The store refused, failed or is full. */
export class AfpDataStoreError extends AfpError {
  override readonly name = 'AfpDataStoreError'
  /** What was asked for: a table, a key or a content reference. */
  readonly reference: string | undefined

  constructor(code: AfpErrorCode, message: string, options: AfpErrorOptions & { reference?: string | undefined } = {}) {
    super(code, message, options)
    this.reference = options.reference
  }
}

/** Identity, authentication or authorisation failed. */
export class AfpSecurityError extends AfpError {
  override readonly name = 'AfpSecurityError'
  readonly agentId: string | undefined
  readonly context: Readonly<Record<string, unknown>>

  constructor(
    code: AfpErrorCode,
    message: string,
    options: AfpErrorOptions & {
      agentId?: string | undefined
      context?: Readonly<Record<string, unknown>> | undefined
    } = {},
  ) {
    super(code, message, options)
    this.agentId = options.agentId
    this.context = options.context ?? {}
  }
}

/** The operation needs agents that a partition cut off. */
export class AfpNetworkPartitionError extends AfpError {
  override readonly name = 'AfpNetworkPartitionError'
  readonly partitionId: string | undefined
  readonly affectedAgents: readonly string[]

  constructor(
    message: string,
    options: AfpErrorOptions & {
      partitionId?: string | undefined
      affectedAgents?: readonly string[] | undefined
    } = {},
  ) {
    super('NETWORK_PARTITION', message, options)
    this.partitionId = options.partitionId
    this.affectedAgents = options.affectedAgents ?? []
  }
}

/** A circuit breaker is open and there was no fallback. */
export class AfpCircuitBreakerError extends AfpError {
  override readonly name = 'AfpCircuitBreakerError'
  readonly circuitName: string
  readonly failures: number
  /** Seconds from opening to the next probe. */
  readonly resetTimeout: number

  constructor(
    message: string,
    options: AfpErrorOptions & { circuitName: string; failures: number; resetTimeout: number },
  ) {
    super('CIRCUIT_OPEN', message, options)
    this.circuitName = options.circuitName
    this.failures = options.failures
    this.resetTimeout = options.resetTimeout
  }
}

/** A message was not delivered as its guarantee asks. */
export class AfpDeliveryError extends AfpError {
  override readonly name = 'AfpDeliveryError'
  readonly messageId: string | undefined
  readonly guarantee: string | undefined
  readonly retries: number

  constructor(
    code: AfpErrorCode,
    message: string,
    options: AfpErrorOptions & {
      messageId?: string | undefined
      guarantee?: string | undefined
      retries?: number | undefined
    } = {},
  ) {
    super(code, message, options)
    this.messageId = options.messageId
    this.guarantee = options.guarantee
    this.retries = options.retries ?? 0
  }
}
