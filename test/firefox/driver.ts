/** Drives Firefox as a runner of tests does, until it is killed. */

import { Firefox } from './browser.ts'

const [path = '', folder = ''] = process.argv.slice(2)
const firefox = await Firefox.start(path, folder)
const page = await firefox.newPage()
process.stdout.write(`driving ${await page.evaluate(() => navigator.userAgent)}\n`)
