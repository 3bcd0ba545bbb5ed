import { expect, test } from 'vitest'
import { createAgent } from '../../src/agent/create-agent.ts'
import { DrivenClock, inMemory, memoryNet } from '../../src/testing/index.ts'

test('two agents talk in memory, on a clock that only the test moves', async () => {
  const clock = new DrivenClock()
  const net = memoryNet({ seed: 1, clock, faults: { delay: [5, 20] } })
  const bob = await createAgent({ name: 'bob', mesh: 'test', identity: 'ephemeral', clock, carrier: inMemory(net) })
  bob.handle(({ content }) => `you said ${content}`)
  const ada = await createAgent({
    name: 'ada',
    mesh: 'test',
    identity: 'ephemeral',
    clock,
    carrier: inMemory(net),
    peers: bob.addresses,
  })
  await clock.advanceUntil(() => ada.peers().some(({ link }) => link !== undefined), 10_000)
  let answer: unknown
  const asking = ada.request('bob', 'hello').then(({ content }) => {
    answer = content
  })
  await clock.advanceUntil(() => answer !== undefined, 5_000)
  await asking
  expect(answer).toBe('you said hello')
  net.partition([ada.id], [bob.id])
  let failed: unknown
  const cut = ada.request('bob', 'still there?', { timeout: 2_000 }).catch(error => {
    failed = error
  })
  await clock.advanceUntil(() => failed !== undefined, 10_000)
  await cut
  expect(failed).toMatchObject({ code: 'TIMEOUT' })
  const closing = Promise.all([ada.close(), bob.close()])
  await clock.advance(60_000)
  await closing
})

test.each([null, { bogus: 1 }, { seed: 'one' }, { dialTimeout: -1 }])('a network of %j is refused', options => {
  expect(() => memoryNet(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})

test('the network of the kit runs on the platform clock unless it is given another', async () => {
  const net = memoryNet()
  const [a, b] = [net.carrier('a'), net.carrier('b')]
  await Promise.all([a.start(), b.start()])
  net.setFaults({ delay: [1, 2] })
  expect((await a.dial('b', b.addresses())).peer).toBe('b')
})
