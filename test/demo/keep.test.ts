import { expect, it } from 'vitest'
import { defaultData } from '../../demo/keep.ts'

const installed = '/app/node_modules/agent-flow-protocol/dist/demo'
const home = () => '/users/ada'
const nobody = (): string => {
  throw new Error('ENOENT: no such user')
}

it('a clone keeps the demo beside its sources, run from them or built, where npm deletes nothing', () => {
  for (const folder of ['/src/afp/demo', '/src/afp/dist/demo'])
    expect(defaultData({ folder, home: nobody })).toBe('/src/afp/.afp-demo')
})

it('an installed package keeps the demo with the data of its user, where the platform wants them', () => {
  const at = (platform: NodeJS.Platform, env = {}) => defaultData({ folder: installed, platform, env, home })
  expect(at('linux')).toBe('/users/ada/.local/share/agent-flow-protocol/demo')
  expect(at('linux', { XDG_DATA_HOME: '/data' })).toBe('/data/agent-flow-protocol/demo')
  for (const ignored of ['data', './data', ''])
    expect(at('linux', { XDG_DATA_HOME: ignored })).toBe('/users/ada/.local/share/agent-flow-protocol/demo')
  expect(at('darwin')).toBe('/users/ada/Library/Application Support/agent-flow-protocol/demo')
  expect(at('win32', { LOCALAPPDATA: '/local' })).toBe('/local/agent-flow-protocol/demo')
})

it('an installed package keeps nothing for who has no home, unless the platform names a folder', () => {
  const at = (env = {}) => defaultData({ folder: installed, platform: 'linux', env, home: nobody })
  expect(at()).toBeUndefined()
  expect(at({ XDG_DATA_HOME: 'relative' })).toBeUndefined()
  expect(at({ XDG_DATA_HOME: '/data' })).toBe('/data/agent-flow-protocol/demo')
})
