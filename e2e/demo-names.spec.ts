/** Who a tab of the demo is offered to be: first of all who was here before. */

import { expect, test } from './fixtures/demo.ts'
import { isNamed, isReadable } from './fixtures/page-checks.ts'
import { Visitor } from './fixtures/visitor.ts'

test('whoever closes a tab of the demo, opens the page again and joins is the same, and has what waited', async ({
  tabs,
  demo,
}) => {
  const profile = await tabs.context()
  const zoe = await Visitor.join(tabs, demo, { name: 'Zoe' })
  const yan = await Visitor.joinIn(profile, demo, { name: 'Yan', as: 'Person' })
  await zoe.turnTo('Yan')
  await zoe.write('Hello Yan')
  await expect(zoe.statusOf('Hello Yan')).toHaveText('processed')
  await yan.page.close()
  await expect(zoe.page.getByTestId('where')).toHaveText('Away')
  await zoe.write('You were away')
  await expect(zoe.statusOf('You were away')).toHaveText('queued')

  const page = await profile.newPage()
  await page.goto(demo)
  await page.getByRole('button', { name: /^Join/ }).click()
  await expect(page.getByTestId('me')).toHaveText('Yan')
  await expect(zoe.statusOf('You were away')).toHaveText('processed')
  await page.locator('[data-testid=agent][data-name=Zoe]').click()
  await expect(page.getByTestId('message')).toHaveText([/Hello Yan/, /You were away/])
})

test('a name that was used in the demo is offered again, unless another tab has it, and is nobody’s default once it was left', async ({
  tabs,
  demo,
}) => {
  const profile = await tabs.context()
  const yan = await Visitor.joinIn(profile, demo, { name: 'Yan' })
  const zoe = await Visitor.joinIn(profile, demo, { name: 'Zoe', as: 'Echo' })
  const page = await profile.newPage()
  const name = page.getByLabel('Name', { exact: true })
  const again = page.getByRole('button', { name: /^Be .* again$/ })
  await page.goto(demo)
  await expect(name).not.toHaveValue('')
  await expect(name).not.toHaveValue(/Yan|Zoe/)
  await expect(again).toHaveCount(0)

  await zoe.page.close()
  await yan.page.close()
  await expect(async () => {
    await page.reload()
    await expect(again).toHaveText(['Be Zoe again', 'Be Yan again'], { timeout: 1_000 })
  }).toPass()
  await expect(name).toHaveValue('Zoe')
  await expect(page.getByRole('radio', { name: 'Echo' })).toBeChecked()
  await isNamed(page)
  await isReadable(page)
  await again.last().click()
  await expect(name).toHaveValue('Yan')
  await expect(page.getByRole('radio', { name: 'Person' })).toBeChecked()
  await page.getByRole('button', { name: /^Join/ }).click()
  await expect(page.getByTestId('me')).toHaveText('Yan')

  await page.getByRole('button', { name: 'Become someone else' }).click()
  await expect(again).toHaveText(['Be Yan again', 'Be Zoe again'])
  await expect(name).not.toHaveValue('')
  await expect(name).not.toHaveValue(/Yan|Zoe/)
})

test('a name of the list that another tab has, or that somebody has left, is nobody’s default and is not in the list', async ({
  tabs,
  demo,
}) => {
  const profile = await tabs.context()
  const visit = async (name: string): Promise<Visitor> => Visitor.joinIn(profile, demo, { name })
  const [, grace] = [await visit('Ada'), await visit('Grace')]
  const page = await profile.newPage()
  // What falls to chance falls on the first of the list, which is Ada.
  await page.addInitScript(() => {
    const given = crypto.getRandomValues.bind(crypto)
    Object.defineProperty(crypto, 'getRandomValues', {
      value: (into: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>) =>
        into instanceof Uint32Array && into.length === 1 ? into.fill(0) : given(into),
    })
  })
  const name = page.getByLabel('Name', { exact: true })
  const list = page.getByRole('group', { name: 'Suggested names' }).getByRole('button')
  await page.goto(demo)
  await expect(list).toHaveText(['Linus', 'Noor', 'Emil', 'Mika', 'Ines'])
  await expect(name).toHaveValue('Linus')

  await grace.page.getByRole('button', { name: 'Become someone else' }).click()
  const again = grace.page.getByRole('button', { name: 'Be Grace again' })
  await expect(again).toBeVisible()
  await expect(grace.page.getByRole('button', { name: /^(Ada|Grace)$/ })).toHaveCount(0)
  await expect(grace.page.getByLabel('Name', { exact: true })).toHaveValue(/^(Linus|Noor|Emil|Mika|Ines|Theo)$/)

  // Whoever says who to be is that one, as whatever it is.
  await again.click()
  await grace.page.getByRole('radio', { name: 'Echo' }).check()
  await expect(grace.page.getByLabel('Name', { exact: true })).toHaveValue('Grace')
})
