/**
 * Preloaded into a party (`--import`): has its store sync as `AFP_SYNCHRONOUS` says, OFF or NORMAL, in
 * place of FULL, and print `planted <value>`. What is loaded is another text than the source, of which nothing changes.
 */

import { registerHooks } from 'node:module'
import { say } from '../say.ts'

const SETTING = 'PRAGMA synchronous = FULL;'
const value = process.env.AFP_SYNCHRONOUS

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.endsWith('/src/store/sqlite.ts')) return loaded
    const { source } = loaded
    const parts = (typeof source === 'string' ? source : new TextDecoder().decode(source as Uint8Array)).split(SETTING)
    if (parts.length !== 2 || value === undefined) throw new Error(`the setting is there ${parts.length - 1} times`)
    say(`planted ${value}`)
    return { ...loaded, source: parts.join(`PRAGMA synchronous = ${value};`) }
  },
})
