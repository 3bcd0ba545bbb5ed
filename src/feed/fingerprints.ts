/** Notices a number that was used for two envelopes: its author is broken, or was copied with its keys. */

/** Fingerprints kept; the oldest gives way. */
const MAX_FINGERPRINTS = 1_024

/** See the head of this file. */
export class Fingerprints {
  readonly #byNumber = new Map<number, number>()

  /** True when the number has another already. @param note whether to keep this one where it has none */
  conflict(number: number, fingerprint: number, note: boolean): boolean {
    const known = this.#byNumber.get(number)
    if (known !== undefined) return known !== fingerprint
    if (!note) return false
    this.#byNumber.set(number, fingerprint)
    if (this.#byNumber.size <= MAX_FINGERPRINTS) return false
    for (const oldest of this.#byNumber.keys()) {
      this.#byNumber.delete(oldest)
      break
    }
    return false
  }

  /** Forgets all up to a number. */
  forget(upTo: number): void {
    for (const number of this.#byNumber.keys()) if (number <= upTo) this.#byNumber.delete(number)
  }
}
