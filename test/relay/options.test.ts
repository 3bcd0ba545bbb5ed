import { afterEach, describe, expect, test } from 'vitest'
import { createRelay, type Relay } from '../../relay/index.ts'
import { LOOPBACK } from './support.ts'

let relay: Relay | undefined
afterEach(async () => {
  await relay?.close()
  relay = undefined
})

describe('Options of a relay', () => {
  test.each([
    ['a misspelt name, which would leave it open to every mesh', { mesh: ['private'] }, "has no option 'mesh'"],
    ['a misspelt group of limits', { limit: { maxConnections: 1 } }, "has no option 'limit'"],
    ['limits that are none', { limits: 7 }, 'limits has to be an object, not 7'],
    ['no limits', { limits: null }, 'limits has to be an object, not null'],
    ['a limit that there is not', { limits: { maxFun: 1 } }, 'there is no limit called "maxFun"'],
    ['one address instead of a list', { listen: '/ip4/127.0.0.1/tcp/0' }, 'listen has to be a list of strings'],
    ['a mesh instead of a list', { meshes: 'demo' }, "meshes has to be 'any' or a list of names"],
    ['a seed as text', { seed: 'abc' }, 'seed has to be 32 bytes'],
    ['no options', null, 'have to be an object, not null'],
  ])('%s is refused', async (_what, options, message) => {
    await expect(createRelay(options as never)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(message),
    })
  })

  test('what is to change is held to the same, and nothing is changed by what is refused', async () => {
    relay = await createRelay({ listen: LOOPBACK, meshes: ['one'] })
    for (const changes of [null, { limits: null }, { mesh: [] }, { meshes: 7 }]) {
      expect(() => relay?.change(changes as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
    expect(relay.change({ meshes: ['one'] })).toEqual([])
  })
})
