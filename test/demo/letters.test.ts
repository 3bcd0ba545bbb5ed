import { createAgent, fixedRetry } from 'agent-flow-protocol'
import { expect, it } from 'vitest'
import { LetterDesk, MAX_SHOWN } from '../../demo/letters.ts'
import { initialState, Store } from '../../demo/state.ts'

it('the newest dead letters are shown, with how many there are in all, and all of them are retried and purged', async () => {
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const handlerRetry = fixedRetry({ retries: 0 })
  await using ada = await createAgent({ name: 'ada', mesh: 'test', listen, handlerRetry })
  await using bob = await createAgent({ name: 'bob', mesh: 'test', peers: ada.addresses })
  let failing = true
  const handled: unknown[] = []
  ada.handle(({ content }) => {
    if (failing) throw new Error('not now')
    handled.push(content)
  })
  const count = MAX_SHOWN + 3
  const numbers = Array.from({ length: count }, (_, n) => n)
  const receipts = await Promise.all(numbers.map(n => bob.send(ada.id, n)))
  await Promise.allSettled(receipts.map(({ processed }) => processed))

  const store = new Store(initialState)
  const desk = await LetterDesk.open(ada, store)
  expect(store.state.letters?.map(({ text }) => text)).toEqual(numbers.slice(3).reverse().map(String))
  expect(store.state.allLetters).toBe(count)
  failing = false
  expect(await desk.retryAll()).toBe(`${count} retried.`)
  expect(handled).toEqual(numbers)
  expect(await desk.purge()).toBe(`${count} letters purged.`)
  await expect.poll(() => store.state.allLetters).toBe(0)
  expect(store.state.letters).toHaveLength(0)
})
