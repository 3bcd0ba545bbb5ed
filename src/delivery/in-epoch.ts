/** An author's epoch at its recipient: its key, and what is not in its feed. */

import { type AeadKey, importKey } from '../security/aead.ts'

/** Unnumbered messages of an epoch that are remembered. */
const ONCE_WINDOW = 1_024

/**
 * How long after the end of its key an epoch is kept of which its author says nothing more, ms: the longest time to
 * live, and a day for clocks that are apart. Nothing is sealed after that end, so all of it has expired; its opening, and
 * the prekey that this was sealed to, are over two weeks after it.
 */
export const KEEP_ENDED = 31 * 86_400_000

/** An epoch as it was stored. */
export interface KeptEpoch {
  readonly id: string
  readonly key: Uint8Array
  /** When its key ends, ms since 1970. */
  readonly notAfter: number
  /** The author's epochs that were unsettled before it. */
  readonly earlier: readonly string[]
  /** Of its feed. */
  readonly snapshot: unknown
}

/** See the head of this file. */
export class InEpoch {
  readonly kept: Omit<KeptEpoch, 'snapshot'>
  readonly key: AeadKey
  /** It is on the disk, as it is from its first numbered message on: nothing else of it outlives this run. */
  stored: boolean
  /** The unnumbered ones that came, by their count. */
  readonly #once = new Set<number>()
  #most = 0

  private constructor(kept: Omit<KeptEpoch, 'snapshot'>, key: AeadKey, stored: boolean) {
    this.kept = kept
    this.key = key
    this.stored = stored
  }

  static async open({ id, key, notAfter, earlier }: Omit<KeptEpoch, 'snapshot'>, stored: boolean): Promise<InEpoch> {
    return new InEpoch({ id, key, notAfter, earlier }, await importKey(key), stored)
  }

  get id(): string {
    return this.kept.id
  }

  /** Whether everything that can have been sealed in it has expired. */
  isOver(now: number): boolean {
    return this.kept.notAfter + KEEP_ENDED < now
  }

  /** Whether no unnumbered message has come. */
  get untouched(): boolean {
    return this.#most === 0
  }

  /** Whether an unnumbered message has come, or is too old to tell. */
  hadOnce(number: number): boolean {
    return number <= this.#most - ONCE_WINDOW || this.#once.has(number)
  }

  /** An unnumbered message was authenticated. */
  noteOnce(number: number): void {
    this.#once.add(number)
    if (number <= this.#most) return
    this.#most = number
    // Those that came first are the oldest, near enough: what stays a little longer does no harm.
    for (const old of this.#once) {
      if (old > number - ONCE_WINDOW) break
      this.#once.delete(old)
    }
  }
}

/** The epochs of one author that can be read. */
export class InEpochs {
  /** Of all authors. */
  readonly #readable: Set<string>
  readonly #byId = new Map<string, InEpoch>()

  constructor(readable: Set<string>) {
    this.#readable = readable
  }

  get(id: string): InEpoch | undefined {
    return this.#byId.get(id)
  }

  all(): InEpoch[] {
    return [...this.#byId.values()]
  }

  add(epoch: InEpoch): void {
    this.#byId.set(epoch.id, epoch)
    this.#readable.add(epoch.id)
  }

  /** Returns whether it is on the disk. */
  letGo(id: string): boolean {
    const stored = this.#byId.get(id)?.stored === true
    if (this.#byId.delete(id)) this.#readable.delete(id)
    return stored
  }
}

/** What tells an envelope from another at its number: 48 bits of the tag, which depends on every byte. */
export function fingerprintOf(sealed: Uint8Array): number {
  let value = 0
  for (const byte of sealed.subarray(-6)) value = value * 256 + byte
  return value
}
