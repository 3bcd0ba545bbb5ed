/** What the demo's page cannot do, and says so. */

import { expect, test } from './fixtures/demo.ts'
import { isNamed, isReadable } from './fixtures/page-checks.ts'
import { Visitor } from './fixtures/visitor.ts'

test('a topic that the demo’s page cannot join is told beside its field, and nothing is lost by it', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const { page } = ada
  const field = page.getByLabel('Join a topic')
  const alert = page.getByRole('navigation').getByRole('alert')
  await field.fill('$x')
  await field.press('Enter')
  await expect(alert).toHaveText('It was not joined: that topic cannot be used.')
  await expect(field).toHaveValue('$x')
  await expect(field).toHaveAttribute('aria-invalid', 'true')
  await expect(page.getByTestId('title')).toHaveText('lobby')
  await isNamed(page)
  await isReadable(page)
  await ada.joinTopic('garden')
  await expect(alert).toHaveCount(0)

  for (let n = 3; n <= 24; n++) await ada.joinTopic(`t${n}`)
  await field.fill('one more')
  await field.press('Enter')
  await expect(alert).toHaveText('A page joins 24 topics. Leave one first.')
  await expect(page.getByTestId('title')).toHaveText('t24')
  await page.getByRole('button', { name: 'Leave' }).click()
  await ada.joinTopic('one more')
})

test('dead letters whose code could not be fetched once are there when somebody looks again', async ({
  tabs,
  demo,
}) => {
  tabs.expect(/Failed to load resource|Failed to fetch dynamically imported module/)
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const { page } = ada
  const letters = page.getByTestId('letters')
  const scripts = '**/assets/letters-*.js'
  const show = () =>
    page
      .getByRole('button', { name: /dead letters/i })
      .first()
      .click()
  // The drawer comes, which is asked for first; what reads its letters does not.
  let drawer: string | undefined
  await page.route(scripts, route => {
    const url = route.request().url()
    drawer ??= url
    return url === drawer ? route.continue() : route.abort()
  })
  await show()
  await expect(letters).toContainText('They could not be fetched')
  await page.unroute(scripts)
  await page.getByRole('button', { name: 'Close the dead letters' }).click()
  await show()
  await expect(letters).toContainText('No dead letters')
})
