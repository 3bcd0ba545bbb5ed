/** Base64 with padding (RFC 4648 §4). */

/** The text of bytes. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  // In pieces, since every byte of a piece becomes an argument.
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(binary)
}

/** The bytes of text; undefined unless it is exactly what {@link toBase64} would have written. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const bytes = Uint8Array.from(atob(text), char => char.charCodeAt(0))
    return toBase64(bytes) === text ? bytes : undefined
  } catch {
    return undefined
  }
}
