/** The demo on screens of several sizes: nothing lies over anything else, and all of it can be used. */

import type { Locator, Page } from '@playwright/test'
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

/** Where a part of the page can be seen and clicked: each corner, a little inside, and the middle. */
const isWholeOnTop = (part: Locator): Promise<boolean> =>
  part.evaluate(element => {
    const { left, right, top, bottom } = element.getBoundingClientRect()
    const points = [left + 9, (left + right) / 2, right - 9].flatMap(x =>
      [top + 9, bottom - 9].map(y => [x, y] as const),
    )
    return points.every(([x, y]) => element.contains(document.elementFromPoint(x, y)))
  })

/** Texts that come nearer than 16 px to a side of the screen, or into the padding of the choice that they are in. */
const touchingTexts = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = []
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
      const element = text.parentElement
      if (element === null || text.textContent?.trim() === '' || !element.checkVisibility()) continue
      if (element.closest('svg, .visually-hidden, noscript') !== null) continue
      const range = document.createRange()
      range.selectNodeContents(text)
      const { left, right } = range.getBoundingClientRect()
      const around = element.closest('label, button') ?? document.body
      const box = around.getBoundingClientRect()
      const { paddingLeft, paddingRight } = getComputedStyle(around)
      const from = Math.max(16, box.left + Number.parseFloat(paddingLeft))
      const to = Math.min(innerWidth - 16, box.right - Number.parseFloat(paddingRight))
      // Browsers lay text out in fractions of a pixel.
      if (left < from - 0.5 || right > to + 0.5) found.push(text.textContent ?? '')
    }
    return found
  })

test('who to be is chosen in the demo on every screen: nothing covers a choice that is turned to, or touches an edge', async ({
  tabs,
  demo,
}) => {
  const page = await (await tabs.context()).newPage()
  await page.goto(demo)
  const join = page.getByRole('button', { name: /^Join/ })
  await expect(join).toBeEnabled()
  const choices = page.locator('.behaviour')
  const count = await choices.count()
  expect(count).toBe(6)
  for (const [width, height] of [
    [320, 568],
    [360, 640],
    [390, 844],
    [844, 390],
    [768, 1024],
    [1280, 800],
  ] as const) {
    await page.setViewportSize({ width, height })
    await fits(page)
    expect(await touchingTexts(page), `touching at ${width}x${height}`).toEqual([])
    if (width <= 940) await expect(join).toBeInViewport({ ratio: 1 })
    // By the keyboard: down through all of them and on to where it began, then up through all of them.
    await page.evaluate(() => scrollTo(0, 0))
    await page.getByRole('radio', { name: 'Person' }).focus()
    for (const key of ['ArrowDown', 'ArrowUp']) {
      for (let n = 0; n < count; n++) {
        await page.keyboard.press(key)
        const choice = page.locator('.behaviour:has(:focus)')
        await expect(choice.getByRole('radio')).toBeChecked()
        expect(await isWholeOnTop(choice), `${await choice.innerText()} at ${width}x${height}, by ${key}`).toBe(true)
      }
    }
    // By scrolling: the end of the page has the last of them above the button.
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight))
    expect(await isWholeOnTop(choices.last())).toBe(true)
    expect(await isWholeOnTop(join)).toBe(true)
  }
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await isReadable(page)
  }
})
