/** An identity that a store keeps goes to another machine, where there is another store. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AgentOptions } from '../../src/agent/options.ts'
import { exportIdentity, importIdentity } from '../../src/security/passphrase.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import { failure } from './waiting.ts'
import { acquainted, type DrivenWorld, drivenWorld } from './worlds.ts'

const passphrase = 'correct horse battery'
const kept: Partial<AgentOptions> = { guarantee: 'at-least-once' }

let world: DrivenWorld
let folder: string
beforeEach(() => {
  world = drivenWorld()
  folder = mkdtempSync(join(tmpdir(), 'afp-moved-'))
})
afterEach(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

describe('An identity that a store keeps', () => {
  test('is the same agent’s on another machine, to whom others go on sending', async () => {
    const bob = await world.join('bob', kept)
    const here = await sqliteStore(join(folder, 'here.db'))
    const before = await world.join('ada', { ...kept, store: here })
    await world.during(acquainted([before, bob]))
    await world.during((await world.during(bob.send('ada', 'before'))).delivered)
    expect(await world.during(before.receive())).toMatchObject({ content: 'before' })
    const text = await before.exportIdentity(passphrase)
    await world.during(before.close())
    await here.close()
    const { id: waiting } = await world.during(bob.send(before.id, 'on the way'))

    const identity = await importIdentity(text, passphrase)
    const there = await sqliteStore(join(folder, 'there.db'))
    const after = await world.join('ada', { ...kept, store: there, identity })
    expect(after.id).toBe(before.id)
    const { processed } = await world.during(bob.send('ada', 'after'))
    for (const content of ['on the way', 'after']) {
      expect(await world.during(after.receive())).toMatchObject({ sender: bob.id, content })
    }
    await world.during(processed)
    expect((await bob.deliveries.get(waiting))?.status).toBe('delivered')
    await world.during(after.close())
    await there.close()
  })

  test('is no other than the one that `exportIdentity` gives out, in another text', async () => {
    const ada = await world.join('ada', { store: memoryStore() })
    const text = await ada.exportIdentity(passphrase)
    const identity = await importIdentity(text, passphrase)
    expect(identity.id).toBe(ada.id)
    const again = await exportIdentity(identity, passphrase)
    expect(again).not.toBe(text)
    expect((await importIdentity(again, passphrase)).seed).toEqual(identity.seed)
  })

  test('is given out under a passphrase only', async () => {
    const ada = await world.join('ada')
    for (const wrong of ['short', undefined, 12345678]) {
      expect(await failure(ada.exportIdentity(wrong as string))).toMatchObject({ code: 'INVALID_OPTION' })
    }
    expect(await failure(importIdentity(undefined as never, passphrase))).toMatchObject({ code: 'INVALID_OPTION' })
    const text = await ada.exportIdentity(passphrase)
    expect(await failure(importIdentity(text, undefined as never))).toMatchObject({ code: 'INVALID_OPTION' })
  })
})
