import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { violations } from './floors.ts'

const root = join(import.meta.dirname, '..')
const { imports: variants } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  imports: Record<string, unknown>
}

/** The project's own sources; vectors are data of others. This checker names what it forbids and is left out. */
function projectSources(): Map<string, string> {
  const sources = new Map<string, string>()
  for (const folder of ['src', 'relay', 'demo', 'e2e', 'test', '.tools'])
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .replaceAll('\\', '/')
      if (!entry.isFile() || !/\.(ts|tsx|mjs|css)$/.test(path)) continue
      if (/^test\/(vectors\/|floors\.)/.test(path)) continue
      sources.set(path, readFileSync(join(root, path), 'utf8'))
    }
  return sources
}

/** A small house in which everything is in order, with one file changed. */
function house(path: string, text: string): string[] {
  const sources = new Map([
    ['src/index.ts', "export * from './agent/agent.ts'\n"],
    ['src/common/clock.ts', 'export const now = (): number => Date.now()\n'],
    ['src/message/message.ts', "import { now } from '../common/clock.ts'\nexport const made = now()\n"],
    ['src/store/store.ts', 'export interface Store { size: number }\n'],
    ['src/network/network.ts', "import type { Peer } from '@libp2p/interface'\nexport type P = Peer\n"],
    ['src/agent/agent.ts', "import { made } from '../message/message.ts'\nexport const agent = made\n"],
    ['relay/index.ts', "import { made } from '../src/message/message.ts'\nexport const relay = made\n"],
    ['demo/main.ts', "import { agent } from 'agent-flow-protocol'\nagent\n"],
  ])
  sources.set(path, text)
  return violations(sources, { '#profile': { browser: './src/agent/profile.ts', default: './src/agent/profile.js' } })
}

describe('the floors of the house', () => {
  test('the sources of this project keep to them', () => {
    const sources = projectSources()
    expect(sources.size).toBeGreaterThan(20)
    expect(violations(sources, variants)).toEqual([])
  })

  test('a house in order has no violations', () => {
    expect(house('src/message/id.ts', 'export const id = 1\n')).toEqual([])
  })

  test.each([
    ['an import of a higher floor', 'src/message/a.ts', "import '../agent/agent.ts'", /goes up/],
    ['an import of the public surface from within', 'src/message/a.ts', "import '../index.ts'", /goes up/],
    ['an import sideways', 'src/message/a.ts', "export * from '../store/store.ts'", /goes sideways/],
    ['a type import sideways', 'src/message/a.ts', "import type { Store } from '../store/store.ts'", /goes sideways/],
    ['a type named in place', 'src/message/a.ts', "export type S = import('../store/store.ts').Store", /goes sideways/],
    ['an import at run time', 'src/message/a.ts', "export const s = import('../store/store.ts')", /goes sideways/],
    ['a platform variant that is higher up', 'src/network/a.ts', "import '#profile'", /goes up|there is no/],
    ['a room that is not on the plan', 'src/shared/a.ts', "import '../common/clock.ts'", /not a room/],
    ['the library importing the relay', 'src/network/a.ts', "import '../../relay/index.ts'", /outside src/],
    ['the library importing itself by name', 'src/agent/a.ts', "import 'agent-flow-protocol'", /itself by name/],
    ['the relay above floor 3', 'relay/a.ts', "import '../src/agent/agent.ts'", /floors 0 to 3/],
    ['the demo reaching inside', 'demo/a.tsx', "import '../src/agent/agent.ts'", /as a stranger/],
    ['the command line reaching inside', 'src/cli/a.ts', "import '../agent/agent.ts'", /as a stranger/],
    ['an end-to-end test reaching inside', 'e2e/a.ts', "import '../src/index.ts'", /as a stranger/],
    ['libp2p above the network', 'src/agent/a.ts', "import type { Libp2p } from 'libp2p'", /libp2p stays/],
    ['libp2p in the demo', 'demo/a.ts', "import '@libp2p/interface'", /libp2p stays/],
    ['Node in a room for everyone', 'src/message/a.ts', "import 'node:fs'", /place for Node/],
    ['a file that imports itself', 'src/message/a.ts', "import './a.ts'", /import cycle/],
    ['a file that is not there', 'src/message/a.ts', "import './b.ts'", /there is no src\/message\/b\.ts/],
    ['time from the platform', 'src/message/a.ts', 'export const t = Date.now()', /takes Date\.now/],
    ['chance from the platform', 'src/message/a.ts', 'export const r = Math.random()', /takes Math\.random/],
    ['a timer from the platform', 'src/message/a.ts', 'setTimeout(() => {}, 1)', /takes setTimeout/],
    ['a timer through globalThis', 'src/message/a.ts', 'globalThis.setTimeout(() => {}, 1)', /takes setTimeout/],
    ['printing', 'src/message/a.ts', "console.log('x')", /takes console/],
    ['a file too long', 'src/message/a.ts', '\n'.repeat(401), /over 400 lines/],
    ['work put off', 'demo/a.css', '/* TO' + 'DO colours */', /does not belong/],
    ['types silenced', 'test/a.ts', '// @ts-' + 'ignore', /does not belong/],
    ["somebody's machine", 'src/message/a.ts', "export const p = '/ho" + "me/ada/x'", /does not belong/],
  ])('%s is found', (_, path, text, expected) => {
    const found = house(path, `${text}\n`)
    expect(found.join('\n')).toMatch(expected)
  })

  test('a cycle over several files is found, type imports included', () => {
    const sources = new Map([
      ['src/message/a.ts', "import type { B } from './b.ts'\nexport type A = B\n"],
      ['src/message/b.ts', "import type { A } from './a.ts'\nexport type B = A | 1\n"],
    ])
    expect(violations(sources, {})).toEqual(['import cycle: src/message/a.ts -> src/message/b.ts -> src/message/a.ts'])
  })

  test('comments and strings are not mistaken for code', () => {
    const text =
      "/** Instead of `Date.now()`; see `import x from '../agent/agent.ts'`. */\nexport const s = 'console.log(1)'\n"
    expect(house('src/message/a.ts', text)).toEqual([])
  })
})
