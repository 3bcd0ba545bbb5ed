import { beforeEach, describe, expect, it } from 'vitest'
import { freeNames, holdName, namesHeld, namesToOffer, rememberName, suggestName } from '../../demo/names.ts'

const KEY = 'agent-flow-demo-names'
const { locks } = navigator
const kept = localStorage

beforeEach(() => kept.clear())

describe('the names that were used in a browser', () => {
  it('are offered in their mesh, the latest first, each once and as what it was', async () => {
    expect(await namesToOffer(kept, locks, 'order')).toEqual([])
    for (const name of ['Yan', 'Zoe', 'Yan']) rememberName(kept, 'order', { name, as: 'person' })
    rememberName(kept, 'order', { name: 'Zoe', as: 'echo' })
    rememberName(kept, 'elsewhere', { name: 'Ada', as: 'person' })
    const offered = [
      { name: 'Zoe', as: 'echo' },
      { name: 'Yan', as: 'person' },
    ]
    expect(await namesToOffer(kept, locks, 'order')).toEqual(offered)
  })

  it('are not offered while a tab has them, whichever mesh another of that name is in', async () => {
    for (const name of ['Yan', 'Zoe']) rememberName(kept, 'held', { name, as: 'person' })
    holdName(locks, 'other', 'Yan')
    holdName(locks, 'held', 'Zoe')
    holdName(locks, 'held', 'Zoe')
    expect(await namesToOffer(kept, locks, 'held')).toEqual([{ name: 'Yan', as: 'person' }])
    expect(await namesToOffer(kept, undefined, 'held')).toEqual([])
  })

  it('are few: the oldest give way, in one mesh and in all', async () => {
    for (let mesh = 0; mesh < 20; mesh++)
      for (let name = 0; name < 9; name++) rememberName(kept, `${mesh}`, { name: `n${name}`, as: 'person' })
    expect((await namesToOffer(kept, locks, '19')).map(({ name }) => name)).toEqual(['n8', 'n7', 'n6', 'n5', 'n4'])
    expect(await namesToOffer(kept, locks, '15')).toHaveLength(5)
    expect(await namesToOffer(kept, locks, '14')).toEqual([])
    expect(JSON.parse(kept.getItem(KEY) ?? '')).toHaveLength(25)
  })

  it('count as none where they are broken or cannot be kept', async () => {
    for (const broken of ['{broken', '{}', '"x"', '[null, 5, {"mesh":"m"}, {"mesh":"m","name":""}]']) {
      kept.setItem(KEY, broken)
      expect(await namesToOffer(kept, locks, 'm')).toEqual([])
    }
    kept.setItem(KEY, '[null, {"mesh":"m","name":"Yan","as":"constructor"}]')
    expect(await namesToOffer(kept, locks, 'm')).toEqual([{ name: 'Yan', as: 'person' }])
    for (let size = 4_194_304; size >= 1; ) {
      try {
        kept.setItem(`ballast ${size}`, (kept.getItem(`ballast ${size}`) ?? '') + 'x'.repeat(size))
      } catch {
        size /= 2
      }
    }
    rememberName(kept, 'm', { name: 'Zoe', as: 'person' })
    expect(await namesToOffer(kept, locks, 'm')).toEqual([{ name: 'Yan', as: 'person' }])
  })
})

describe('the names that are suggested', () => {
  const names = ['Ada', 'Grace', 'Linus']

  it('are those that nobody has, each by its chance; where all are taken, one with a number that is free', () => {
    const taken = new Set(['Grace'])
    expect(freeNames(names, taken)).toEqual(['Ada', 'Linus'])
    expect([0, 1, 2, 4_294_967_295].map(chance => suggestName(names, taken, chance))).toEqual([
      'Ada',
      'Linus',
      'Ada',
      'Linus',
    ])
    const all = new Set([...names, 'Grace 2'])
    expect([0, 1].map(chance => suggestName(names, all, chance))).toEqual(['Ada 2', 'Grace 3'])
  })

  it('count as taken while a tab has them in this mesh, until it lets go of them', async () => {
    holdName(locks, 'taken', 'Ada')
    holdName(locks, 'elsewhere', 'Linus')
    const letGo = holdName(locks, 'taken', 'Grace')
    // Another program of the same origin may have locks of any name.
    for (const name of ['agent-flow-demo {broken', 'agent-flow-demo 5', 'theirs'])
      void locks.request(name, () => new Promise(() => {}))
    expect(await namesHeld(locks, 'taken')).toEqual(new Set(['Ada', 'Grace']))
    letGo()
    await expect.poll(() => namesHeld(locks, 'taken')).toEqual(new Set(['Ada']))
    expect(await namesHeld(undefined, 'taken')).toEqual(new Set())
  })
})
