/**
 * Builds what is stale: `dist/` (plain tsc), the browser's WebRTC transport with its private dependencies inside, and the
 * demo's page. Then measures the result against its budgets; see budgets.mjs.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { checkBudgets } from './budgets.mjs'
import { at, root, smaller, viteBase } from './vite-base.mjs'

const { dependencies } = JSON.parse(readFileSync(at('package.json'), 'utf8'))

const packageOf = specifier => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0]

/** Keeps what a user's own install brings: two copies of libp2p's interfaces would not know each other. */
const isDependency = specifier => Object.hasOwn(dependencies, packageOf(specifier) ?? '')

function filesUnder(path) {
  if (!existsSync(at(path))) return []
  const entries = readdirSync(at(path), { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

/** A digest of every file that has a say in what is built. */
function inputs() {
  const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'].map(at)
  const hash = createHash('sha256')
  for (const file of [...settings, ...['src', 'relay', 'demo', '.tools'].flatMap(filesUnder)].sort())
    hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0')
  return hash.digest('hex')
}

function compile() {
  rmSync(at('dist'), { recursive: true, force: true })
  const tsc = spawnSync(process.execPath, [at('node_modules/typescript/bin/tsc'), '-p', at('tsconfig.build.json')], {
    cwd: root,
    stdio: 'inherit',
  })
  if (tsc.status !== 0) throw new Error('the TypeScript compiler found errors')
}

/** The licences of the packages that ended up inside a bundle. */
function licences(modules) {
  const folders = new Set(modules.map(id => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(id)?.[0]).filter(Boolean))
  return [...folders].sort().map(folder => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const texts = readdirSync(folder).filter(file => /^licen[cs]e/i.test(file))
    const body = texts.map(file => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n')
    return `${name} ${version} (${license})\n\n${body}`.trim()
  })
}

/**
 * Browsers get WebRTC with the package: installing `@libp2p/webrtc` would bring React Native along. Node takes the
 * optional peer instead.
 */
async function bundleWebRtc() {
  const modules = []
  await build({
    ...viteBase,
    publicDir: false,
    build: {
      outDir: at('dist/src/network'),
      emptyOutDir: false,
      minify: false,
      sourcemap: false,
      target: 'es2023',
      lib: { entry: at('src/network/webrtc.browser.ts'), formats: ['es'], fileName: () => 'webrtc.browser.js' },
      rolldownOptions: { external: isDependency, output: { codeSplitting: false } },
    },
    plugins: [
      {
        name: 'modules',
        generateBundle: (_, bundle) => {
          for (const chunk of Object.values(bundle)) if (chunk.type === 'chunk') modules.push(...chunk.moduleIds)
        },
      },
    ],
  })
  rmSync(at('dist/src/network/webrtc.browser.js.map'), { force: true })
  writeFileSync(at('dist/src/network/webrtc.browser.licences.txt'), `${licences(modules).join('\n\n---\n\n')}\n`)
}

async function buildPage() {
  await build({
    ...viteBase,
    root: at('demo'),
    base: './',
    build: { outDir: at('dist/demo/page'), emptyOutDir: true, manifest: true, target: 'es2023', assetsInlineLimit: 0 },
    plugins: [smaller],
  })
}

async function main() {
  const stamp = at('node_modules/.cache/agent-flow-protocol/built')
  const digest = inputs()
  const outputs = ['dist/src/index.js', 'dist/src/network/webrtc.browser.js', 'dist/demo/page/index.html']
  const fresh =
    outputs.every(path => existsSync(at(path))) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest
  if (fresh) return console.log('· build: up to date')
  const started = performance.now()
  rmSync(stamp, { force: true })
  compile()
  await bundleWebRtc()
  await buildPage()
  await checkBudgets(root)
  rmSync(at('dist/demo/page/.vite'), { recursive: true })
  mkdirSync(join(stamp, '..'), { recursive: true })
  writeFileSync(stamp, digest)
  console.log(`· build: done in ${((performance.now() - started) / 1000).toFixed(1)} s`)
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await main().catch(error => {
    console.error(`✗ build: ${error.message}`)
    process.exit(1)
  })
