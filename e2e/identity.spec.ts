import { linked } from './fixtures/expectations.ts'
import { expect, test } from './fixtures/test.ts'

test('two tabs of one browser have an identity each and talk to each other', async ({ tabs }) => {
  const context = await tabs.context()
  const [one, two] = [await tabs.open(context), await tabs.open(context)]
  const first = await one.create({ name: 'ada' })
  const second = await two.create({ name: 'ada' })
  expect(second.id).not.toBe(first.id)

  await linked(first, second, 'direct webrtc')
  expect(await first.request(second.id, 'who is there?')).toMatchObject({ from: second.id })
  await second.send(first.id, 'your twin')
  await first.untilHeard('your twin')
})

test('a reloaded tab is the same agent as before, whichever of several it is', async ({ tabs }) => {
  const context = await tabs.context()
  const [one, two] = [await tabs.open(context), await tabs.open(context)]
  const before = [await one.create({ name: 'ada' }), await two.create({ name: 'ada' })]

  // With nobody there, the second tab is the first to come back: what it takes is what it remembers.
  await Promise.all([one.page.reload(), two.page.reload()])
  for (const at of [1, 0]) {
    const tab = [one, two][at] ?? one
    const again = await (await tabs.of(tab.page)).create({ name: 'ada' })
    expect(again.id).toBe(before[at]?.id)
  }
})

test('others find a reloaded tab again without doing anything', async ({ tabs }) => {
  const [ada, bob] = [await tabs.join('ada'), await tabs.join('bob')]
  await linked(bob, ada, 'direct webrtc')
  await ada.tab.page.reload()
  const again = await (await tabs.of(ada.tab.page)).create({ name: 'ada' })
  expect(again.id).toBe(ada.id)

  await linked(again, bob, 'direct webrtc')
  expect(await bob.request('ada', 'still you?')).toMatchObject({ from: ada.id })
})

test('a duplicated tab gets an identity of its own, and keeps it over a reload', async ({ tabs }) => {
  const context = await tabs.context()
  const original = await tabs.open(context)
  const first = await original.create({ name: 'ada' })

  const opened = context.waitForEvent('page')
  await original.page.evaluate(() => window.open(location.href))
  const copy = await tabs.of(await opened)
  const remembered = () => copy.page.evaluate(() => Object.keys(sessionStorage).filter(key => key.startsWith('afp:')))
  expect(await remembered(), 'the copy starts with what its original remembered').toHaveLength(1)
  const second = await copy.create({ name: 'ada' })
  expect(second.id).not.toBe(first.id)

  await original.page.close()
  await copy.page.reload()
  const again = await (await tabs.of(copy.page)).create({ name: 'ada' })
  expect(again.id).toBe(second.id)
})

test('a tab that must not take another identity is told that its own is in use, until the other tab closes', async ({
  tabs,
}) => {
  const context = await tabs.context()
  const [one, two] = [await tabs.open(context), await tabs.open(context)]
  const first = await one.create({ name: 'ada' })
  await expect(two.create({ name: 'ada', onIdentityInUse: 'error' })).rejects.toMatchObject({ code: 'IDENTITY_IN_USE' })

  await one.page.close()
  // The browser lets go of the lock some moments after the tab has gone.
  await expect
    .poll(async () =>
      two.create({ name: 'ada', onIdentityInUse: 'error' }).then(
        ({ id }) => id,
        ({ code }) => code,
      ),
    )
    .toBe(first.id)
})

test('an identity that was exported goes on in another browser, and what it sends there outlives a reload', async ({
  tabs,
}) => {
  const here = await tabs.join('ada')
  const exported = { text: await here.exportIdentity('correct horse battery'), passphrase: 'correct horse battery' }
  await here.tab.page.close()

  const bobs = await tabs.context()
  const bob = await (await tabs.open(bobs)).create({ name: 'bob' })
  const there = await tabs.open()
  const ada = await there.create({ name: 'ada', exported })
  expect(ada.id).toBe(here.id)
  await linked(ada, bob, 'direct webrtc')
  expect(await ada.request('bob', 'do you know me?')).toMatchObject({ from: bob.id })
  await bob.close()

  await ada.send(bob.id, 'while you were away')
  await there.page.reload()
  const again = await (await tabs.of(there.page)).create({ name: 'ada', exported })
  const back = await (await tabs.open(bobs)).create({ name: 'bob' })
  expect([again.id, back.id]).toEqual([ada.id, bob.id])
  await back.untilHeard('while you were away', { from: ada.id })
})
