/** The golden frames of test/vectors/protocol: their form, as docs/protocol.md describes it, and what reads them. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const folder = join(import.meta.dirname, '../vectors/protocol')

/** What a frame says: numbers, text, booleans, `null`; byte strings in hex. */
export type Value = Readonly<Record<string, unknown>>

/** What came of reading a frame. */
export type Outcome = { readonly value: Value } | { readonly refused: string }

export type Kind =
  | 'card'
  | 'message'
  | 'gossip'
  | 'presence'
  | 'channel'
  | 'hello'
  | 'control'
  | 'opening'
  | 'envelope'
  | 'acks'
  | 'states'
  | 'unknown'
  | 'lost-key'
  | 'topic'

/** What the reader of a frame knows. */
export interface Knows {
  /** Agent ids. */
  readonly self?: string
  readonly author?: string
  readonly peer?: string
  /** Of a gossipsub topic; of a message, the name of the topic that it came over. */
  readonly topic?: string
  /** The name of a topic, for its gossipsub topic; absent for presence. */
  readonly topicName?: string
  /** The largest frame. */
  readonly limit?: number
  /** What the reader has sent on the channel. */
  readonly sent?: { readonly bytes: number; readonly frames: number }
  /** The name of the case whose epoch an envelope is of. */
  readonly opening?: string
}

export interface Case extends Knows {
  readonly name: string
  readonly kind: Kind
  readonly bytes: string
  readonly zeros?: number
  readonly value?: Value
  readonly refused?: string
  readonly entropy?: readonly string[]
  /** This package reads such bytes, and writes others. */
  readonly foreign?: true
}

export interface AgentKeys {
  readonly seed: string
  readonly publicKey: string
  readonly id: string
}

export interface PrekeyKeys {
  readonly privateKey: string
  readonly publicKey: string
  readonly id: string
  readonly notAfter: number
}

/** What every case of a file shares. */
export interface World {
  readonly protocol: 'AFP/1'
  readonly mesh: string
  readonly now: number
  readonly agents: Readonly<Record<string, AgentKeys>>
  readonly prekeys: Readonly<Record<string, PrekeyKeys>>
}

export interface VectorFile extends World {
  readonly cases: readonly Case[]
}

/** A file of cases, and the digest of its bytes. */
export function readVectors(name: string): { file: VectorFile; digest: string } {
  const text = readFileSync(join(folder, name))
  return {
    file: JSON.parse(text.toString('utf8')) as VectorFile,
    digest: createHash('sha256').update(text).digest('hex'),
  }
}

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(hex, 'hex'))

/** What came, of a case. */
export function frameIn({ bytes, zeros = 0 }: Case): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(bytes.length / 2 + zeros)
  frame.set(bytesOf(bytes))
  return frame
}

/** The case that an envelope's epoch is from. */
export function openingOf({ opening }: Pick<Case, 'opening'>, cases: readonly Case[]): Case {
  const found = cases.find(({ name, kind }) => kind === 'opening' && name === opening)
  if (found === undefined) throw new Error(`there is no opening ${opening}`)
  return found
}

/** Refused, for a reason that was not thrown. */
export class Refused extends Error {
  readonly reason: string

  constructor(reason: string) {
    super(`refused: ${reason}`)
    this.reason = reason
  }
}
