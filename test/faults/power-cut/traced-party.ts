/**
 * An agent whose system calls are traced: it says what it does on standard output, which is among these calls, and does one
 * thing at a time, as lines on standard input have it. Prints `ready <id>`.
 *
 * - `send <to> <n> <bytes>`: prints `asked <n>`, and `kept <n>` once `send` has resolved.
 * - `go`: the handler that waits notes what came, and is done.
 * - `mark <text>`: prints the text.
 *
 * `node traced-party.ts <folder> <mesh> <address of the other one>`
 */

import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createAgent } from '../../../src/agent/create-agent.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'
import { say } from '../say.ts'

const [folder = '', mesh = '', address = ''] = process.argv.slice(2)
const store = await sqliteStore(join(folder, 'traced.db'))
const agent = await createAgent({
  name: 'traced',
  mesh,
  store,
  guarantee: 'exactly-once',
  listen: [],
  peers: [address],
})

let go = (): void => {}
agent.handle<number>(async ({ content }, { transaction }) => {
  await new Promise<void>(resolve => {
    go = resolve
    say(`ran ${content}`)
  })
  transaction.put(['noted', content], true)
})

createInterface({ input: process.stdin })
  .on('line', async line => {
    const [word, ...rest] = line.split(' ')
    if (word === 'go') go()
    else if (word === 'mark') say(rest.join(' '))
    else {
      const [to = '', n, bytes] = rest
      say(`asked ${n}`)
      await agent.send(to, new Uint8Array(Number(bytes)))
      say(`kept ${n}`)
    }
  })
  .once('close', () => process.exit(1))
say(`ready ${agent.id}`)
