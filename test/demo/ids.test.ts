import { afterEach, expect, it, vi } from 'vitest'
import { newId } from '../../demo/ids.ts'

afterEach(() => vi.unstubAllGlobals())

it('makes UUIDs where there is no crypto.randomUUID, as on pages that came over plain http', () => {
  vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) })
  const ids = Array.from({ length: 200 }, newId)
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(new Set(ids).size).toBe(ids.length)
})
