import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { memoryStore } from '../../src/store/memory.ts'
import { sqliteStore } from '../../src/store/sqlite.ts'
import { waitingHandlersContract } from '../contracts/waiting-handlers.ts'

const folder = mkdtempSync(join(tmpdir(), 'afp-waiting-'))
const server = createServer((_, response) => void response.end('something'))
beforeAll(() => new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve)))
afterAll(async () => {
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  rmSync(folder, { recursive: true })
})
const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

waitingHandlersContract('memory', async () => memoryStore(), url)
waitingHandlersContract('SQLite', () => sqliteStore(join(folder, 'bob.db')), url)
