import { describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import { put, storeContract } from '../contracts/store.ts'

storeContract('memory', async () => ({ store: memoryStore() }))

describe('a memory store with a limit', () => {
  it('refuses with STORE_FULL what does not fit, whole, and leaves everything as it was', async () => {
    const store = memoryStore({ maxBytes: 1_000 })
    await store.commit({ writes: [1, 2, 3, 4].map(n => put([n], `row ${n}`)) })
    const before = await store.range('meta')
    const full = store.commit({
      writes: [
        put([2], 'changed'),
        { op: 'deleteRange', table: 'meta', range: { gte: [3] } },
        put([2.5], 'new'),
        { op: 'delete', table: 'meta', key: [1] },
        { op: 'delete', table: 'meta', key: [1] },
        put([0], new Uint8Array(1_000)),
      ],
    })
    await expect(full).rejects.toMatchObject({ name: 'AfpDataStoreError', code: 'STORE_FULL' })
    expect(await store.range('meta')).toEqual(before)
  })

  it('has room again for as many bytes as were deleted, however often', async () => {
    const store = memoryStore({ maxBytes: 1_000 })
    for (let i = 0; i < 50; i++) {
      await store.commit({ writes: [put(['large'], new Uint8Array(900))] })
      await expect(store.commit({ writes: [put(['more'], new Uint8Array(200))] })).rejects.toMatchObject({
        code: 'STORE_FULL',
      })
      await store.commit({ writes: [{ op: 'deleteRange', table: 'meta', range: {} }] })
    }
    expect(await store.count('meta')).toBe(0)
  })
})

describe('the options of a memory store', () => {
  it.each([
    ['a limit that is no number', { maxBytes: '5' }, 'memoryStore(): maxBytes has to be a positive integer, not "5"'],
    ['a limit of nothing', { maxBytes: 0 }, 'not 0'],
    ['an option that there is not', { foo: 1 }, "memoryStore() has no option 'foo'; it takes maxBytes"],
    ['a number', 5, 'the options of memoryStore() have to be an object, not 5'],
  ])('are not %s', (_, options, message) => {
    expect(() => memoryStore(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
    )
  })

  it('may be absent', () => {
    expect(() => memoryStore({ maxBytes: undefined })).not.toThrow()
  })
})

describe('two memory stores', () => {
  it('share nothing', async () => {
    const [one, two] = [memoryStore(), memoryStore()]
    await one.commit({ writes: [put(['a'])] })
    expect(await two.count('meta')).toBe(0)
  })
})
