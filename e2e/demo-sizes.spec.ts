/** The demo on screens of several sizes: nothing lies over anything else, and all of it can be used. */

import type { Page } from '@playwright/test'
import { expect, test } from './fixtures/demo.ts'
import { fits, isNamed, isReadable } from './fixtures/page-checks.ts'
import { Visitor } from './fixtures/visitor.ts'

const heightOf = async (page: Page, selector: string): Promise<number> =>
  (await page.locator(selector).boundingBox())?.height ?? 0

test('the place to write in the demo has its height on a phone, where it is drawn before it is shown', async ({
  tabs,
  demo,
}) => {
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
  for (const older of [false, true]) {
    const context = await tabs.context(phone)
    // Engines that cannot have a field grow by itself are told apart by this question alone.
    if (older) {
      await context.addInitScript(() => {
        CSS.supports = () => false
      })
    }
    const { page } = await Visitor.joinIn(context, demo, { name: 'Ada' })
    if (older) await page.locator('#write').evaluate(field => field.style.setProperty('field-sizing', 'fixed'))
    await page.getByRole('navigation', { name: 'Parts of the page' }).getByRole('button', { name: 'Talk' }).tap()
    const empty = await heightOf(page, '#write')
    expect(empty).toBeGreaterThan(34)
    expect(empty).toBeLessThan(50)
    await page.getByTestId('write').fill('One\nTwo\nThree')
    const full = await heightOf(page, '#write')
    expect(full).toBeGreaterThan(empty + 40)
    await page.getByTestId('write').fill('')
    expect(await heightOf(page, '#write')).toBe(empty)
  }
})

/** Whether something can be seen and clicked where it stands. */
const isOnTop = (page: Page, selector: string): Promise<boolean[]> =>
  page.locator(selector).evaluateAll(elements =>
    elements.map(element => {
      const { x, y, width, height } = element.getBoundingClientRect()
      return element.contains(document.elementFromPoint(x + width / 2, y + height / 2))
    }),
  )

for (const [width, height] of [
  [1024, 768],
  [900, 600],
  [844, 390],
] as const) {
  test(`the map of the demo leaves the list of agents its room on a screen of ${width}x${height}`, async ({
    tabs,
    demo,
  }) => {
    const ada = await Visitor.join(tabs, demo, { name: 'Ada' }, { viewport: { width, height } })
    const { page } = ada
    await expect(ada.row('Abacus')).toBeAttached()
    await expect(ada.row('Tick')).toBeAttached()
    const map = page.getByRole('heading', { name: 'The mesh, seen from here' })
    await expect(page.getByTestId('topology')).toBeHidden()
    const rail = await heightOf(page, '.rail')
    expect(rail).toBeGreaterThan((height - 56) / 2)
    // Without scrolling where there is room for three agents.
    if (height > 600) expect(await isOnTop(page, '[data-testid=agent]')).not.toContain(false)
    await fits(page)
    await isNamed(page)
    await isReadable(page)

    await map.click()
    await expect(page.getByTestId('topology')).toBeVisible()
    expect(await heightOf(page, '.rail')).toBeGreaterThanOrEqual(Math.min(rail, 200))
    for (const name of ['Abacus', 'Tick']) await ada.turnTo(name)
    await page.getByTestId('open-letters').click()
    await expect(page.getByTestId('letters')).toContainText('No dead letters.')
    expect(await heightOf(page, '.rail')).toBeGreaterThan(100)
    await fits(page)
  })
}

test('the map of the demo is there at once where there is room for it', async ({ tabs, demo }) => {
  for (const viewport of [
    { width: 1440, height: 900 },
    { width: 1024, height: 1366 },
  ]) {
    const { page } = await Visitor.join(tabs, demo, { name: 'Ada' }, { viewport })
    await expect(page.getByTestId('topology')).toBeInViewport({ ratio: 1 })
    expect(await isOnTop(page, '[data-testid=agent]')).not.toContain(false)
  }
})
