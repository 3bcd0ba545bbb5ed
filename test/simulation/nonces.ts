/** Watches every seal of a process: one key and one nonce never seal two different things, over restarts neither. */

import { createHash } from 'node:crypto'
import { primitives } from '#crypto'
import { toHex } from '../../src/common/bytes.ts'
import type { AeadKey } from '../../src/security/primitives.ts'

/** Tells of each nonce that is used again; call what is returned when nothing is to be watched any more. */
export function watchNonces(onReused: (what: string) => void): () => void {
  const { importKey } = primitives
  const sealed = new Map<string, string>()
  primitives.importKey = bytes => {
    // In Node it is there at once.
    const key = importKey(bytes) as AeadKey
    const name = toHex(bytes)
    return {
      open: (...args) => key.open(...args),
      seal: (nonce, aad, plaintext) => {
        const place = `${name} ${toHex(nonce)}`
        const what = createHash('sha256').update(`${aad.length} `).update(aad).update(plaintext).digest('hex')
        if ((sealed.get(place) ?? what) !== what) onReused(`a nonce is used for two messages: ${toHex(nonce)}`)
        sealed.set(place, what)
        return key.seal(nonce, aad, plaintext)
      },
    }
  }
  return () => {
    primitives.importKey = importKey
  }
}
