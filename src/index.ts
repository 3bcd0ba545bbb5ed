/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Agent Flow Protocol: a browser-first peer-to-peer mesh where agents, in tabs and in Node, talk straight to each other.
 *
 * @packageDocumentation
 */

export type { Agent, AgentEvents, Deliveries } from './agent/agent.ts'
export { createAgent } from './agent/create-agent.ts'
export type {
  Breakers as CircuitBreakers,
  Letters as DeadLetters,
  Subscriptions as SubscriptionManager,
} from './agent/faces.ts'
export { type Reply, reply } from './agent/handlers.ts'
export type {
  AgentOptions,
  Handler,
  HandlerContext,
  MessageOptions,
  Published,
  Receipt,
  ReceiveOptions,
  RecipientStatus,
  ReplyOptions,
  RequestOptions,
  SendOptions,
  SubscribeOptions,
  Target,
} from './agent/options.ts'
export type { AgentStorage } from './agent/storage-care.ts'
export type { AbortOptions } from './common/abort.ts'
export { type Clock, systemClock, type Timer } from './common/clock.ts'
export {
  AfpCircuitBreakerError,
  AfpDataStoreError,
  AfpDeliveryError,
  AfpError,
  type AfpErrorCode,
  AfpMessageError,
  AfpNetworkPartitionError,
  AfpRoutingError,
  AfpSecurityError,
  AfpSubscriptionError,
  AfpTimeoutError,
} from './common/errors.ts'
export { type Random, systemRandom } from './common/random.ts'
export type { BreakerChange, BreakerOptions, BreakerState, CircuitBreaker } from './delivery/breaker.ts'
export {
  type DeadLetter,
  type DeadReason,
  type LetterMessage,
  type LetterNote,
  type LetterSide,
  letterBytes,
  letterMessage,
  type NewDeadLetter,
} from './delivery/dead-letter.ts'
export type { LetterFilter } from './delivery/dead-letter-index.ts'
export type {
  DeadLetterEvents,
  LetterLimits,
  ListLettersOptions,
  PurgeOptions,
} from './delivery/dead-letter-options.ts'
export type { RetryOutcome } from './delivery/dead-letter-retries.ts'
export type { DeliveryStatus, ReceiptState, RecipientReceipt } from './delivery/receipts.ts'
export { exponentialRetry, fixedRetry, type RetryStrategy, untilExpiry } from './delivery/retry.ts'
export type { DeliveryNews } from './delivery/tracker.ts'
export type { KeptValues, Transaction } from './delivery/transaction.ts'
export type { Card } from './identity/card.ts'
export { createIdentity, type Identity, isAgentId } from './identity/keys.ts'
export type { Filter } from './message/filter.ts'
export { messageIdFrom } from './message/ids.ts'
export { fromJson, toJson } from './message/json.ts'
export type { Content, Guarantee, Json, Message, MessageSecurity, SecurityLevel } from './message/message.ts'
export { DEFAULT_LIMITS, type Hooks, type Limits } from './message/validate.ts'
export type { LinkKind, LinkTransport } from './network/carrier.ts'
export type { IceServer } from './network/ice-server.ts'
export type { Link, Peer, RefusalReason } from './network/network.ts'
export { exportIdentity, importIdentity, MIN_PASSPHRASE_LENGTH } from './security/passphrase.ts'
export { type MemoryStoreOptions, memoryStore } from './store/memory.ts'
export type { Batch, Check, Key, KeyRange, RangeOptions, Row, StorageState, Store, Write } from './store/store.ts'
export type { Metrics } from './telemetry/metrics.ts'
export type { Subscription } from './topics/subscriptions.ts'
