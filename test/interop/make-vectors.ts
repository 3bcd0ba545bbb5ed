/**
 * Writes golden frames: `node --conditions=afp-source test/interop/make-vectors.ts`. Everything is fixed, clocks and
 * randomness too, so that the same bytes come again; a file that is there stays as it is. Files of a version are kept for
 * ever: what this program would write otherwise by then belongs into new files beside them.
 */

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from './cases.ts'
import { folder } from './cases.ts'
import { bundles } from './make/bundles.ts'
import { cards, prekeyCards } from './make/cards.ts'
import { channel } from './make/channel.ts'
import { delivery } from './make/delivery.ts'
import { gossip, strangeSignatures } from './make/gossip.ts'
import { hellos, items, leastHellos } from './make/hellos.ts'
import { world } from './make/maker.ts'
import { messages } from './make/messages.ts'

/** One case on each line: a file this long is read with a search. */
function textOf(cases: readonly Case[]): string {
  const head = JSON.stringify({ ...world, cases: [] }, undefined, 2)
  const lines = cases.map(one => `    ${JSON.stringify(one)}`)
  return head.replace('"cases": []', () => `"cases": [\n${lines.join(',\n')}\n  ]`).concat('\n')
}

const makers = {
  bundles,
  cards,
  'cards-prekeys': prekeyCards,
  channel,
  delivery,
  gossip,
  hellos,
  'hellos-least': leastHellos,
  items,
  messages,
  signatures: strangeSignatures,
}
const target = process.argv[2] ?? folder
for (const [name, make] of Object.entries(makers)) {
  const path = join(target, `${name}.json`)
  if (!existsSync(path)) writeFileSync(path, textOf((await make()).cases))
}
