/**
 * What travels in gossip: payloads of one author for one topic, several together under one signature, so that every
 * peer on the way, relays included, can tell who wrote them and drop what nobody signed.
 */

import { sha256 } from '@noble/hashes/sha2.js'
import { concat, utf8 } from '../common/bytes.ts'
import type { Random } from '../common/random.ts'
import { type Identity, isAgentId, verifySignature } from '../identity/keys.ts'
import { BOUNDS } from '../message/bounds.ts'
import { encode } from '../message/codec.ts'
import { LEAST_FRAME_BYTES } from '../message/validate.ts'
import { Refusal, readArray } from './refusal.ts'

/** What keeps these signatures from being used for anything else. */
const LABEL = 'afp/1/gossip'
const VERSION = 1

/** How far an author's clock may be off, and how long a copy may be on its way, ms. */
export const GOSSIP_SKEW = 120_000

/** What gossip has beside its payloads, bytes, at most: topic, author, signature, and the heads of all there can be. */
const AROUND_BYTES = 4_096

/** Bytes of payloads that are signed together at the most: every agent takes as much. One payload may be larger. */
export const GOSSIP_BATCH_BYTES = LEAST_FRAME_BYTES - AROUND_BYTES

/** The largest gossip message of which anything is read, bytes. */
const MAX_GOSSIP_BYTES = 2 ** 20

/** The largest payload, bytes. */
export const MAX_PAYLOAD_BYTES = MAX_GOSSIP_BYTES - AROUND_BYTES

/** Payloads that are signed together at the most. */
export const GOSSIP_BATCH_SIZE = 256

/** Signed payloads whose author is proved. */
export interface GossipBatch {
  readonly author: string
  /** When it was signed, ms since 1970, by the author's clock. */
  readonly time: number
  readonly payloads: readonly Uint8Array[]
}

/**
 * The id of a gossip message: a hash of topic and data. Ids are noted before validators run: with one made of something
 * inside, a forged message sent first would keep the honest one from ever arriving, and with one of the data alone so
 * would a copy on another topic.
 */
export const gossipId = (topic: string, data: Uint8Array): Uint8Array =>
  sha256(concat([utf8(topic), Uint8Array.of(0), data]))

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
 * @throws Refusal
 */
export async function openGossip(
  topic: string,
  data: Uint8Array,
  options: { now: number; maxBytes: number; skew?: number },
): Promise<GossipBatch> {
  if (data.length > Math.min(options.maxBytes, MAX_GOSSIP_BYTES)) throw new Refusal('too-large', `${data.length} bytes`)
  const [body, signature] = array(data, 2)
  if (!(body instanceof Uint8Array) || !(signature instanceof Uint8Array)) throw malformed('not two byte strings')
  const [version, author, named, time, nonce, payloads] = array(body, 6)
  if (version !== VERSION) throw new Refusal('wrong-version', `version ${String(version)}`)
  if (typeof author !== 'string' || !isAgentId(author)) throw malformed('not an agent id')
  if (named !== topic) throw new Refusal('not-for-us', 'signed for another topic')
  if (!Number.isSafeInteger(time)) throw malformed('no time in ms')
  if (!(nonce instanceof Uint8Array) || nonce.length !== 8) throw malformed('no nonce of 8 bytes')
  if (!Array.isArray(payloads) || payloads.length === 0 || payloads.length > GOSSIP_BATCH_SIZE) {
    throw malformed('no payloads or too many')
  }
  if (!payloads.every(payload => payload instanceof Uint8Array)) throw malformed('not bytes')
  if (Math.abs(options.now - (time as number)) > (options.skew ?? GOSSIP_SKEW)) {
    throw new Refusal('clock-skew', `signed ${options.now - (time as number)} ms ago`)
  }
  if (!(await verifySignature(author, LABEL, body, signature))) {
    throw new Refusal('bad-signature', `not signed by ${author}`)
  }
  return { author, time: time as number, payloads: payloads as Uint8Array[] }
}

function array(bytes: Uint8Array, length: number): unknown[] {
  const items = readArray(bytes, 'not deterministic CBOR of an array', BOUNDS.gossip)
  if (items.length !== length) throw malformed(`not an array of ${length}`)
  return items
}

const malformed = (why: string): Refusal => new Refusal('malformed', why)
