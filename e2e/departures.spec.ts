import { allDirect } from './fixtures/expectations.ts'
import { expect, test } from './fixtures/test.ts'

test('a tab that is closed says goodbye, and the others hear it', async ({ tabs }) => {
  const [ada, bob, cleo] = await Promise.all([tabs.join('ada'), tabs.join('bob'), tabs.join('cleo')])
  await allDirect(ada, bob, cleo)

  await bob.tab.page.close()
  for (const agent of [ada, cleo]) {
    await agent.untilTold({ type: 'peer:offline', id: bob.id, reason: 'left' })
    expect((await agent.peers()).find(({ id }) => id === bob.id)).toMatchObject({ online: false })
  }
  expect(await ada.request('cleo', 'still here?')).toMatchObject({ from: cleo.id })
})

test('a tab that goes to another page says goodbye, and the others hear it', async ({ tabs }) => {
  const [ada, bob] = await Promise.all([tabs.join('ada'), tabs.join('bob')])
  await allDirect(ada, bob)

  await bob.tab.page.goto('about:blank')
  await ada.untilTold({ type: 'peer:offline', id: bob.id, reason: 'left' })
})

test('a tab that crashes is missed', async ({ tabs }) => {
  tabs.expect(/^the page crashed$/)
  const [ada, bob, cleo] = await Promise.all([tabs.join('ada'), tabs.join('bob'), tabs.join('cleo')])
  await allDirect(ada, bob, cleo)

  const crashed = bob.tab.page.waitForEvent('crash')
  bob.tab.page.goto('chrome://crash').catch(() => {})
  await crashed
  for (const agent of [ada, cleo]) {
    await agent.untilTold({ type: 'link:closed', peer: bob.id })
    await agent.untilTold({ type: 'peer:offline', id: bob.id, reason: 'silent' })
  }
  await expect(ada.request('bob', 'hello?', 2_000)).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(await ada.request('cleo', 'still here?')).toMatchObject({ from: cleo.id })
})

test('a hidden tab says so, and says when it is back', async ({ tabs }) => {
  const [ada, bob] = await Promise.all([tabs.join('ada'), tabs.join('bob')])
  await allDirect(ada, bob)
  const seen = async () => (await ada.peers()).find(({ id }) => id === bob.id)
  expect(await seen()).toMatchObject({ hidden: false })

  for (const visibility of ['hidden', 'visible'] as const) {
    // Headless tabs are never in the background by themselves.
    await bob.tab.page.evaluate(state => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state })
      document.dispatchEvent(new Event('visibilitychange'))
    }, visibility)
    await expect.poll(seen).toMatchObject({ hidden: visibility === 'hidden', online: true })
  }
})
