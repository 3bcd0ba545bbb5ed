/**
 * A sender or a recipient as a process of its own, to be killed at any moment.
 *
 * `node party.ts receiver <folder> <port>`: notes every text, each once, in its own store; prints `ready <id> <address>`
 * and `noted <text>`.
 * `node party.ts sender <folder> <address> <first>`: sends numbers from `first` on; prints `try <n>` and, once that has
 * resolved, `kept <n>`. Ends when it is told to on standard input, once everything is processed.
 */

import { createInterface } from 'node:readline'
import { createAgent } from '../../../src/agent/create-agent.ts'
import { fileIdentity } from '../../../src/identity/file.ts'
import { sqliteStore } from '../../../src/store/sqlite.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const [role, folder = '', where = '', first = '1'] = process.argv.slice(2)
const agent = await createAgent({
  name: role as string,
  mesh: 'kills',
  identity: await fileIdentity(`${folder}/${role}.key`),
  store: await sqliteStore(`${folder}/${role}.db`),
  guarantee: 'exactly-once',
  ...(role === 'receiver' ? { listen: [`/ip4/127.0.0.1/tcp/${where}`] } : { listen: [], peers: [where] }),
})

if (role === 'receiver') {
  agent.handle(async ({ content }, { transaction }) => {
    const count = ((await transaction.get(['count'])) as number | undefined) ?? 0
    transaction.put(['noted', count], content)
    transaction.put(['count'], count + 1)
  })
  say(`ready ${agent.id} ${agent.addresses[0]}`)
} else {
  const to = where.split('/').at(-1) as string
  let over = false
  createInterface({ input: process.stdin }).once('line', () => {
    over = true
  })
  const processed: Promise<unknown>[] = []
  for (let n = Number(first); !over; n++) {
    say(`try ${n}`)
    const receipt = await agent.send(to, n)
    say(`kept ${n}`)
    processed.push(receipt.processed)
    // Neither side is to run far ahead of the other: kills have to meet messages at every stage.
    if (processed.length > 64) await processed.shift()
  }
  await Promise.all(processed)
  say('done')
  await agent.close()
  process.exit()
}
