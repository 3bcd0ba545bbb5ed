/** What each option of the public face has to be. Values of the right type are judged where they are used. */

import {
  BOOLEAN,
  CLOCK,
  COUNT,
  checkedLater,
  checkOption,
  checkOptions,
  FUNCTION,
  hasMethods,
  ICE_SERVERS,
  isObject,
  listOf,
  MILLISECONDS,
  NUMBER,
  type OptionCheck,
  type OptionChecks,
  oneOf,
  SIGNAL,
  STRING,
  STRING_OR_STRINGS,
  STRINGS,
  WHOLE,
  withMethods,
} from '../common/check-options.ts'
import { AfpError } from '../common/errors.ts'
import type { BreakerOptions } from '../delivery/breaker.ts'
import { DEAD_REASONS, messageOf, type NewDeadLetter } from '../delivery/dead-letter.ts'
import type { LetterFilter } from '../delivery/dead-letter-index.ts'
import type { ListLettersOptions, PurgeOptions } from '../delivery/dead-letter-options.ts'
import { isRetryStrategy } from '../delivery/retry.ts'
import { isAgentId } from '../identity/keys.ts'
import { isIdentity } from '../identity/looks.ts'
import { NO_SECURITY } from '../message/build.ts'
import type { Filter } from '../message/filter.ts'
import { isUuid } from '../message/ids.ts'
import { isPlain } from '../message/json-value.ts'
import type { Hooks, Limits } from '../message/validate.ts'
import { componentNames } from '../network/addresses.ts'
import type {
  AgentOptions,
  MessageOptions,
  ReceiveOptions,
  ReplyOptions,
  SendOptions,
  SubscribeOptions,
} from './options.ts'

const [, isString] = STRING
const [, isStrings] = STRINGS
const OBJECT: OptionCheck = ['a plain object', value => isObject(value) && isPlain(value)]

const RETRY: OptionCheck = ['a strategy made by fixedRetry(), exponentialRetry() or untilExpiry()', isRetryStrategy]
/** Letters do not expire: what tries them again has to end by itself. */
const ENDING: OptionCheck = [
  'a strategy with an end, made by fixedRetry() or exponentialRetry()',
  value => isRetryStrategy(value) && value.retries !== null,
]
const POLICIES: OptionChecks = Object.fromEntries(DEAD_REASONS.map(reason => [reason, ENDING]))

const AGENT: OptionChecks<AgentOptions> = {
  name: STRING,
  mesh: STRING,
  relays: STRINGS,
  peers: STRINGS,
  listen: [
    'a list of multiaddrs',
    listOf(address => isString(address) && componentNames(address as string) !== undefined),
  ],
  capabilities: STRINGS,
  description: STRING,
  identity: [
    "an identity from createIdentity(), 'persistent' or 'ephemeral'",
    value => value === 'persistent' || value === 'ephemeral' || isIdentity(value),
  ],
  onIdentityInUse: oneOf('new', 'error'),
  store: withMethods('a store', 'get', 'range', 'count', 'commit', 'close'),
  persistStorage: BOOLEAN,
  guarantee: STRING,
  retry: RETRY,
  handlerRetry: RETRY,
  handlerTimeout: MILLISECONDS,
  deadLetterRetry: OBJECT,
  deadLetters: OBJECT,
  outbox: OBJECT,
  inbox: OBJECT,
  holePatience: MILLISECONDS,
  breaker: OBJECT,
  limits: OBJECT,
  hooks: OBJECT,
  iceServers: ICE_SERVERS,
  clock: CLOCK,
  random: withMethods('a source of randomness', 'bytes', 'float'),
  transports: [
    'a list of transports such as webrtc()',
    listOf(value => hasMethods('factory')(value) && isStrings((value as { listen: unknown }).listen)),
  ],
  carrier: FUNCTION,
  signal: SIGNAL,
}

const HOOKS: OptionChecks<Hooks> = { beforeSend: FUNCTION, afterReceive: FUNCTION }

const REPLY: OptionChecks<ReplyOptions> = {
  contentType: STRING,
  metadata: checkedLater('a plain object'),
  ttl: NUMBER,
  priority: NUMBER,
  schema: STRING,
  timestamp: NUMBER,
}

const MESSAGE: OptionChecks<MessageOptions> = { ...REPLY, parentId: STRING, id: STRING, signal: SIGNAL }

const SEND: OptionChecks<SendOptions> = { ...MESSAGE, timeout: MILLISECONDS, guarantee: STRING, retry: RETRY }
const WAIT: OptionChecks<Pick<ReceiveOptions, 'signal'>> = { signal: SIGNAL }
const RECEIVE: OptionChecks<ReceiveOptions> = { ...WAIT, timeout: MILLISECONDS }

const FILTER: OptionChecks<Filter> = {
  topic: STRING,
  sender: STRING_OR_STRINGS,
  contentType: ['a string or a regular expression', value => isString(value) || value instanceof RegExp],
  metadata: OBJECT,
  parentId: STRING,
  securityLevel: STRING,
  where: FUNCTION,
}

const SUBSCRIBE: OptionChecks<SubscribeOptions> = {
  ...FILTER,
  ...WAIT,
  id: STRING,
  subscriber: STRING,
  expiresAt: NUMBER,
  maxMessages: COUNT,
  description: STRING,
  queue: COUNT,
}

const BREAKER: OptionChecks<BreakerOptions> = {
  failureThreshold: COUNT,
  resetTimeout: COUNT,
  halfOpenCalls: COUNT,
  isFailure: FUNCTION,
}

/** Infinity is older than any letter. */
const AGE: OptionCheck = ['a number of milliseconds from 0 up', age => typeof age === 'number' && age >= 0]
const LETTERS: OptionChecks<LetterFilter> = {
  processed: BOOLEAN,
  reason: oneOf(...DEAD_REASONS),
  side: oneOf('sender', 'recipient'),
  peer: STRING,
  olderThan: AGE,
  maxAge: AGE,
}
const LIST: OptionChecks<ListLettersOptions> = {
  ...LETTERS,
  limit: WHOLE,
  before: STRING,
}
const PURGE: OptionChecks<PurgeOptions> = {
  olderThan: AGE,
  processed: ["true, false or 'any'", value => typeof value === 'boolean' || value === 'any'],
}

const TABLES = {
  send: SEND,
  respond: SEND,
  request: SEND,
  publish: MESSAGE,
  broadcast: MESSAGE,
  reply: REPLY,
  handle: FILTER,
  subscribe: SUBSCRIBE,
  receive: RECEIVE,
  waitFor: RECEIVE,
  connect: WAIT,
  drain: WAIT,
  'deadLetters.count': LETTERS,
  'deadLetters.list': LIST,
  'deadLetters.purge': PURGE,
  'breakers.getOrCreate': BREAKER,
} satisfies Record<string, OptionChecks>

/** @throws AfpError INVALID_OPTION unless `options` are what this method of an agent, or of a part of it, takes */
export const checkCall = (method: keyof typeof TABLES, options: unknown): void =>
  checkOptions(`${method}()`, options, TABLES[method])

/** What methods take beside options, and what the option `carrier` makes. */
export const NAME_OR_ID: OptionCheck = ['a name or an id', name => isString(name) && name !== '']
export const AGENT_ID: OptionCheck = ['the id of an agent', id => isString(id) && isAgentId(id as string)]
export const RECEIVED: OptionCheck = [
  'a message that came',
  message => isObject(message) && isString(message.id) && isString(message.sender),
]
export const CARRIER = withMethods('a carrier', 'start', 'stop', 'dial', 'publish')

const LETTER: OptionChecks<NewDeadLetter> = {
  side: LETTERS.side,
  peer: AGENT_ID,
  reason: LETTERS.reason,
  message: ['bytes made by letterBytes()', value => value instanceof Uint8Array],
  messageId: ['a UUID in lower case', isUuid],
  sender: AGENT_ID,
  topic: STRING,
  security: OBJECT,
  attempts: WHOLE,
  lastError: OBJECT,
  inDoubt: BOOLEAN,
  strategy: RETRY,
}

/**
 * A letter with the id of its message, whether or not it was given.
 * @throws AfpError INVALID_OPTION for what is no letter, or has a message that nobody could read again, naming the field
 */
export function checkLetter(letter: NewDeadLetter, limits: Limits): NewDeadLetter {
  const where = 'deadLetters.add()'
  checkOptions(where, letter, LETTER)
  for (const name of ['side', 'peer', 'reason', 'message', 'sender', 'attempts'] as const)
    checkOption(`${where}: ${name}`, letter[name], LETTER[name])
  const id = idOfMessage(letter, where, limits)
  const { messageId = id } = letter
  if (messageId !== id) throw new AfpError('INVALID_OPTION', `${where}: messageId: that of its message is ${id}`)
  return { ...letter, messageId }
}

function idOfMessage(letter: NewDeadLetter, where: string, limits: Limits): string {
  try {
    return messageOf({ ...letter, security: letter.security ?? NO_SECURITY }, limits).message.id
  } catch (cause) {
    throw new AfpError('INVALID_OPTION', `${where}: message: ${(cause as Error).message}`, { cause })
  }
}

/** @throws AfpError INVALID_OPTION unless `options` and the hooks in them are what `createAgent` takes */
export function checkAgentOptions(options: AgentOptions): void {
  checkOptions('createAgent()', options, AGENT)
  if (options.identity === 'ephemeral' && options.store !== undefined) {
    const what = 'a store belongs to one agent for good, and nobody has this identity after this run'
    const advice = 'leave out identity, and the store keeps one; or leave out store'
    throw new AfpError(
      'INVALID_OPTION',
      `identity has to be another one than 'ephemeral' with a store: ${what}; ${advice}`,
    )
  }
  checkOptions('deadLetterRetry', options.deadLetterRetry ?? {}, POLICIES)
  checkOptions('breaker', options.breaker ?? {}, BREAKER)
  checkOptions('hooks', options.hooks ?? {}, HOOKS)
  checkOptions('deadLetters', options.deadLetters ?? {}, { maxEntries: COUNT, maxBytes: COUNT, maxAge: AGE })
  checkOptions('outbox', options.outbox ?? {}, { messages: COUNT, bytes: COUNT })
  checkOptions('inbox', options.inbox ?? {}, { messages: COUNT, bytes: COUNT, totalBytes: COUNT })
}
