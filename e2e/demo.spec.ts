import { expect, test } from './fixtures/demo.ts'
import { Visitor } from './fixtures/visitor.ts'

test('visitors of the demo join by its form, see each other and chat directly', async ({ tabs, demo }) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })

  await expect(ada.row('Bob').getByTestId('link')).toContainText('direct')
  await ada.turnTo('Bob')
  await ada.write('Hello Bob')
  await expect(ada.page.getByTestId('status').last()).toHaveText('processed')
  await expect(bob.row('Ada')).toContainText('1 unread')
  await bob.turnTo('Ada')
  await bob.reads('Hello Bob')
  await bob.write('Hello Ada')
  await ada.reads('Hello Ada')
})

test('a visitor of the demo asks a calculator in another tab, and one in Node, and gets their answers', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  await Visitor.join(tabs, demo, { name: 'Napier', as: 'Calculator' })

  for (const name of ['Napier', 'Abacus']) {
    // The demo gives a calculator 5 s for its answer: the link is not to be made in that time.
    await expect(ada.row(name).getByTestId('link')).toContainText('direct')
    await ada.turnTo(name)
    await ada.write('12 * (3 + 4)')
    await expect(ada.page.getByTestId('reply')).toContainText('84')
    await expect(ada.page.getByTestId('status')).toContainText(/answered in/)
  }
})

test('a person in the demo is asked, and answers by hand', async ({ tabs, demo }) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })

  await ada.turnTo('Bob')
  await ada.page.getByRole('radio', { name: 'Ask' }).check()
  await ada.write('Coffee or tea?')
  await bob.turnTo('Ada')
  await bob.page.getByTestId('answer').fill('Tea, please')
  await bob.page.getByRole('button', { name: 'Reply' }).click()
  await expect(ada.page.getByTestId('reply')).toContainText('Tea, please')
})

test('what a visitor of the demo says to everyone, or on a topic, reaches those who should hear it', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  await expect(ada.row('Bob').getByTestId('link')).toContainText('direct')

  await bob.page.getByTestId('everyone').click()
  await ada.page.getByTestId('everyone').click()
  await ada.write('Good morning, all')
  await bob.reads('Good morning, all')

  await bob.joinTopic('garden')
  await ada.joinTopic('garden')
  await ada.write('The roses are out')
  await bob.reads('The roses are out')
  await bob.page.getByTestId('everyone').click()
  await expect(bob.page.getByTestId('messages')).not.toContainText('roses')
})

test("the demo's invite link brings a third visitor to the same mesh", async ({ tabs, demo }) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  await ada.page.getByTestId('open-invite').click()
  await expect(ada.page.getByRole('dialog').getByTestId('qr')).toBeVisible()
  const link = await ada.page.getByRole('dialog').getByTestId('invite-link').inputValue()
  await ada.page.keyboard.press('Escape')
  await expect(ada.page.getByRole('dialog')).toHaveCount(0)

  const cleo = await Visitor.join(tabs, link, { name: 'Cleo' })
  await expect(cleo.row('Bob').getByTestId('link')).toContainText('direct')
  await cleo.turnTo('Ada')
  await cleo.write('I came by the link')
  await ada.turnTo('Cleo')
  await ada.reads('I came by the link')
  await expect(bob.row('Cleo')).toBeVisible()
})

test("the demo's theme is changed by a button and kept over a reload", async ({ tabs, demo }) => {
  const { page } = await Visitor.join(tabs, demo, { name: 'Ada' })
  const html = page.locator('html')
  const ink = () => page.evaluate(() => getComputedStyle(document.body).color)
  const themes = new Map<string, string>()
  for (const theme of ['light', 'dark']) {
    await page.getByTestId('theme').click()
    await expect(html).toHaveAttribute('data-theme', theme)
    themes.set(theme, await ink())
  }
  expect(themes.get('light')).not.toBe(themes.get('dark'))

  await page.reload()
  await expect(page.getByTestId('me')).toHaveText('Ada')
  await expect(html).toHaveAttribute('data-theme', 'dark')
  expect(await ink()).toBe(themes.get('dark'))
})

test('the demo can be used with the keyboard alone', async ({ tabs, demo }) => {
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  const page = await (await tabs.context()).newPage()
  await page.goto(demo)
  const { keyboard } = page
  const name = page.getByLabel('Name', { exact: true })
  await expect(async () => {
    await keyboard.press('Tab')
    await expect(name).toBeFocused({ timeout: 1 })
  }).toPass({ intervals: [0] })
  await keyboard.press('Control+A')
  await keyboard.type('Ada')
  await keyboard.press('Enter')
  await expect(page.getByTestId('me')).toHaveText('Ada')
  await expect(page.getByRole('navigation', { name: 'Conversations' })).toBeFocused()

  await expect(page.locator('[data-testid=agent][data-name=Bob][data-presence=online]')).toBeVisible()
  await expect(async () => {
    await keyboard.press('Alt+ArrowDown')
    await expect(page.getByTestId('title')).toHaveText('Bob', { timeout: 250 })
  }).toPass({ intervals: [0] })
  await keyboard.press('Alt+KeyW')
  await expect(page.getByTestId('write')).toBeFocused()
  await keyboard.type('Without a mouse')
  await keyboard.press('Enter')
  await bob.turnTo('Ada')
  await bob.reads('Without a mouse')

  await keyboard.press('Alt+KeyK')
  await expect(page.getByRole('dialog', { name: 'Keyboard' })).toBeVisible()
  await keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await keyboard.press('Alt+KeyL')
  await expect(page.getByTestId('log')).toBeVisible()
  await keyboard.press('Escape')
  await expect(page.getByTestId('log')).toHaveCount(0)
})

test('the demo fits a small screen, and can be used there', async ({ tabs, demo }) => {
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
  const page = await (await tabs.context(phone)).newPage()
  const fits = async (): Promise<void> =>
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  await page.goto(demo)
  const name = page.getByLabel('Name', { exact: true })
  // The name that the page suggests comes first, or between the two steps of filling it in.
  await expect(name).not.toHaveValue('')
  await name.fill('Ada')
  await fits()
  await page.getByRole('button', { name: /^Join/ }).tap()
  const part = (name: string) =>
    page.getByRole('navigation', { name: 'Parts of the page' }).getByRole('button', { name })

  for (const name of ['Mesh', 'Events', 'Agents']) {
    await part(name).tap()
    await expect(part(name)).toHaveAttribute('aria-current', 'page')
    await fits()
  }
  await page.locator('[data-testid=agent][data-name=Bob][data-presence=online]').tap()
  await expect(page.getByTestId('title')).toHaveText('Bob')
  await page.getByTestId('write').fill('From my pocket')
  await page.getByTestId('send').tap()
  await expect(page.getByTestId('messages')).toContainText('From my pocket')
  await fits()
  await bob.turnTo('Ada')
  await bob.reads('From my pocket')
  await page.getByRole('button', { name: 'Back to the list' }).tap()
  await expect(page.getByTestId('roster')).toBeVisible()
})
