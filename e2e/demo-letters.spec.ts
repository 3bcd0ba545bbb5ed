/** Messages that their handler in the demo fails at: among the dead letters, and in the conversation they belong to. */

import { expect, test } from './fixtures/demo.ts'
import { fits, isNamed, isReadable } from './fixtures/page-checks.ts'
import { Visitor } from './fixtures/visitor.ts'

const phone = { width: 390, height: 844 }
const desk = { viewport: { width: 1280, height: 800 } }
const FAILED = 'failed: your handler failed (It was told to fail at what comes in)'

test('a message that its handler in the demo fails at becomes a dead letter, is retried, marked, purged', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' }, desk)
  const { page } = bob
  await page.getByTestId('open-letters').click()
  await expect(page.getByTestId('letters')).toContainText('No dead letters.')
  await page.getByLabel('Fail at what comes in').check()
  await ada.turnTo('Bob')
  for (const text of ['First of three', 'Second of three', 'Third of three']) await ada.write(text)
  await expect(ada.statusOf('First')).toHaveText('failed: its handler failed')

  const letter = (text: string) => page.getByTestId('letter').filter({ hasText: text })
  await expect(page.getByTestId('letter')).toHaveText([/Third of three/, /Second of three/, /First of three/])
  await expect(page.getByTestId('open-letters')).toContainText('3')
  await expect(letter('First')).toContainText(/From Ada\s*your handler failed/)
  // Nothing stands between the head and what is below it while there is nothing to say.
  const [close, body] = [
    await page.getByRole('button', { name: 'Close the dead letters' }).boundingBox(),
    await page.locator('.letters-body').boundingBox(),
  ]
  expect((body?.y ?? 0) - (close?.y ?? 0) - (close?.height ?? 0)).toBeLessThan(12)
  // The conversation is all there beside it.
  const [talk, letters] = [await page.locator('.talk').boundingBox(), await page.getByTestId('letters').boundingBox()]
  expect(talk?.height).toBeGreaterThan(600)
  expect((talk?.x ?? 0) + (talk?.width ?? 0)).toBeLessThanOrEqual(letters?.x ?? 0)
  await expect(letter('First')).toContainText('6 attempts')
  await expect(letter('First')).toContainText('It was told to fail')
  await isNamed(page)
  const all = page.getByRole('button', { name: 'Retry all' })
  await all.click()
  await expect(page.getByTestId('outcome')).toHaveText('0 retried, 3 failed again.')
  for (const text of ['First', 'Second', 'Third']) await expect(letter(text)).toContainText('7 attempts')

  await letter('First')
    .getByRole('button', { name: /^Retry/ })
    .click()
  await expect(page.getByTestId('outcome')).toHaveText('It failed: It was told to fail at what comes in.')
  await expect(letter('First')).toContainText('8 attempts')
  await page.getByLabel('Fail at what comes in').uncheck()
  await letter('First')
    .getByRole('button', { name: /^Retry/ })
    .click()
  await expect(letter('First')).toHaveAttribute('data-done', 'true')
  await letter('Second')
    .getByRole('button', { name: /^Discard/ })
    .click()
  await expect(page.getByTestId('outcome')).toHaveText('Discarded.')
  await expect(all).toHaveCount(0)
  await letter('Third')
    .getByRole('button', { name: /^Mark as done/ })
    .click()
  await isNamed(page)
  await page.keyboard.type('Told Ada on the phone')
  await page.keyboard.press('Enter')
  await expect(page.getByTestId('outcome')).toHaveText('Marked as done.')
  await expect(letter('Third')).toContainText('Told Ada on the phone')
  await expect(page.getByTestId('letter')).toHaveText([/Third.*done|done.*Third/, /First.*done|done.*First/])
  await expect(page.getByTestId('open-letters')).toHaveText('Dead letters')
  await page.getByRole('button', { name: 'Purge done' }).click()
  await expect(page.getByTestId('outcome')).toHaveText('2 letters purged.')
  await expect(page.getByTestId('letters')).toContainText('No dead letters.')
  await page.keyboard.press('Escape')
  await expect(page.getByTestId('letters')).toHaveCount(0)

  const states = ['received', 'failed', 'failed']
  await bob.turnTo('Ada')
  for (const again of [false, true]) {
    if (again) await bob.reload()
    await expect(page.getByTestId('message')).toHaveText([/First of three/, /Second of three/, /Third of three/])
    for (const [at, state] of states.entries())
      await expect(page.getByTestId('message').nth(at)).toHaveAttribute('data-status', state)
    // Somebody has dealt with all of them.
    await expect(page.getByRole('button', { name: /^(Retry|Dead letter of)/ })).toHaveCount(0)
  }
})

test('what its handler in the demo failed at is retried where it was said, after a reload too, and all at once', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' }, desk)
  const { page } = bob
  const messages = page.getByTestId('message')
  await page.getByTestId('open-letters').click()
  await page.getByLabel('Fail at what comes in').check()
  await ada.turnTo('Bob')
  for (const text of ['First', 'Second', 'Third', 'Fourth']) await ada.write(text)
  await expect(page.getByTestId('letter')).toHaveCount(4)
  await page.keyboard.press('Escape')
  await bob.turnTo('Ada')
  await expect(messages.getByTestId('status')).toHaveText([FAILED, FAILED, FAILED, FAILED])
  await bob.said('First').getByRole('button', { name: 'Retry “First”' }).click()
  await expect(bob.said('First')).toContainText('It failed: It was told to fail at what comes in.')
  await isNamed(page)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await isReadable(page)
  }

  // After a reload nothing is told to fail any more.
  await bob.reload()
  await expect(messages.getByTestId('status')).toHaveText([FAILED, FAILED, FAILED, FAILED])
  await page.setViewportSize(phone)
  await bob.said('First').getByRole('button', { name: 'Dead letter of “First”' }).click()
  await expect(page.getByTestId('letter')).toHaveCount(4)
  await fits(page)
  await page.getByRole('navigation', { name: 'Parts of the page' }).getByRole('button', { name: 'Talk' }).click()
  await fits(page)
  await bob.said('First').getByRole('button', { name: 'Retry “First”' }).click()
  await expect(bob.said('First')).toHaveAttribute('data-status', 'received')
  await page.setViewportSize(desk.viewport)
  await expect(messages.getByTestId('status')).toHaveText([FAILED, FAILED, FAILED])
  await bob.said('Second').getByRole('button', { name: 'Dead letter of “Second”' }).click()
  await page.getByRole('button', { name: 'Retry all' }).click()
  await expect(page.getByTestId('outcome')).toHaveText('3 retried.')
  await expect(page.locator('[data-testid=letter][data-done=true]')).toHaveCount(4)
  for (const again of [false, true]) {
    if (again) await bob.reload()
    await expect(messages).toHaveText([/First/, /Second/, /Third/, /Fourth/])
    await expect(messages.getByTestId('status')).toHaveCount(0)
  }
})
