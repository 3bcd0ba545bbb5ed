import { expect, test } from 'vitest'
import type { Network } from '../../src/network/network.ts'
import { DeliveryWorld } from './world.ts'

test('whoever a letter is sent to again is connected to, where there is no link yet', async () => {
  const world = new DeliveryWorld()
  const ada = await world.start(await world.machine())
  const bob = await world.start(await world.machine())
  await ada.send(bob, 'x', { ttl: 1 })
  await world.clock.advance(5_000)
  const [letter] = await ada.deadLetters.list()
  const network = ada.network as { -readonly [K in keyof Network]: Network[K] }
  const { peer } = network
  const dialled: string[] = []
  network.peer = id => (id === bob.id ? ({ online: true } as ReturnType<typeof peer>) : peer.call(network, id))
  network.open = async id => {
    dialled.push(id)
    throw new Error('nobody answers')
  }
  expect(await ada.deadLetters.retry(letter?.id ?? '')).toBe('retried')
  await world.clock.advance(500)
  expect(dialled).toEqual([bob.id])
})
