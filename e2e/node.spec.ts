import { linked } from './fixtures/expectations.ts'
import type { RemoteAgent } from './fixtures/remote.ts'
import { expect, test } from './fixtures/test.ts'

/** Everything two agents say to each other, in both directions. */
async function talk(one: RemoteAgent, other: RemoteAgent): Promise<void> {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    expect(await from.request(to.name, { from: from.name })).toMatchObject({
      from: to.id,
      content: { from: from.name },
    })
    expect(await from.send(to.name, Uint8Array.of(1, 2, 3))).toEqual([to.id])
    await to.untilHeard(Uint8Array.of(1, 2, 3))
    const heard = async (): Promise<unknown[]> => {
      // Whom gossip reaches settles some moments after the link: said again until it is heard.
      await from.broadcast(`from ${from.name}`)
      return (await to.heard()).map(({ content }) => content)
    }
    await expect.poll(heard).toContain(`from ${from.name}`)
  }
}

test('a tab and an agent in Node talk over a WebSocket without any relay', async ({ tabs, nodeAgent }) => {
  const node = await nodeAgent({ name: 'node', listen: ['/ip4/127.0.0.1/tcp/0/ws'] })
  const { addresses } = await node.self()
  const tab = await tabs.join('tab', { relays: [], peers: addresses })

  await tab.waitFor('node')
  await node.waitFor('tab')
  await talk(tab, node)
  await linked(tab, node, 'direct websocket')
})

test('a tab finds an agent in Node through a relay and dials it directly', async ({ tabs, nodeAgent, relay }) => {
  const node = await nodeAgent({ name: 'node', relays: [relay.address], listen: ['/ip4/127.0.0.1/tcp/0/ws'] })
  const tab = await tabs.join('tab')

  await linked(tab, node, 'direct websocket')
  await linked(node, tab, 'direct websocket')
  await talk(tab, node)
})

test('a tab and an agent in Node that nobody can dial talk through the relay', async ({ tabs, nodeAgent, relay }) => {
  const node = await nodeAgent({ name: 'node', relays: [relay.address], listen: [] })
  const tab = await tabs.join('tab')

  await tab.waitFor('node')
  await node.waitFor('tab')
  await talk(tab, node)
  await linked(tab, node, 'relayed circuit')
})

for (const dialler of ['Node', 'the tab'] as const) {
  test(`an agent in Node with WebRTC and a tab are linked directly when ${dialler} dials`, async ({
    tabs,
    nodeAgent,
    relay,
  }) => {
    const tab = await tabs.join('tab', { identity: 'ephemeral' })
    await tab.untilTold({ type: 'relay', state: 'reserved' })
    // Of two agents that nobody can dial without a relay, the one with the lower id dials.
    const rank = dialler === 'Node' ? { below: tab.id } : { above: tab.id }
    const node = await nodeAgent({ name: 'node', relays: [relay.address], listen: [], webrtc: true, rank })

    await linked(tab, node, 'direct webrtc')
    await linked(node, tab, 'direct webrtc')
    await talk(tab, node)
  })
}
