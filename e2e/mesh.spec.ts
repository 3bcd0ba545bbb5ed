import { allDirect } from './fixtures/expectations.ts'
import { expect, test } from './fixtures/test.ts'
import type { Told } from './page/driver.ts'

// One after the other: each of them has as many links to make as two cores can bear.
test.describe.configure({ mode: 'default' })

test('ten tabs link every one with every other, directly', async ({ tabs }) => {
  test.slow()
  const started = performance.now()
  const agents = await Promise.all(Array.from({ length: 10 }, (_, at) => tabs.join(`tab ${at}`)))
  const joined = performance.now()
  const ids = agents.map(({ id }) => id)
  await Promise.all(
    agents.map(agent =>
      agent.untilLinked(
        ids.filter(id => id !== agent.id),
        'direct webrtc',
        150_000,
      ),
    ),
  )
  const seconds = (from: number): string => ((performance.now() - from) / 1_000).toFixed(1)
  tell(`a full mesh of 10 tabs took ${seconds(joined)} s, ${seconds(started)} s with loading the pages`)

  const [first, last] = [agents[0], agents[9]]
  if (!first || !last) throw new Error('ten tabs were opened')
  await first.broadcast('everyone?')
  for (const agent of agents.slice(1)) {
    await agent.untilHeard('everyone?')
  }
  expect(await last.request(first.name, 'me too')).toMatchObject({ from: first.id })
})

test('of twenty pairs of strangers each is linked at the first dial', async ({ tabs, mesh }) => {
  const [here, there] = [await tabs.open(), await tabs.open()]
  const link = async (pair: number): Promise<number> => {
    const options = { mesh: `${mesh}-${pair}`, identity: 'ephemeral' } as const
    const [one, other] = await Promise.all([
      here.create({ ...options, name: 'one' }, `${pair}`),
      there.create({ ...options, name: 'other' }, `${pair}`),
    ])
    await allDirect(one, other)
    const told = await one.told()
    const at = (event: Partial<Told>): number =>
      told.find(entry => Object.entries(event).every(([key, value]) => entry[key as keyof Told] === value))?.at ??
      Number.NaN
    await Promise.all([one.close(), other.close()])
    return at({ transport: 'webrtc', peer: other.id }) - at({ type: 'peer:online', id: other.id })
  }
  const took: number[] = []
  for (let pair = 0; pair < 20; pair += 4) {
    took.push(...(await Promise.all([0, 1, 2, 3].map(more => link(pair + more)))))
  }
  took.sort((a, b) => a - b)
  tell(
    `of 20 pairs half were linked within ${took[9]?.toFixed(0)} ms of meeting, the last within ${took[19]?.toFixed(0)} ms`,
  )
  expect(took).toHaveLength(20)
  // A dial that waits for an event which has passed gives up after 6 s.
  expect(took.filter(ms => !(ms < 6_000))).toEqual([])
})

/** Puts a measured time where people and reports see it. */
function tell(description: string): void {
  test.info().annotations.push({ type: 'duration', description })
  process.stdout.write(`${description}\n`)
}
