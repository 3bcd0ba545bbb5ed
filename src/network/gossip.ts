/**
 * What travels in gossip: payloads of one author for one topic, several together under one signature, so that every
 * peer on the way, relays included, can tell who wrote them and drop what nobody signed.
 */

import { AfpMessageError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { type Identity, isAgentId, verifySignature } from '../identity/keys.ts'
import { decode, encode } from '../message/codec.ts'
import type { RefusalReason } from './network.ts'

/** What keeps these signatures from being used for anything else. */
const LABEL = 'afp/1/gossip'
const VERSION = 1

/** How far an author's clock may be off, and how long a copy may be on its way, ms. */
export const GOSSIP_SKEW = 120_000

/** Bytes of payloads that are signed together at the most; one payload may be larger. */
export const GOSSIP_BATCH_BYTES = 65_536

/** Payloads that are signed together at the most. */
export const GOSSIP_BATCH_SIZE = 256

/** Signed payloads whose author is proved. */
export interface GossipBatch {
  readonly author: string
  /** When it was signed, ms since 1970, by the author's clock. */
  readonly time: number
  readonly payloads: readonly Uint8Array[]
}

/** Why a batch is refused. */
export class GossipRefusal extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** Signs payloads for a topic. The nonce makes two batches with the same payloads differ, as gossip drops what it has seen. */
export async function sealGossip(
  identity: Identity,
  topic: string,
  payloads: readonly Uint8Array[],
  options: { now: number; random: Random },
): Promise<Uint8Array> {
  const body = encode([VERSION, identity.id, topic, options.now, options.random.bytes(8), [...payloads]])
  return encode([body, await identity.sign(LABEL, body)])
}

/**
 * Checks what gossip brought: size, form, topic, age, then the signature.
 * @throws GossipRefusal
 */
export async function openGossip(
  topic: string,
  data: Uint8Array,
  options: { now: number; maxBytes: number; skew?: number },
): Promise<GossipBatch> {
  if (data.length > options.maxBytes) throw new GossipRefusal('too-large', `${data.length} bytes`)
  const [body, signature] = array(data, 2)
  if (!(body instanceof Uint8Array) || !(signature instanceof Uint8Array)) throw malformed('not two byte strings')
  const [version, author, named, time, nonce, payloads] = array(body, 6)
  if (version !== VERSION) throw new GossipRefusal('wrong-version', `version ${String(version)}`)
  if (typeof author !== 'string' || !isAgentId(author)) throw malformed('the author is not an agent id')
  if (named !== topic) throw new GossipRefusal('not-for-us', 'signed for another topic')
  if (!Number.isSafeInteger(time)) throw malformed('the time is not a number of milliseconds')
  if (!(nonce instanceof Uint8Array) || nonce.length !== 8) throw malformed('the nonce has not 8 bytes')
  if (!Array.isArray(payloads) || payloads.length === 0 || payloads.length > GOSSIP_BATCH_SIZE) {
    throw malformed('the payloads are none or too many')
  }
  if (!payloads.every(payload => payload instanceof Uint8Array)) throw malformed('a payload is not bytes')
  if (Math.abs(options.now - (time as number)) > (options.skew ?? GOSSIP_SKEW)) {
    throw new GossipRefusal('clock-skew', `signed ${options.now - (time as number)} ms ago`)
  }
  if (!(await verifySignature(author, LABEL, body, signature))) {
    throw new GossipRefusal('bad-signature', `not signed by ${author}`)
  }
  return { author, time: time as number, payloads: payloads as Uint8Array[] }
}

function array(bytes: Uint8Array, length: number): unknown[] {
  let value: unknown
  try {
    value = decode(bytes)
  } catch (error) {
    const tooDeep = error instanceof AfpMessageError && error.details.reason === 'too-deep'
    throw new GossipRefusal(tooDeep ? 'too-deep' : 'malformed', 'not deterministic CBOR')
  }
  if (!Array.isArray(value) || value.length !== length) throw malformed(`not an array of ${length}`)
  return value
}

const malformed = (why: string): GossipRefusal => new GossipRefusal('malformed', why)
