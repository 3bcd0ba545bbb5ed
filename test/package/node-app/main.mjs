// An application in Node: answers the page, then asks it, and says on stdout what it got. First argument: the relay.
import { createAgent } from 'agent-flow-protocol'

const agent = await createAgent({ name: 'server', mesh: 'package-test', relays: [process.argv[2]], listen: [] })
agent.handle(async message => ({ heard: message.content }))
process.stdout.write('ready\n')
await agent.waitFor('page')
const reply = await agent.request('page', { question: 'who is there?' }, { timeout: 20_000 })
process.stdout.write(`reply ${JSON.stringify(reply.content)}\n`)
process.stdin.on('end', () => agent.close()).resume()
