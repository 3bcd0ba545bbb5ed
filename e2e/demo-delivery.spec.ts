import { randomBytes } from 'node:crypto'
import type { Page } from '@playwright/test'
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

/** Holds up what a page's agent writes, as a transaction of another tab's would, until the returned function is called. */
async function holdStore(page: Page): Promise<() => Promise<void>> {
  const held = await page.evaluateHandle(async () => {
    const names = (await indexedDB.databases()).flatMap(({ name }) => (name?.startsWith('afp:') ? [name] : []))
    if (names.length !== 1) throw new Error(`databases of agents: ${names.join()}`)
    const db = await new Promise<IDBDatabase>((resolve, reject) => {
      const opening = indexedDB.open(names[0] as string)
      opening.onsuccess = () => resolve(opening.result)
      opening.onerror = () => reject(opening.error)
    })
    let holding = true
    const rows = db.transaction('app', 'readwrite').objectStore('app')
    const over = new Promise<void>(resolve => {
      rows.transaction.oncomplete = () => resolve(db.close())
    })
    await new Promise<void>(resolve => {
      // A transaction ends as soon as nothing is asked of it.
      const ask = (): void => {
        resolve()
        if (holding) rows.count().onsuccess = ask
      }
      rows.count().onsuccess = ask
    })
    const letGo = (): Promise<void> => {
      holding = false
      return over
    }
    return { letGo }
  })
  return () => held.evaluate(({ letGo }) => letGo())
}

test('what is said on a topic of the demo, or to everyone, is kept first, and leaves only then', async ({
  tabs,
  demo,
}) => {
  const ada = await Visitor.join(tabs, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  await expect(ada.row('Bob').getByTestId('link')).toContainText('direct')
  for (const channel of ['[data-testid=everyone]', '[data-testid=topic][data-name=lobby]']) {
    for (const { page } of [ada, bob]) await page.locator(channel).click()
    const letGo = await holdStore(ada.page)
    await ada.write('The roses are out')
    // Gossip between two that are linked keeps its order: what was sent before this answer would be there by now.
    await bob.write('Any news?')
    await ada.reads('Any news?')
    await expect(ada.statusOf('The roses')).toHaveText('sending')
    await expect(bob.page.getByTestId('messages')).not.toContainText('roses')
    await letGo()
    await bob.reads('The roses are out')
    await expect(ada.said('The roses')).toHaveAttribute('data-status', 'published')
  }
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
  await expect(ada.statusOf('For when')).toHaveText('queued')
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
  await expect(letter('First')).toContainText('From Ada')
  await expect(letter('First')).toContainText('6 attempts')
  await expect(letter('First')).toContainText('It was told to fail')
  await isNamed(page)

  await letter('First')
    .getByRole('button', { name: /^Retry/ })
    .click()
  await expect(page.getByTestId('outcome')).toHaveText('It failed: It was told to fail at what comes in.')
  await expect(letter('First')).toContainText('7 attempts')
  await page.getByLabel('Fail at what comes in').uncheck()
  await letter('First')
    .getByRole('button', { name: /^Retry/ })
    .click()
  await expect(letter('First')).toHaveAttribute('data-done', 'true')
  await letter('Second')
    .getByRole('button', { name: /^Discard/ })
    .click()
  await expect(page.getByTestId('outcome')).toHaveText('Discarded.')
  await letter('Third')
    .getByRole('button', { name: /^Mark as done/ })
    .click()
  await expect(page.getByTestId('letter')).toHaveText([/Third.*done|done.*Third/, /First.*done|done.*First/])
  await expect(page.getByTestId('open-letters')).toHaveText('Dead letters')
  await page.getByRole('button', { name: 'Purge done' }).click()
  await expect(page.getByTestId('outcome')).toHaveText('2 letters purged.')
  await expect(page.getByTestId('letters')).toContainText('No dead letters.')
  await page.keyboard.press('Escape')
  await expect(page.getByTestId('letters')).toHaveCount(0)

  await bob.turnTo('Ada')
  await expect(page.getByTestId('message')).toHaveText([/First of three/])
  await bob.reload()
  await bob.turnTo('Ada')
  await expect(page.getByTestId('message')).toHaveText([/First of three/])
})

test('a message of the demo whose time ends is a dead letter of its sender, who sends it again; on a small screen too', async ({
  tabs,
  demo,
}) => {
  const profile = await tabs.context()
  const bob = await Visitor.joinIn(profile, demo, { name: 'Bob' })
  const page = await (await tabs.context(phone)).newPage()
  await page.goto(demo)
  await page.getByLabel('Name', { exact: true }).fill('Ada')
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

/** Fills what an origin may keep to the last kilobyte; resolves with how much that took. */
const fill = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    const opening = indexedDB.open('ballast')
    opening.onupgradeneeded = () => opening.result.createObjectStore('ballast', { autoIncrement: true })
    const done = (request: IDBRequest): Promise<void> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve()
        request.onerror = () => reject(request.error)
      })
    await done(opening)
    let bytes = 0
    for (let size = 65_536; size >= 1_024; ) {
      const writing = opening.result.transaction('ballast', 'readwrite', { durability: 'strict' })
      // Random, because engines compress what they store.
      writing.objectStore('ballast').add(crypto.getRandomValues(new Uint8Array(size)))
      const written = await new Promise<boolean>(resolve => {
        writing.oncomplete = () => resolve(true)
        writing.onabort = () => resolve(false)
      })
      if (written) bytes += size
      else size /= 2
    }
    opening.result.close()
    return bytes
  })

test('a browser whose storage is full says in the demo what was kept and what to do', async ({ tabs, demo }) => {
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  const profile = await tabs.context()
  const devtools = await profile.newCDPSession(await profile.newPage())
  const { origin } = new URL(demo)
  // Before anything is kept: Chromium goes on for many seconds with the room it found at first.
  await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3_000_000 })
  const ada = await Visitor.joinIn(profile, demo, { name: 'Ada' })
  const { page } = ada
  await ada.turnTo('Bob')
  await ada.write('Hello Bob')
  await expect(ada.statusOf('Hello Bob')).toHaveText('processed')

  expect(await fill(page)).toBeGreaterThan(100_000)
  await ada.write(`No room for this one ${randomBytes(2_500).toString('base64')}`)
  await expect(ada.statusOf('No room')).toHaveText('failed: this browser has no room left')
  await expect(page.getByTestId('notice')).toContainText('This browser has no room left. What was kept so far is safe')
  await expect(page.getByTestId('notice')).toContainText('Clear a conversation')
  await isNamed(page)
  await isReadable(page)

  // On a topic nobody keeps it for those who are away: it goes all the same.
  await page.getByTestId('notice').getByRole('button', { name: 'Dismiss' }).click()
  await page.locator('[data-testid=topic][data-name=lobby]').click()
  await bob.page.locator('[data-testid=topic][data-name=lobby]').click()
  await ada.write(`Said all the same ${randomBytes(2_500).toString('base64')}`)
  await bob.reads('Said all the same')
  await expect(ada.said('Said all the same')).toHaveAttribute('data-status', 'published')
  await expect(page.getByTestId('notice')).toContainText('the last of it was not kept')
  await ada.turnTo('Bob')

  await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 100_000_000 })
  await expect(async () => {
    await ada.write('Again')
    await expect(ada.statusOf('Again').last()).toHaveText('processed', { timeout: 2_000 })
  }).toPass()
  await page.getByTestId('notice').getByRole('button', { name: 'Dismiss' }).click()
  await ada.reload()
  await ada.turnTo('Bob')
  await ada.reads('Hello Bob')
  await ada.reads('Again')
  await expect(page.getByTestId('messages')).not.toContainText('No room')
})
