/** The demo that ends and is started again, while pages of it are open. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Helper } from './fixtures/process.ts'
import { RELAY_IS_DOWN } from './fixtures/tabs.ts'
import { expect, test } from './fixtures/test.ts'
import { Visitor } from './fixtures/visitor.ts'

/** A port that was free a moment ago: a demo that is to come back in its place needs one that is named. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

test('a page of the demo that is open while the demo is killed and started again goes on without a reload', async ({
  tabs,
}, info) => {
  tabs.expect(RELAY_IS_DOWN)
  const options = { port: await freePort(), relayPort: await freePort(), data: info.outputPath('data') }
  const demos: Helper[] = []
  const start = async (): Promise<string> => {
    const demo = new Helper('e2e/fixtures/demo-process.ts')
    demos.push(demo)
    return demo.call<string>('start', process.env.AFP_E2E_DEMO, options)
  }
  try {
    const ada = await Visitor.join(tabs, await start(), { name: 'Ada' })
    let loads = 0
    ada.page.on('load', () => loads++)
    await ada.turnTo('Abacus')
    await ada.page.getByRole('radio', { name: 'Tell' }).check()
    await ada.write('6 * 7')
    await ada.reads('42')
    // Its answer may be here before the word that it was handled.
    await expect(ada.statusOf('6 * 7')).toHaveText('processed')

    await demos[0]?.kill()
    await expect(ada.page.getByTestId('where')).toHaveText('Away')
    await ada.write('5 * 5 * 5')
    await expect(ada.statusOf('5 * 5 * 5')).toHaveText('queued')

    await start()
    await expect(ada.statusOf('5 * 5 * 5')).toHaveText('processed')
    await ada.reads('125')
    await expect(ada.row('Abacus').getByTestId('link')).toContainText('direct')
    // Whoever comes now meets it through the relay that is back.
    const bob = await Visitor.join(tabs, `http://localhost:${options.port}/`, { name: 'Bob' })
    await expect(bob.row('Ada').getByTestId('link')).toContainText('direct')
    expect(loads).toBe(0)
  } finally {
    // Tabs go first, or they would try to reach what is gone.
    await tabs.close()
    await Promise.all(demos.map(demo => demo.kill()))
  }
})
