import { expect, test } from './fixtures/demo.ts'
import { fits, isNamed, isReadable } from './fixtures/page-checks.ts'
import { Visitor } from './fixtures/visitor.ts'

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
const desk = { viewport: { width: 1280, height: 800 } }

test('what was said in the demo is there again after a reload and after a crash, once, with its state', async ({
  tabs,
  demo,
}) => {
  tabs.expect(/^the page crashed$/)
  const profile = await tabs.context()
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.joinIn(profile, demo, { name: 'Bob' })
  await ada.turnTo('Bob')
  await ada.write('Hello Bob')
  await bob.turnTo('Ada')
  await bob.reads('Hello Bob')
  await bob.write('Hello Ada')
  await expect(bob.statusOf('Hello Ada')).toHaveText('processed')
  await ada.reads('Hello Ada')
  await ada.joinTopic('garden')
  await ada.write('The roses are out')
  await expect(ada.said('The roses are out')).toHaveAttribute('data-status', 'published')

  await ada.reload()
  await ada.turnTo('Bob')
  await expect(ada.page.getByTestId('message')).toHaveText([/Hello Bob.*processed/, /Hello Ada/])
  await ada.page.locator('[data-testid=topic][data-name=garden]').click()
  await ada.reads('The roses are out')

  const crashed = bob.page.waitForEvent('crash')
  bob.page.goto('chrome://crash').catch(() => {})
  await crashed
  const again = await Visitor.joinIn(profile, demo, { name: 'Bob' })
  await again.turnTo('Ada')
  await expect(again.page.getByTestId('message')).toHaveText([/Hello Bob/, /Hello Ada.*processed/])
  await again.write('I am back')
  await ada.turnTo('Bob')
  await ada.reads('I am back')
})

test('what nobody has read in the demo is still unread after a reload, and what was read is not', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  await bob.turnTo('Ada')
  for (const text of ['First', 'Second']) {
    await bob.write(text)
    await expect(bob.statusOf(text)).toHaveText('processed')
  }
  await expect(ada.row('Bob')).toContainText('2 unread')
  await ada.reload()
  await expect(ada.row('Bob')).toContainText('2 unread')

  await ada.turnTo('Bob')
  await expect(ada.row('Bob')).not.toContainText('unread')
  await bob.write('Third')
  await expect(bob.statusOf('Third')).toHaveText('processed')
  // What is written after it was read is on the disk after that.
  await ada.write('I have read it')
  await expect(ada.statusOf('I have read it')).toHaveText('processed')
  // What is open again is read by that.
  await ada.page.locator('[data-testid=topic][data-name=lobby]').click()
  await ada.reload()
  await expect(ada.row('Bob')).not.toContainText('unread')
})

test('a request of the demo that waits for its reply is called off, and says so after a reload', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  const { page } = ada
  await ada.turnTo('Bob')
  await page.getByRole('radio', { name: 'Ask' }).check()
  await ada.write('Coffee or tea?')
  await expect(ada.statusOf('Coffee')).toHaveText('waiting for the reply, delivered')
  await isNamed(page)
  await isReadable(page)
  await page.getByRole('button', { name: 'Cancel “Coffee or tea?”' }).click()
  await expect(ada.statusOf('Coffee')).toHaveText('cancelled; it had come, and nobody waits for its reply')
  await expect(page.getByRole('button', { name: /^Cancel/ })).toHaveCount(0)

  // The one who was asked may still answer; it changes nothing.
  await bob.turnTo('Ada')
  await bob.page.getByTestId('answer').fill('Tea, please')
  await bob.page.getByRole('button', { name: 'Reply' }).click()
  await expect(bob.statusOf('Coffee')).toContainText('answered')
  await page.getByTestId('hold').click()
  await ada.write('And now?')
  // No reply could come: it is not even kept.
  await expect(ada.statusOf('And now?')).toHaveText('failed: what goes to it is held back')
  await page.getByTestId('hold').click()
  await page.getByRole('radio', { name: 'Tell' }).check()
  await ada.write('Never mind')
  await expect(ada.statusOf('Never mind')).toHaveText('processed')
  await bob.reads('Never mind')
  await expect(bob.page.getByTestId('messages')).not.toContainText('And now?')

  await ada.reload()
  await ada.turnTo('Bob')
  await expect(ada.statusOf('Coffee')).toHaveText('cancelled; it had come, and nobody waits for its reply')
  await expect(ada.statusOf('And now?')).toHaveText('failed: what goes to it is held back')
  await expect(page.getByTestId('reply')).toHaveCount(0)
})

test('a question to a person of the demo is asked again after each reload', async ({ tabs, demo }) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  await ada.turnTo('Bob')
  await ada.page.getByRole('radio', { name: 'Ask' }).check()
  await ada.write('Coffee or tea?')
  for (let reloads = 0; reloads < 3; reloads++) {
    await bob.turnTo('Ada')
    await expect(bob.page.getByTestId('answer')).toBeVisible()
    await bob.reload()
  }
  await bob.turnTo('Ada')
  await bob.page.getByTestId('answer').fill('Tea, please')
  await bob.page.getByRole('button', { name: 'Reply' }).click()
  await expect(ada.statusOf('Coffee')).toContainText('answered')
})

test('a message of the demo to an agent that is away waits over a reload, and goes when that agent is back', async ({
  tabs,
  demo,
}) => {
  const profile = await tabs.context()
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.joinIn(profile, demo, { name: 'Bob' })
  await ada.turnTo('Bob')
  await ada.write('Hello Bob')
  await expect(ada.statusOf('Hello Bob')).toHaveText('processed')
  await expect(ada.page.getByTestId('where')).toHaveText('Here')
  await bob.page.close()
  await expect(ada.page.getByTestId('where')).toHaveText('Away')

  await ada.write('For when you are back')
  await ada.write('Never mind this one')
  for (const text of ['For when', 'Never mind']) await expect(ada.statusOf(text)).toHaveText('queued')
  await expect(ada.page.getByTestId('where')).toHaveText('Away · 2 waiting')
  await ada.reload()
  await ada.turnTo('Bob', ada.awayRow('Bob'))
  await expect(ada.page.getByTestId('waiting')).toHaveText('2 waiting')
  await expect(ada.awayRow('Bob')).toContainText('2 waiting')
  await expect(ada.statusOf('For when')).toHaveText('queued')
  await ada.said('Never mind').getByRole('button', { name: 'Cancel “Never mind this one”' }).click()
  // Whether it left before the reload, and came, is for Bob to say.
  await expect(ada.statusOf('Never mind')).toHaveText(/^cancelled/)
  await expect(ada.page.getByTestId('waiting')).toHaveText('1 waiting')

  const back = await Visitor.joinIn(profile, demo, { name: 'Bob' })
  await expect(ada.statusOf('For when')).toHaveText('processed')
  await expect(ada.statusOf('Never mind')).toHaveText('cancelled')
  await expect(ada.page.getByTestId('waiting')).toHaveCount(0)
  await back.turnTo('Ada')
  await expect(back.page.getByTestId('message')).toHaveText([/Hello Bob/, /For when you are back/])
  await ada.reload()
  await ada.turnTo('Bob')
  await expect(ada.statusOf('Never mind')).toHaveText('cancelled')
  await expect(ada.statusOf('For when')).toHaveText('processed')
})

test('two agents of one name are told apart in the demo, and what was open is open after a reload', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bobs = [await Visitor.join(tabs, demo, { name: 'Bob' }), await Visitor.join(tabs, demo, { name: 'Bob' })]
  await expect(ada.row('Bob')).toHaveCount(2)
  const own = await Promise.all(bobs.map(({ page }) => page.locator('.facts code b').innerText()))
  expect(new Set(own).size).toBe(2)
  for (const mark of own) {
    const row = ada.row('Bob').filter({ has: ada.page.getByTestId('mark').getByText(mark) })
    await ada.turnTo(`Bob ${mark}`, row)
  }
  await ada.write('Hello, second Bob')
  await bobs[1]?.turnTo('Ada')
  await bobs[1]?.reads('Hello, second Bob')
  await ada.reload()
  await expect(ada.page.getByTestId('title')).toHaveText(`Bob ${own[1]}`)
  await ada.reads('Hello, second Bob')
})

test('a message of the demo whose time ends is a dead letter of its sender, who sends it again; on a small screen too', async ({
  tabs,
  demo,
}) => {
  const profile = await tabs.context()
  const bob = await Visitor.joinIn(profile, demo, { name: 'Bob' })
  const page = await (await tabs.context(phone)).newPage()
  await page.goto(demo)
  const name = page.getByLabel('Name', { exact: true })
  // The name that the page suggests comes first, or between the two steps of filling it in.
  await expect(name).not.toHaveValue('')
  await name.fill('Ada')
  await page.getByRole('button', { name: /^Join/ }).tap()
  const part = (name: string) =>
    page.getByRole('navigation', { name: 'Parts of the page' }).getByRole('button', { name })
  const message = (text: string) => page.getByTestId('message').filter({ hasText: text })
  const write = async (text: string): Promise<void> => {
    await page.getByTestId('write').fill(text)
    await page.getByTestId('send').tap()
  }
  await page.locator('[data-testid=agent][data-name=Bob][data-presence=online]').tap()
  await write('Hello Bob')
  await expect(message('Hello Bob').getByTestId('status')).toHaveText('processed')
  await bob.page.close()
  await expect(page.getByTestId('where')).toHaveText('Away')
  await page.getByTestId('ttl').selectOption('10 seconds')
  await write('Quick, before you go')
  await expect(message('Quick').getByTestId('status')).toHaveText('failed: its time was up')
  await fits(page)
  await isNamed(page)
  await isReadable(page)

  await expect(part('Letters')).toContainText('1')
  await part('Letters').tap()
  await expect(page.getByTestId('letter')).toContainText('To Bob')
  await expect(page.getByTestId('letter')).toContainText('Quick, before you go')
  await fits(page)
  await isNamed(page)
  await isReadable(page)
  const back = await Visitor.joinIn(profile, demo, { name: 'Bob' })
  await page
    .getByTestId('letter')
    .getByRole('button', { name: /^Retry/ })
    .tap()
  await expect(page.getByTestId('outcome')).toHaveText('It is on its way again.')
  await part('Talk').tap()
  await expect(message('Quick').getByTestId('status')).toHaveText('processed')
  await back.turnTo('Ada')
  await back.reads('Quick, before you go')
})

test('what is held back in the demo waits until its circuit breaker is reset, and a cleared conversation keeps what waits', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' }, desk)
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  const { page } = ada
  await ada.turnTo('Bob')
  await ada.write('Hello Bob')
  await expect(ada.statusOf('Hello Bob')).toHaveText('processed')
  await page.getByTestId('hold').click()
  await ada.write('Not before I say so')
  await expect(ada.statusOf('Not before')).toHaveText('queued')
  await expect(page.getByTestId('where')).toHaveText('Held back · 1 waiting')

  await page.getByTestId('clear').click()
  await page.getByTestId('clear').click()
  await expect(page.getByTestId('message')).toHaveText([/Not before I say so/])
  await page.keyboard.press('Alt+KeyU')
  await expect(page.getByTestId('breaker')).toContainText('Messages to Bob are held back by hand')
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await isReadable(page)
  }
  await isNamed(page)
  await page.getByTestId('breaker').getByRole('button', { name: 'Reset' }).click()
  await expect(page.getByTestId('breaker')).toHaveCount(0)
  await expect(ada.statusOf('Not before')).toHaveText('processed')
  await bob.turnTo('Ada')
  await bob.reads('Not before I say so')
  await ada.reload()
  await ada.turnTo('Bob')
  await expect(page.getByTestId('message')).toHaveText([/Not before I say so.*processed/])
})
