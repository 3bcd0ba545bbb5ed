/** Finds the browsers that the tests need, or gets them. Runs on Node 18 and newer, as launch.mjs does. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

const windows = process.platform === 'win32'
/** Where Puppeteer keeps what it has downloaded. */
const cache = join(homedir(), '.cache/puppeteer')
const puppeteer = 'node_modules/@puppeteer/browsers/lib/cjs/main-cli.js'

/**
 * How each is called and where it is usually installed; what Debian calls it; else, which of the packages here downloads
 * one, and how that tells where it has put it.
 */
const browsers = {
  chromium: {
    name: 'Chromium or Google Chrome',
    variable: 'CHROMIUM_PATH',
    commands: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
    mac: ['Google Chrome.app/Contents/MacOS/Google Chrome', 'Chromium.app/Contents/MacOS/Chromium'],
    windows: ['Google/Chrome/Application/chrome.exe'],
    debian: 'chromium',
    download: ['node_modules/playwright/cli.js', 'install', 'chromium'],
    ask: ['-p', "require('playwright').chromium.executablePath()"],
    answer: /^(.+)$/m,
  },
  firefox: {
    name: 'Firefox',
    variable: 'FIREFOX_PATH',
    commands: ['firefox-esr', 'firefox'],
    mac: ['Firefox.app/Contents/MacOS/firefox'],
    windows: ['Mozilla Firefox/firefox.exe'],
    debian: 'firefox-esr',
    download: [puppeteer, 'install', 'firefox@stable', '--path', cache],
    ask: [puppeteer, 'list', '--path', cache],
    answer: /^firefox@\S+ \(\S+\) (.+)$/m,
  },
}

/** The path of a browser that is installed as usual. */
function installed({ commands, mac, windows: programs }) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  const { PROGRAMFILES, LOCALAPPDATA, 'PROGRAMFILES(X86)': old } = process.env
  const elsewhere = {
    darwin: mac.map(app => join('/Applications', app)),
    win32: [PROGRAMFILES, old, LOCALAPPDATA].filter(Boolean).flatMap(root => programs.map(path => join(root, path))),
  }
  return [
    ...(windows ? [] : commands.flatMap(name => folders.map(folder => join(folder, name)))),
    ...(elsewhere[process.platform] ?? []),
  ].find(existsSync)
}

/** The path of one that has been downloaded. */
function downloaded({ ask, answer }, { root, node }) {
  const path = answer.exec(spawnSync(node, ask, { cwd: root, encoding: 'utf8' }).stdout ?? '')?.[1].trim()
  return path && existsSync(path) ? path : undefined
}

/** Installs packages of Debian, where that is what this is and one may; at most one run of apt-get for all. */
function installDebian(packages, say) {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  if (packages.length === 0 || process.getuid?.() !== 0 || !/^ID=debian$/m.test(release)) return
  say(`browsers: installing Debian's ${packages.join(' and ')} with apt-get`)
  const apt = args => spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
  const wanted = ['install', '-y', '--no-install-recommends', ...packages]
  if (!apt(wanted) && apt(['update'])) apt(wanted)
}

/**
 * The paths of the browsers asked for, by the variable that hands each on: the first of those that there are or that can
 * be had.
 * @param {('chromium' | 'firefox')[]} names
 * @param {{ root: string, node: string, env: Record<string, string>, say: (text: string) => void, give: (text: string) => never }} place
 */
export function findBrowsers(names, place) {
  const { root, node, env, say, give } = place
  const wanted = names.map(name => browsers[name])
  const named = ({ variable }) => {
    const path = process.env[variable]
    return !path || existsSync(path) ? path : give(`${variable} names ${path}, which does not exist`)
  }
  const find = browser => named(browser) || installed(browser) || downloaded(browser, place)
  const missing = wanted.filter(browser => find(browser) === undefined)
  installDebian(
    missing.map(({ debian }) => debian),
    say,
  )
  for (const browser of missing.filter(browser => installed(browser) === undefined)) {
    say(`browser: no ${browser.name} found, downloading one`)
    spawnSync(node, browser.download, { cwd: root, stdio: 'inherit', env })
    if (downloaded(browser, place) === undefined)
      give(`The tests need ${browser.name}. Install it, or name it in ${browser.variable}, and run again.`)
  }
  return Object.fromEntries(wanted.map(browser => [browser.variable, find(browser)]))
}
