/** Mistakes in what is signed, sealed and authenticated, and in who may say what. */

import type { Bug } from './plant.ts'

const opening = 'src/security/opening.ts'
const delivery = 'src/delivery/delivery.ts'
const verified = 'verifySignature(author, LABEL, body, signature)'

/** See the head of this file. */
export const SEAL_BUGS: readonly Bug[] = [
  {
    name: 'enc-unsigned',
    breaks:
      'The encapsulated key is not among what the author of an opening signs: whoever is on the way puts in its own.',
    file: opening,
    find: 'await author.sign(LABEL, body)',
    put: 'await author.sign(LABEL, encode([...head, tail]))',
    also: [
      { file: opening, find: verified, put: verified.replace('body', 'encode([...fields.slice(0, 9), earlier])') },
    ],
  },
  {
    name: 'opening-not-verified',
    breaks: 'Nobody looks whether the author of an opening has signed it.',
    file: opening,
    find: `if (!known && !(await ${verified}))`,
    put: `if (!known && (await ${verified}) === undefined)`,
  },
  {
    name: 'epoch-not-bound-to-its-opening',
    breaks: 'The id of an epoch depends on a part of its opening alone: anybody can take the name of another.',
    file: opening,
    find: 'await primitives.sha256(packet)',
    put: 'await primitives.sha256((read(list(read(packet))[0] as Uint8Array) as Fields)[7])',
  },
  {
    name: 'opening-of-another-author',
    breaks: 'Whoever sends an opening counts as its author.',
    file: 'src/delivery/incoming.ts',
    find: 'if (author !== this.author) return',
    put: 'if (author === undefined) return',
  },
  {
    name: 'header-not-authenticated',
    breaks: 'The header of an envelope is not among what its seal authenticates.',
    file: 'src/security/seal.ts',
    find: 'key.seal(nonceOf(counted), header, pad(plaintext))',
    put: 'key.seal(nonceOf(counted), new Uint8Array(0), pad(plaintext))',
    also: [
      {
        file: 'src/security/seal.ts',
        find: 'key.open(nonceOf(counted), header, sealed)',
        put: 'key.open(nonceOf(counted), new Uint8Array(0), sealed)',
      },
    ],
  },
  {
    name: 'counters-share-nonces',
    breaks: 'A message without a number and one with it have the same nonce where their counts are the same.',
    file: 'src/security/nonce.ts',
    find: 'if (!numbered) nonce[0] = UNNUMBERED',
    put: 'void numbered',
  },
  {
    name: 'unnumbered-taken-twice',
    breaks: 'A message that is sent at most once is handled each time a copy of it comes.',
    file: 'src/delivery/in-epoch.ts',
    find: 'number <= this.#most - ONCE_WINDOW || this.#once.has(number)',
    put: 'number <= this.#most - ONCE_WINDOW',
  },
  {
    name: 'ack-of-anothers-epoch',
    breaks: 'Anybody may acknowledge what was sent to somebody else.',
    file: delivery,
    find: 'await Promise.all(acks.map(ack => own.has(ack.epoch) && outgoing?.acked(ack)))',
    put: 'await Promise.all(acks.flatMap(ack => this.#recipients.all().map(each => own && each.acked(ack))))',
  },
  {
    name: 'lost-key-not-verified',
    breaks: 'Nobody looks whether a recipient has signed that it lost a key: what has arrived is sent again.',
    file: delivery,
    find: 'if (!(await verifySignature(from, LOST_KEY_LABEL,',
    put: 'if (own.length === 0 && !(await verifySignature(from, LOST_KEY_LABEL,',
  },
]
