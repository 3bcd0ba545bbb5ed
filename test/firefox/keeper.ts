/**
 * Runs Firefox for the process that forks this, in a folder of its own, and ends both when that process does, however
 * that ends: a runner that is killed cleans up nothing, and Firefox does not end with the one who drives it.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What is told to the process that forked this: where Firefox can be driven, or why it cannot. */
export type Told = { readonly endpoint: string } | { readonly failed: string }

const windows = process.platform === 'win32'

/** What Firefox has to know before the one who drives it can say so; the rest it sets itself once it is driven. */
const PREFERENCES = {
  // Lets storage be closed and opened again under another limit.
  'dom.quotaManager.testing': true,
  'app.update.disabledForTesting': true,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.page': 0,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'toolkit.telemetry.reportingpolicy.firstRun': false,
}

const [firefox = '', folder = ''] = process.argv.slice(2)
mkdirSync(folder, { recursive: true })
const home = mkdtempSync(join(folder, 'firefox-'))
let child: ChildProcess | undefined

function kill(): void {
  if (child?.pid === undefined) return
  try {
    if (windows) spawnSync('taskkill', ['/pid', `${child.pid}`, '/T', '/F'], { windowsHide: true })
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}

/** Ends Firefox where it still runs, then leaves nothing of it. */
function end(): void {
  if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) return kill()
  rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  process.exit()
}

/** Says it where somebody listens, then ends. */
function tell(told: Told, then?: () => void): void {
  if (process.connected) process.send?.(told, () => then?.())
  else then?.()
}

process.once('disconnect', end)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)

const profile = join(home, 'profile')
mkdirSync(profile)
const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`)
writeFileSync(join(profile, 'user.js'), lines.join(''))
// A home of its own, or it leaves caches and reports in that of whoever runs it.
const { XDG_CONFIG_HOME: _config, XDG_CACHE_HOME: _cache, XDG_DATA_HOME: _data, ...env } = process.env
child = spawn(
  firefox,
  [
    '--headless',
    '--no-remote',
    ...(windows ? ['--wait-for-browser'] : []),
    '--profile',
    profile,
    '--remote-debugging-port=0',
    // For scripts within the browser itself: nothing else gives a page less room, or takes its storage away.
    '--remote-allow-system-access',
    'about:blank',
  ],
  {
    env: { ...env, HOME: home, TMPDIR: home, MOZ_CRASHREPORTER_DISABLE: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: !windows,
    windowsHide: true,
  },
)
let said = ''
child.stderr?.setEncoding('utf8').on('data', (text: string) => {
  said = (said + text).slice(-4_000)
  const endpoint = /^WebDriver BiDi listening on (ws:\S+)/m.exec(said)?.[1]
  if (endpoint === undefined) return
  // What it writes from now on is for nobody, and has to be read.
  child?.stderr?.removeAllListeners('data').resume()
  tell({ endpoint })
})
child.once('error', error => tell({ failed: error.message }, end))
child.once('exit', (code, signal) => {
  // Where it was killed or crashed, its processes for pages may still be about to end.
  kill()
  tell({ failed: `Firefox ended with ${code ?? signal}: ${said}` }, end)
})
