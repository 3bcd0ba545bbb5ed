// An application in a tab: answers the server, asks it, and shows what it got. The fragment names the relay.
import { createAgent } from 'agent-flow-protocol'

const agent = await createAgent({
  name: 'page',
  mesh: 'package-test',
  relays: [decodeURIComponent(location.hash.slice(1))],
})
agent.handle(() => 'the page')
await agent.waitFor('server')
const reply = await agent.request('server', 'hello', { timeout: 20_000 })
const output = document.querySelector('#reply')
if (output !== null) output.textContent = JSON.stringify(reply.content)
