import { allDirect } from './fixtures/expectations.ts'
import { Helper } from './fixtures/process.ts'
import type { Insult } from './fixtures/stranger.ts'
import { expect, test } from './fixtures/test.ts'

const INSULTS: readonly [Insult, reason: string][] = [
  ['garbage', 'malformed'],
  ['a frame of 2 GiB', 'too-large'],
  ['a message before its hello', 'no-hello'],
  ['the hello of another mesh', 'wrong-mesh'],
  ['the hello of a version to come', 'wrong-version'],
  ['the card of another agent', 'bad-card'],
]

test('a stranger that keeps to no rule is refused, for the right reason, and harms no other link', async ({
  tabs,
  mesh,
  relay,
}) => {
  const [ada, bob] = await Promise.all([tabs.join('ada'), tabs.join('bob')])
  await allDirect(ada, bob)
  const stranger = new Helper('e2e/fixtures/stranger.ts')
  try {
    const id = await stranger.call<string>('id')
    for (const [insult, reason] of INSULTS) {
      await stranger.call('insult', relay.address, ada.id, mesh, insult)
      await ada.untilTold({ type: 'refused', peer: id, reason })
      expect(await bob.request('ada', insult)).toMatchObject({ from: ada.id })
    }
    const told = await ada.told()
    expect(told.filter(({ type }) => type === 'refused')).toHaveLength(INSULTS.length)
    expect(told.filter(({ type }) => type === 'link:closed' || type === 'peer:offline')).toEqual([])
    expect((await ada.peers()).map(peer => peer.id)).toEqual([bob.id])
  } finally {
    await stranger.kill()
  }
})

test('agents of different meshes on one relay know nothing of each other', async ({ tabs, mesh }) => {
  const [ada, bob] = await Promise.all([tabs.join('ada'), tabs.join('bob')])
  const eve = await tabs.join('eve', { mesh: `${mesh}-other` })
  await allDirect(ada, bob)
  await eve.untilTold({ type: 'relay', state: 'reserved' })
  await ada.broadcast('for this mesh')
  await bob.untilHeard('for this mesh')
  const circuit = (await ada.self()).addresses.find(address => !address.includes('/webrtc'))
  await expect(eve.connect(circuit ?? '')).rejects.toMatchObject({ code: 'NO_ROUTE' })
  expect(await eve.peers()).toEqual([])
  expect(await eve.heard()).toEqual([])
  expect((await ada.peers()).map(({ id }) => id)).toEqual([bob.id])
})

test('a page works under a policy that forbids eval, inline script and other origins, and would be told of a breach', async ({
  tabs,
}) => {
  const [ada, bob] = await Promise.all([tabs.join('ada'), tabs.join('bob')])
  await allDirect(ada, bob)
  expect(tabs.takeProblems()).toEqual([])

  await ada.tab.page.evaluate(() => {
    const image = document.createElement('img')
    image.src = 'http://127.0.0.1:1/from-elsewhere.png'
    document.body.append(image)
  })
  await expect.poll(() => tabs.takeProblems().join()).toContain('policy violated: img-src')
  tabs.expect(/from-elsewhere/)
})
