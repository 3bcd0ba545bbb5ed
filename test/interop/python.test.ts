/**
 * A decoder in another language, written from docs/protocol.md alone, reads the golden frames: every value and every
 * refusal is the one that is in the file. Then both are shown the same frames with something changed, and have to agree.
 */

import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/common/random.ts'
import { type Case, folder, type Kind, type Outcome, readVectors } from './cases.ts'
import { judge } from './judge.ts'
import { mutated } from './mutations.ts'
import { askPython } from './python.ts'

/** Changed frames for each golden one; few where a key guards everything, so that nearly all are refused. */
const changes = (kind: Kind): number => (kind === 'topic' ? 0 : kind === 'opening' || kind === 'envelope' ? 3 : 10)

/** What the changes are drawn from: the same in every run, and another one where `AFP_SEED` names it. */
const seeds = [...new Set([1, 2, 3, Number(process.env.AFP_SEED ?? 1)])]

const UNSIGNED: ReadonlySet<Kind> = new Set(['message', 'acks', 'control'])

const wanted = ({ name, value, refused }: Case): readonly [string, Outcome] => [
  name,
  value === undefined ? { refused: refused as string } : { value },
]

/** Whose reasons for a refusal are its own: of several faults in one frame, each finds another first. */
const withoutReason = (outcome: Outcome): unknown => ('refused' in outcome ? 'refused' : outcome.value)

describe.each(readdirSync(folder))('%s in Python', name => {
  const { file } = readVectors(name)

  test('says what it says here, and what is refused here is refused for the same reason', async () => {
    const said = await askPython(file)
    expect(said).toHaveLength(file.cases.length)
    expect(said.map((outcome, i) => [file.cases[i]?.name, outcome])).toEqual(file.cases.map(wanted))
  })

  test.each(seeds)(
    'with something changed, seed %i, says what it says here, or is refused in both',
    async seed => {
      const random = seededRandom(seed)
      const openings = file.cases.filter(({ kind }) => kind === 'opening')
      const changed = file.cases.flatMap(given =>
        Array.from({ length: changes(given.kind) }, (_, i) => mutated(given, i, random)),
      )
      const said = (await askPython({ ...file, cases: [...openings, ...changed] })).slice(openings.length)
      let values = 0
      for (const [i, given] of changed.entries()) {
        const ours = await judge(given, file, openings)
        const why = `seed ${seed}, ${given.name}: ${given.bytes.slice(0, 2_000)}`
        expect(withoutReason(said[i] as Outcome), why).toEqual(withoutReason(ours))
        if ('value' in ours) values++
      }
      // Where no signature is over everything some changes leave sense: not only refusals were compared.
      if (file.cases.some(({ kind }) => UNSIGNED.has(kind))) expect(values, `seed ${seed}`).toBeGreaterThan(0)
    },
    60_000,
  )
})
