/** What a browser keeps of the demo, when it is slow to be written and when there is no room for it. */

import { randomBytes } from 'node:crypto'
import type { Page } from '@playwright/test'
import { expect, test } from './fixtures/demo.ts'
import { isNamed, isReadable } from './fixtures/page-checks.ts'
import { Visitor } from './fixtures/visitor.ts'

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

test('a browser that forbids the page to remember who it was shows the demo all the same', async ({ tabs, demo }) => {
  const profile = await tabs.context()
  await profile.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, name, {
        get: () => {
          throw new DOMException('Access is denied for this document', 'SecurityError')
        },
      })
    }
  })
  const ada = await Visitor.joinIn(profile, demo, { name: 'Ada' })
  const bob = await Visitor.join(tabs, demo, { name: 'Bob' })
  await ada.turnTo('Bob')
  await ada.write('Hello Bob')
  await expect(ada.statusOf('Hello Bob')).toHaveText('processed')
  await ada.page.getByTestId('theme').click()
  await expect(ada.page.locator('html')).toHaveAttribute('data-theme', 'light')
  await bob.turnTo('Ada')
  await bob.reads('Hello Bob')
  await ada.page.reload()
  await expect(ada.page.getByLabel('Name', { exact: true })).not.toHaveValue('')
})
