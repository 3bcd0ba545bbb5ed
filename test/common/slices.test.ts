import { expect, it } from 'vitest'
import { nextTask, SLICE_BYTES, SLICE_ITEMS, Slices } from '../../src/common/slices.ts'

it('a slice is full after so many items, or so many bytes, and the next one begins with nothing', async () => {
  let turns = 0
  const slices = new Slices(async () => void turns++)
  for (let round = 0; round < 2; round++) {
    for (let i = 1; i < SLICE_ITEMS; i++) expect(slices.did()).toBe(false)
    expect(slices.did()).toBe(true)
    await slices.pause()
    expect(slices.full).toBe(false)
  }
  expect(slices.did(SLICE_BYTES - 1)).toBe(false)
  expect(slices.did(1)).toBe(true)
  await slices.pause()
  expect(slices.did(0, SLICE_ITEMS)).toBe(true)
  expect(turns).toBe(3)
})

it('others have their turn before the next slice begins', async () => {
  const seen: string[] = []
  setImmediate(() => seen.push('other'))
  await nextTask()
  seen.push('next')
  expect(seen).toEqual(['other', 'next'])
})
