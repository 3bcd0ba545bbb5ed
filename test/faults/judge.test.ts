import { expect, test } from 'vitest'
import { faultsOf, type Left, type Sent } from './judge.ts'
import { listOf } from './ways.ts'

const NUMBERS = Array.from({ length: 50 }, (_, i) => i + 1)
const REQUESTS = NUMBERS.filter(n => listOf(n) === 'requests')

const sent = (change: Partial<Sent> = {}): Sent => ({
  kept: NUMBERS.filter(n => listOf(n) !== 'requests'),
  replied: REQUESTS.map((n, i) => [n, i]),
  last: 50,
  ...change,
})
const left = (noted: readonly number[], rows = 0): Left => ({
  noted: noted.map(n => [listOf(n), n]),
  waiting: { outbox: rows, inbox: 0 },
})

test('disks after kills are judged: what is lost, doubled, of nobody, out of order, answered wrongly or still waiting is named', () => {
  const all = (change: (numbers: number[]) => number[]) => faultsOf([sent()], left(change([...NUMBERS])))
  expect(REQUESTS).toHaveLength(2)
  expect(faultsOf([sent()], left(NUMBERS))).toEqual([])
  // What was tried and not kept may have gone, or not; so may requests that nobody waited for any more.
  expect(faultsOf([sent({ kept: [1], replied: [] })], left([1, 2]))).toEqual([])
  expect(all(numbers => numbers.filter(n => n !== 7))).toEqual(['lost, 1: 7'])
  expect(all(numbers => [...numbers, 49])).toEqual(['done twice, 1: 49'])
  expect(all(numbers => [...numbers, 51])).toEqual(['of nobody, 1: 51'])
  expect(all(numbers => [...numbers.filter(n => n !== 7), 7])).toEqual(['out of the order of class 0, 1: 7'])
  expect(all(numbers => [...numbers.filter(n => n !== 5), 5])).toEqual(['out of the order of class 5, 1: 5'])
  expect(all(numbers => numbers.toReversed())).toContainEqual('answered with the place of another, 2: 23,0 46,1')
  expect(faultsOf([sent()], left(NUMBERS, 3))).toEqual(['still waiting, 1: outbox,3'])
})
