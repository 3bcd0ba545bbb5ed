import { expect, it } from 'vitest'
import { Underway } from '../../src/common/underway.ts'

it('is waited for until all of it has ended, however it does', async () => {
  const underway = new Underway()
  const [one, two] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()]
  const works = [underway.add(one.promise), underway.add(two.promise)] as const
  const seen: string[] = []
  const ended = underway.ended().then(() => seen.push('ended'))
  one.resolve(1)
  seen.push(`${await works[0]}`)
  expect(underway.busy).toBe(true)
  two.reject(new Error('two'))
  await works[1].catch(error => seen.push(error.message))
  await ended
  expect(seen.slice(0, 1)).toEqual(['1'])
  expect([...seen].sort()).toEqual(['1', 'ended', 'two'])
  expect(underway.busy).toBe(false)
})

it('is not waited for where there is none, and can begin anew', async () => {
  const underway = new Underway()
  await underway.ended()
  await underway.add(Promise.resolve())
  await underway.ended()
  const { promise, resolve } = Promise.withResolvers<void>()
  void underway.add(promise)
  let over = false
  const ended = underway.ended().then(() => {
    over = true
  })
  await Promise.resolve()
  expect(over).toBe(false)
  resolve()
  await ended
})
