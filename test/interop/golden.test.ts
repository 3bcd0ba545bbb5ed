/**
 * The golden frames of AFP/1. Their files are kept for ever: what a released version says, later ones go on reading, and
 * write where they write that version. A digest that does not fit means that a file was changed: put it back. New frames go
 * into new files beside these, with digests of their own. Nothing here writes a file; `make-vectors.ts` did.
 */

import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { folder, frameIn, hexOf, readVectors } from './cases.ts'
import { judge } from './judge.ts'
import { remake } from './remake.ts'

/** SHA-256 of each file. */
const DIGESTS: Readonly<Record<string, string>> = {
  'bundles.json': '1e747a3d911f3be4e358b09ef90d223b7f2049faf371884c9715159253bdf93e',
  'cards-prekeys.json': '3c35301f1c19e4b9a08b02fba14b757492d1802076854d62c0bace3edeca04dd',
  'cards.json': 'f43235b7543a52f3ea386893c18b615da6480b07ffe2521d271a9a76d898394a',
  'channel.json': '2dccb139b863dc4b154ad139d8d66fbe549333634e3928f4773b30873e058699',
  'delivery.json': 'b0988cd058daa6ba2bc1e131287dee8d93f6441a6002a253c16e46c44d8f9f18',
  'gossip.json': '302828ab7572fa8d62233ef020a67c0c9d3e71f52bb933f3f50eea0c13b72773',
  'hellos-least.json': 'caa7ccf4cbdf921e296ececc8b887b01d8c001260190a38fde1f297681b5ce27',
  'hellos.json': 'ab4c94b70bc86d5da2cf75d643ce3cc3f6558266ed639526f170c6ea66c6b9bd',
  'items.json': '18e7255817d3cccfa17312cf40d54c745829c69436fdffa0f658712fb1a03601',
  'messages.json': '5e02d0a20e641d94dd76639af8dac44736b7be009e0856875b9dbc3f317d900d',
  'signatures.json': 'd0734bae4f16b56705eb809dea61de9c45c2b98b454d6e63b9938e810049cc0e',
}

test('Every file of golden frames has its digest here.', () => {
  expect(readdirSync(folder).toSorted()).toEqual(Object.keys(DIGESTS))
})

describe.each(Object.entries(DIGESTS))('%s', (name, frozen) => {
  const { file, digest } = readVectors(name)

  test('is as it was', () => {
    expect(digest).toBe(frozen)
  })

  test.each(file.cases)('$name', async given => {
    const outcome = given.value === undefined ? { refused: given.refused } : { value: given.value }
    expect(await judge(given, file, file.cases)).toEqual(outcome)
    if (given.value === undefined || given.foreign) return
    expect(hexOf(await remake(given, file, file.cases))).toBe(hexOf(frameIn(given)))
  })
})
