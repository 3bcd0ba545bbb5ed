/**
 * Hybrid public key encryption (RFC 9180) in base mode, to export keys: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
 * AES-256-GCM. Written on the room's own primitives rather than on a library, so that Node, browsers and pages without
 * WebCrypto run the same lines; nothing is sealed with the context itself, so its key and nonce are never derived.
 */

import { primitives } from '#crypto'
import { concat, utf8 } from '../common/bytes.ts'
import { AfpSecurityError } from '../common/errors.ts'
import type { Random } from '../common/random.ts'
import { expand, extract } from './hkdf.ts'
import { type Bytes, KEY_BYTES } from './primitives.ts'

const VERSION = utf8('HPKE-v1')
/** "KEM" and the id of DHKEM(X25519, HKDF-SHA256), 0x0020 (RFC 9180, section 4.1). */
const KEM_SUITE = concat([utf8('KEM'), Uint8Array.of(0x00, 0x20)])
/** "HPKE" and the ids of the KEM, of HKDF-SHA256, 0x0001, and AES-256-GCM, 0x0002 (RFC 9180, section 5.1). */
const HPKE_SUITE = concat([utf8('HPKE'), Uint8Array.of(0x00, 0x20, 0x00, 0x01, 0x00, 0x02)])
/** mode_base (RFC 9180, section 5). */
const MODE_BASE = Uint8Array.of(0)
const NOTHING = new Uint8Array(0)

/** An X25519 key with both its halves, 32 bytes each. */
export interface AgreementKey {
  readonly publicKey: Uint8Array
  readonly privateKey: Uint8Array
}

/** What both sides share after the setup. */
export interface ExportContext {
  /** A secret of `length` bytes for one use, named by `context` (RFC 9180, section 5.3). */
  exportSecret(context: Uint8Array, length: number): Promise<Bytes>
}

/** The sender's side: with what the recipient needs. */
export interface SenderContext extends ExportContext {
  /** The encapsulated key, 32 bytes, to be sent. */
  readonly enc: Bytes
}

/** A new X25519 key. */
export async function generateKey(random: Random): Promise<AgreementKey & { readonly publicKey: Bytes }> {
  const privateKey = random.bytes(KEY_BYTES)
  return { privateKey, publicKey: await primitives.x25519PublicKey(privateKey) }
}

/**
 * SetupBaseS (RFC 9180, section 5.1.1): agrees on secrets with whoever has the private half of `recipient`.
 * @throws AfpSecurityError INVALID_KEY for a public key of another length, or one that agrees on nothing
 */
export async function setupSender(recipient: Uint8Array, info: Uint8Array, random: Random): Promise<SenderContext> {
  checkLength(recipient)
  const { privateKey, publicKey: enc } = await generateKey(random)
  const shared = await primitives.x25519(privateKey, recipient)
  privateKey.fill(0)
  return { enc, ...(await schedule(shared, enc, recipient, info)) }
}

/**
 * SetupBaseR (RFC 9180, section 5.1.1). Who sent `enc` is not proved here.
 * @throws AfpSecurityError INVALID_KEY for an encapsulated key of another length, or one that agrees on nothing
 */
export async function setupReceiver(enc: Uint8Array, own: AgreementKey, info: Uint8Array): Promise<ExportContext> {
  checkLength(enc)
  return schedule(await primitives.x25519(own.privateKey, enc), enc, own.publicKey, info)
}

/** ExtractAndExpand of the KEM (section 4.1), then the key schedule of mode_base (section 5.1), down to the exporter. */
async function schedule(
  shared: Uint8Array,
  enc: Uint8Array,
  recipient: Uint8Array,
  info: Uint8Array,
): Promise<ExportContext> {
  const eaePrk = await labeledExtract(KEM_SUITE, NOTHING, 'eae_prk', shared)
  const kemSecret = await labeledExpand(KEM_SUITE, eaePrk, 'shared_secret', concat([enc, recipient]), KEY_BYTES)
  const context = concat([
    MODE_BASE,
    await labeledExtract(HPKE_SUITE, NOTHING, 'psk_id_hash', NOTHING),
    await labeledExtract(HPKE_SUITE, NOTHING, 'info_hash', info),
  ])
  const secret = await labeledExtract(HPKE_SUITE, kemSecret, 'secret', NOTHING)
  const exporterSecret = await labeledExpand(HPKE_SUITE, secret, 'exp', context, KEY_BYTES)
  return {
    exportSecret: (exporterContext, length) =>
      labeledExpand(HPKE_SUITE, exporterSecret, 'sec', exporterContext, length),
  }
}

/** LabeledExtract (RFC 9180, section 4). */
const labeledExtract = (suite: Uint8Array, salt: Uint8Array, label: string, secret: Uint8Array): Promise<Bytes> =>
  extract(salt, concat([VERSION, suite, utf8(label), secret]))

/** LabeledExpand (RFC 9180, section 4). */
const labeledExpand = (
  suite: Uint8Array,
  key: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Promise<Bytes> =>
  expand(key, concat([Uint8Array.of(length >> 8, length & 0xff), VERSION, suite, utf8(label), info]), length)

function checkLength(publicKey: Uint8Array): void {
  if (publicKey.length !== KEY_BYTES) {
    throw new AfpSecurityError('INVALID_KEY', `an X25519 key has ${KEY_BYTES} bytes, this one ${publicKey.length}`)
  }
}
