/** Nothing of Firefox outlives the one who drives it: no process and no file. */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Firefox } from './browser.ts'
import { firefoxPath } from './path.ts'

let folder: string
const started: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'afp-firefox-'))
})
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** The processes that live in the folder; elsewhere than on Linux it is left to its files to tell. */
function processes(): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc').filter(id => {
    try {
      return readFileSync(`/proc/${id}/environ`, 'latin1').includes(`HOME=${folder}`)
    } catch {
      // Not a process, or one that has just ended.
      return false
    }
  })
}

const left = (): object => ({ files: readdirSync(folder).length, processes: processes().length })
const nothingIsLeft = (): Promise<void> =>
  expect.poll(left, { timeout: 15_000 }).toEqual({ files: 0, processes: 0 }) as Promise<void>

describe('Firefox', () => {
  // Without one these tests fail: the launcher of the tests gets one, or says what to install.
  const path = firefoxPath ?? 'firefox'

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'ends with a runner that gets %s, and leaves nothing',
    async signal => {
      const runner = spawn(process.execPath, [join(import.meta.dirname, 'driver.ts'), path, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      started.push(runner)
      const said = await new Promise<string>((resolve, reject) => {
        runner.stdout.once('data', chunk => resolve(`${chunk}`))
        runner.once('exit', code => reject(new Error(`the runner ended with ${code}`)))
      })
      expect(said).toMatch(/^driving .*Firefox/)
      expect(readdirSync(folder)).toHaveLength(1)
      if (process.platform === 'linux') expect(processes()).not.toEqual([])
      runner.kill(signal)
      await nothingIsLeft()
    },
    40_000,
  )

  test('that was closed has left nothing', async () => {
    const firefox = await Firefox.start(path, folder)
    expect(readdirSync(folder)).toHaveLength(1)
    await firefox.close()
    expect(readdirSync(folder)).toEqual([])
    await nothingIsLeft()
  }, 40_000)
})

test('What is not Firefox is said to be none, and leaves nothing', async () => {
  await expect(Firefox.start(join(folder, 'nothing'), folder)).rejects.toThrow(/does not start: .*ENOENT/)
  await expect(Firefox.start(process.execPath, folder)).rejects.toThrow(
    /does not start: Firefox ended with 9: .*bad option/s,
  )
  await nothingIsLeft()
})
