/** Cards for tests. */

import { type Card, type CardFields, signCard } from '../../src/identity/card.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'

export const NOW = Date.UTC(2026, 0, 1)

export const fields: CardFields = {
  mesh: 'demo',
  name: 'ada',
  description: 'adds numbers',
  capabilities: ['sum'],
  addresses: ['/ip4/127.0.0.1/tcp/4001'],
  instance: '0011223344556677',
  seq: NOW,
  expiresAt: NOW + 86_400_000,
}

/** A card of a new identity, or of the given one. */
export async function card(changed: Partial<CardFields> = {}, identity?: Identity): Promise<Card> {
  return signCard(identity ?? (await createIdentity()), { ...fields, ...changed })
}
