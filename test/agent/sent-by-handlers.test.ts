import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { messageIdFrom } from '../../src/message/ids.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import { sentByHandlersContract } from '../contracts/sent-by-handlers.ts'
import { collect } from './waiting.ts'
import { ada, adaAndBob, world } from './worlds.ts'

const folder = mkdtempSync(join(tmpdir(), 'afp-sent-'))
afterAll(() => rmSync(folder, { recursive: true }))

sentByHandlersContract('memory', async () => memoryStore())
sentByHandlersContract('SQLite', () => sqliteStore(join(folder, `${crypto.randomUUID()}.db`)))

describe('what is published', () => {
  adaAndBob()

  test('reaches whoever heard it once, however often it goes under its id; without an id, again', async () => {
    const eve = await world.join('eve')
    const heard: unknown[] = []
    const subscription = eve.subscribe({ topic: 'news' }, ({ content }) => void heard.push(content))
    await world.during(subscription.ready)
    const refused = collect(eve, 'refused')
    const id = messageIdFrom('the news of today')
    const reach = async (content: string, options = {}): Promise<void> => {
      while (!(await world.during(ada.publish('news', content, options))).peers.includes(eve.id)) await world.pass()
    }
    await reach('warming up')
    await world.pass()
    heard.length = 0
    for (let i = 0; i < 2; i++) await reach('it works', { id })
    for (let i = 0; i < 2; i++) await reach('again')
    await world.pass()
    expect(heard).toEqual(['it works', 'again', 'again'])
    expect(refused).toEqual([expect.objectContaining({ reason: 'duplicate', detail: id })])
  })
})
