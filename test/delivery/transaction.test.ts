import { describe, expect, it } from 'vitest'
import { BufferedTransaction } from '../../src/delivery/transaction.ts'
import { memoryStore } from '../../src/store/memory.ts'

describe("a handler's transaction", () => {
  it('keeps nothing until it is committed, and shows the handler what it wrote', async () => {
    const store = memoryStore()
    const transaction = new BufferedTransaction(store)
    transaction.put(['balance', 'ada'], 5)
    expect(await transaction.get(['balance', 'ada'])).toBe(5)
    expect(await store.count('app')).toBe(0)
    await store.commit(transaction.end())
    expect(await new BufferedTransaction(store).get(['balance', 'ada'])).toBe(5)
  })

  it('gives back text, JSON and bytes as what they were', async () => {
    const store = memoryStore()
    const transaction = new BufferedTransaction(store)
    const values = { text: 'a', json: { list: [1, null, 'x'] }, bytes: Uint8Array.of(1, 2), zero: 0, nothing: null }
    for (const [key, value] of Object.entries(values)) transaction.put([key], value)
    await store.commit(transaction.end())
    const later = new BufferedTransaction(store)
    for (const [key, value] of Object.entries(values)) expect(await later.get([key])).toEqual(value)
  })

  it('is not committed when what it read has changed, or what it did not find is there', async () => {
    const store = memoryStore()
    const [first, second] = [new BufferedTransaction(store), new BufferedTransaction(store)]
    for (const transaction of [first, second]) {
      const count = ((await transaction.get(['count'])) as number | undefined) ?? 0
      transaction.put(['count'], count + 1)
    }
    await store.commit(first.end())
    await expect(store.commit(second.end())).rejects.toMatchObject({ code: 'STORE_CONFLICT' })
    const third = new BufferedTransaction(store)
    expect(await third.get(['count'])).toBe(1)
  })

  it('goes by the bytes that a key had when it was given, whatever becomes of them', async () => {
    const store = memoryStore()
    const transaction = new BufferedTransaction(store)
    const [read, written] = [Uint8Array.of(1), Uint8Array.of(2)]
    const reading = transaction.get([read])
    transaction.put([written], 'two')
    for (const bytes of [read, written]) structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    expect(await reading).toBeUndefined()
    await store.commit(transaction.end())
    expect((await store.range('app')).map(({ key }) => key)).toEqual([[Uint8Array.of(2)]])
  })

  it('deletes', async () => {
    const store = memoryStore()
    const transaction = new BufferedTransaction(store)
    transaction.put(['a'], 1)
    transaction.delete(['a'])
    expect(await transaction.get(['a'])).toBeUndefined()
    await store.commit(transaction.end())
    expect(await store.count('app')).toBe(0)
  })

  it('takes nothing more once its handler is done', async () => {
    const transaction = new BufferedTransaction(memoryStore())
    transaction.end()
    expect(() => transaction.put(['a'], 1)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    await expect(transaction.get(['a'])).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('bounds what one message may write', () => {
    const transaction = new BufferedTransaction(memoryStore())
    const megabyte = new Uint8Array(1_048_576)
    for (let i = 0; i < 3; i++) transaction.put([i], megabyte)
    for (let i = 0; i < 100; i++) transaction.put([0], megabyte)
    expect(() => transaction.put([3], megabyte)).toThrow(expect.objectContaining({ code: 'STORE_FULL' }))
  })
})
