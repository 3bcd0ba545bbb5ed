/** The demo as somebody on another machine sees it, without https: by a name that is not localhost. */

import { expect, test } from './fixtures/demo.ts'
import { Visitor } from './fixtures/visitor.ts'
import config from './playwright.config.ts'

const NAME = 'agents.test'
const { launchOptions } = config.use ?? {}
test.use({
  launchOptions: {
    ...launchOptions,
    args: [...(launchOptions?.args ?? []), `--host-resolver-rules=MAP ${NAME} 127.0.0.1`],
  },
})

test('tabs of a page that came over plain http talk to each other, and are told that nothing is kept', async ({
  tabs,
  demo,
}) => {
  // Chromium says of each page that it heeds this header over https only.
  tabs.expect(/^The Cross-Origin-Opener-Policy header has been ignored/)
  const url = new URL(demo)
  url.hostname = NAME
  const ada = await Visitor.join(tabs, url.href, { name: 'Ada' })
  const bob = await Visitor.join(tabs, url.href, { name: 'Bob' })
  expect(await ada.page.evaluate(() => [isSecureContext, 'randomUUID' in crypto])).toEqual([false, false])
  await expect(ada.page.getByTestId('unkept')).toContainText('this page came over plain http')

  await ada.turnTo('Bob')
  await ada.write('Hello Bob')
  await expect(ada.statusOf('Hello Bob')).toHaveText('processed')
  await bob.turnTo('Ada')
  await bob.reads('Hello Bob')
  await bob.page.getByRole('radio', { name: 'Ask' }).check()
  await bob.write('Coffee or tea?')
  await ada.page.getByTestId('answer').fill('Tea, please')
  await ada.page.getByRole('button', { name: 'Reply' }).click()
  await expect(bob.page.getByTestId('reply')).toContainText('Tea, please')

  // As it was told.
  await ada.reload()
  await ada.turnTo('Bob')
  await expect(ada.said('Hello Bob')).toHaveCount(0)
})

test('a tab on localhost is told of no such thing', async ({ tabs, demo }) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  await expect(ada.row('Abacus')).toBeVisible()
  await expect(ada.page.getByTestId('unkept')).toHaveCount(0)
})
