import { describe, expect, it } from 'vitest'
import {
  AfpCircuitBreakerError,
  AfpDataStoreError,
  AfpDeliveryError,
  AfpError,
  type AfpErrorOptions,
  AfpMessageError,
  AfpNetworkPartitionError,
  AfpRoutingError,
  AfpSecurityError,
  AfpSubscriptionError,
  AfpTimeoutError,
} from '../../src/common/errors.ts'

type Case = [
  name: string,
  code: string,
  make: (options: AfpErrorOptions) => AfpError,
  facts: Record<string, unknown>,
  type: abstract new (...args: never[]) => AfpError,
]

const cases: Case[] = [
  ['AfpError', 'CLOSED', options => new AfpError('CLOSED', 'why', options), {}, AfpError],
  [
    'AfpMessageError',
    'INVALID_TTL',
    options => new AfpMessageError('INVALID_TTL', 'why', { ...options, messageId: 'm' }),
    { messageId: 'm' },
    AfpMessageError,
  ],
  [
    'AfpRoutingError',
    'NO_ROUTE',
    options =>
      new AfpRoutingError('NO_ROUTE', 'why', { ...options, sender: 's', recipients: ['a', 'b'], messageId: 'm' }),
    { sender: 's', recipients: ['a', 'b'], messageId: 'm' },
    AfpRoutingError,
  ],
  [
    'AfpSubscriptionError',
    'UNKNOWN_SUBSCRIPTION',
    options =>
      new AfpSubscriptionError('UNKNOWN_SUBSCRIPTION', 'why', { ...options, subscriber: 's', subscriptionId: 'i' }),
    { subscriber: 's', subscriptionId: 'i' },
    AfpSubscriptionError,
  ],
  [
    'AfpTimeoutError',
    'TIMEOUT',
    options => new AfpTimeoutError('why', { ...options, messageId: 'm', timeoutSeconds: 1.5 }),
    { messageId: 'm', timeoutSeconds: 1.5 },
    AfpTimeoutError,
  ],
  [
    'AfpDataStoreError',
    'STORE_FULL',
    options => new AfpDataStoreError('STORE_FULL', 'why', { ...options, reference: 'r' }),
    { reference: 'r' },
    AfpDataStoreError,
  ],
  [
    'AfpSecurityError',
    'UNAUTHORIZED',
    options => new AfpSecurityError('UNAUTHORIZED', 'why', { ...options, agentId: 'a', context: { action: 'send' } }),
    { agentId: 'a', context: { action: 'send' } },
    AfpSecurityError,
  ],
  [
    'AfpNetworkPartitionError',
    'NETWORK_PARTITION',
    options => new AfpNetworkPartitionError('why', { ...options, partitionId: 'p', affectedAgents: ['a'] }),
    { partitionId: 'p', affectedAgents: ['a'] },
    AfpNetworkPartitionError,
  ],
  [
    'AfpCircuitBreakerError',
    'CIRCUIT_OPEN',
    options => new AfpCircuitBreakerError('why', { ...options, circuitName: 'c', failures: 5, resetTimeout: 30 }),
    { circuitName: 'c', failures: 5, resetTimeout: 30 },
    AfpCircuitBreakerError,
  ],
  [
    'AfpDeliveryError',
    'DELIVERY_FAILED',
    options =>
      new AfpDeliveryError('DELIVERY_FAILED', 'why', {
        ...options,
        messageId: 'm',
        guarantee: 'exactly-once',
        retries: 3,
      }),
    { messageId: 'm', guarantee: 'exactly-once', retries: 3 },
    AfpDeliveryError,
  ],
]

describe.each(cases)('%s', (name, code, make, facts, type) => {
  const cause = new Error('beneath, with a secret')
  const error = make({ cause, details: { kept: true } })

  it('is an Error and an AfpError with its name, code, message, facts and cause', () => {
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(AfpError)
    expect(error).toBeInstanceOf(type)
    expect(error).toMatchObject({ name, code, message: 'why', details: { kept: true }, ...facts })
    expect(error.cause).toBe(cause)
    expect(String(error)).toBe(`${name}: why`)
  })

  it('becomes JSON with its facts, without cause and stack', () => {
    expect(JSON.parse(JSON.stringify(error))).toEqual({ name, code, message: 'why', details: { kept: true }, ...facts })
    expect(JSON.stringify(error)).not.toContain('secret')
    expect(Object.keys(error.toJSON())).not.toContain('stack')
  })

  it('has no cause when none was given, and empty details', () => {
    const bare = make({})
    expect('cause' in bare).toBe(false)
    expect(bare.details).toEqual({})
  })
})

describe('facts that were not given', () => {
  it('are undefined, empty or zero, never missing properties', () => {
    expect(new AfpMessageError('INVALID_TTL', 'x').messageId).toBeUndefined()
    expect(new AfpRoutingError('NO_ROUTE', 'x').recipients).toEqual([])
    expect(new AfpSubscriptionError('INVALID_FILTER', 'x').subscriptionId).toBeUndefined()
    expect(new AfpDataStoreError('STORE_FAILED', 'x').reference).toBeUndefined()
    expect(new AfpSecurityError('UNAUTHORIZED', 'x').context).toEqual({})
    expect(new AfpNetworkPartitionError('x').affectedAgents).toEqual([])
    expect(new AfpDeliveryError('DELIVERY_FAILED', 'x').retries).toBe(0)
  })
})
