/** Ids for messages that the page shows before its agent has them. */

/** A new UUID (version 4). `crypto.randomUUID` is not there on pages that came over plain http. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const digits = [...bytes].map((byte, at) => {
    // The version and the variant of RFC 9562.
    const set = at === 6 ? 0x40 | (byte & 0x0f) : at === 8 ? 0x80 | (byte & 0x3f) : byte
    return `${[4, 6, 8, 10].includes(at) ? '-' : ''}${set.toString(16).padStart(2, '0')}`
  })
  return digits.join('')
}
