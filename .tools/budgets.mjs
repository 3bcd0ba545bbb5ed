/** Measures what was built: bytes a page loads, what it would refuse to run under a strict policy, our own share. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, parseSync } from 'vite'
import { smaller, viteBase } from './vite-base.mjs'

/** KB (1,000 bytes), minified and gzipped. */
const PAGE_BUDGET = 305
const OWN_BUDGET = 105

const kb = bytes => bytes / 1000
const gzip = text => gzipSync(text, { level: 9 }).length
const line = (name, bytes, zipped, note = '') =>
  console.log(
    `  ${name.padEnd(44)} ${kb(bytes).toFixed(1).padStart(8)} KB ${kb(zipped).toFixed(1).padStart(8)} KB gzip  ${note}`,
  )

/** Modules that every visitor loads, though on demand: the page is first shown, then the agent and its view follow. */
const SOON = ['session.ts', 'workspace.tsx']

/** KB gzip of the largest chunk that may be loaded later: what is larger belongs among those above. */
const LATER_BUDGET = 60

/** What a page loads at once: modules, what they import statically, and their styles. */
export function loadedWith(manifest, keys) {
  const files = new Set()
  const seen = new Set()
  const visit = key => {
    if (seen.has(key)) return
    seen.add(key)
    const chunk = manifest[key]
    for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file)
    for (const other of chunk.imports ?? []) visit(other)
  }
  for (const key of keys) visit(key)
  return files
}

/** The first evaluation of a string in a script, which `script-src 'self'` forbids; a method called `eval` is none. */
export function evaluates(code) {
  const pending = [parseSync('script.js', code).program]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const name = node.callee?.type === 'Identifier' ? node.callee.name : undefined
    if (name === 'eval' || name === 'Function') return code.slice(node.start, node.start + 60)
    for (const value of Object.values(node))
      for (const child of [value].flat()) if (typeof child?.type === 'string') pending.push(child)
  }
  return undefined
}

/** Script, style or handlers written into a page: what a strict policy forbids. */
export const inlined = html =>
  /<script(?![^>]*\ssrc=)[^>]*>\s*\S|<style[\s>]|\s(on\w+|style)\s*=\s*["']/i.exec(html)?.[0]

function checkPage(root) {
  const folder = join(root, 'dist/demo/page')
  const manifest = JSON.parse(readFileSync(join(folder, '.vite/manifest.json'), 'utf8'))
  const entries = Object.keys(manifest).filter(key => manifest[key].isEntry)
  const first = loadedWith(manifest, entries)
  const soon = loadedWith(manifest, [...entries, ...SOON.filter(key => manifest[key] !== undefined)])
  const all = readdirSync(folder, { recursive: true }).filter(file => /\.(js|css)$/.test(file))
  const problems = []
  const sums = { first: [0, 0], soon: [0, 0], later: [0, 0] }
  const kindOf = file => (first.has(file) ? 'first' : soon.has(file) ? 'soon' : 'later')
  const order = Object.keys(sums)
  for (const file of all.sort((a, b) => order.indexOf(kindOf(a)) - order.indexOf(kindOf(b)))) {
    const text = readFileSync(join(folder, file), 'utf8')
    const kind = kindOf(file)
    const size = gzip(text)
    line(file, text.length, size, kind)
    sums[kind][0] += text.length
    sums[kind][1] += size
    if (kind === 'later' && kb(size) > LATER_BUDGET) problems.push(`${file} is over ${LATER_BUDGET} KB for later`)
    const found = file.endsWith('.js') && evaluates(text)
    if (found) problems.push(`${file} evaluates strings: ${found}`)
  }
  const open = [sums.first[0] + sums.soon[0], sums.first[1] + sums.soon[1]]
  line('the page, first shown', ...sums.first)
  line('the page with its agent', ...open, `budget ${PAGE_BUDGET}`)
  line('what is loaded later, if at all', ...sums.later)
  if (first.size === 0) problems.push('the page has no scripts')
  if (kb(open[1]) > PAGE_BUDGET) problems.push(`the page is over its budget of ${PAGE_BUDGET} KB`)
  const html = inlined(readFileSync(join(folder, 'index.html'), 'utf8'))
  if (html) problems.push(`the page has inline script or style: ${html}`)
  return problems
}

/** What a page takes of the package that makes an agent and tells its errors apart; what it does not use is shaken off. */
const OWN_ENTRY = 'virtual:own'

/** Stands for such a page, with a line for what Vite puts in where parts are loaded later: that is not ours. */
const ownPage = root => ({
  name: 'own-page',
  enforce: 'pre',
  resolveId: id => (id === OWN_ENTRY ? id : undefined),
  load: id => {
    if (id === OWN_ENTRY)
      return `export { createAgent, AfpError, systemClock, reply } from ${JSON.stringify(join(root, 'src/index.ts'))}`
    return id.startsWith('\0vite/preload-helper') ? 'export const __vitePreload = load => load()' : undefined
  },
})

/** Our own code as a page loads it at once, every package left out. */
async function checkOwnShare(root) {
  const result = await build({
    ...viteBase,
    publicDir: false,
    plugins: [ownPage(root), smaller],
    build: {
      write: false,
      minify: true,
      target: 'es2023',
      modulePreload: false,
      rolldownOptions: {
        input: OWN_ENTRY,
        // As in a page: parts that are loaded later take what they share with the first from there.
        preserveEntrySignatures: 'allow-extension',
        external: id => id !== OWN_ENTRY && !/^[./#\0]|^[A-Za-z]:/.test(id),
      },
    },
  })
  const chunks = new Map(
    [result]
      .flat()[0]
      .output.filter(part => part.type === 'chunk')
      .map(part => [part.fileName, part]),
  )
  const first = new Set()
  const visit = name => {
    if (first.has(name) || !chunks.has(name)) return
    first.add(name)
    for (const other of chunks.get(name).imports) visit(other)
  }
  for (const chunk of chunks.values()) if (chunk.isEntry) visit(chunk.fileName)
  // In a bundle with the packages and the application no import or export between them is left.
  const seams = /\bimport\s*\{[^}]*\}\s*from\s*"[^"]*";|\bexport\s*\{[^}]*\};?$/g
  const codes = [...first].map(name => chunks.get(name).code.trim().replaceAll(seams, ''))
  const total = [codes.join('').length, codes.reduce((sum, code) => sum + gzip(code), 0)]
  line('our own code, every package left out', ...total, `budget ${OWN_BUDGET}`)
  return kb(total[1]) > OWN_BUDGET ? [`our own code is over its budget of ${OWN_BUDGET} KB`] : []
}

/** Prints the sizes. @throws Error naming every budget and rule that does not hold */
export async function checkBudgets(root) {
  console.log('· build: sizes, minified')
  const problems = [...checkPage(root), ...(await checkOwnShare(root))]
  const webrtc = join(root, 'dist/src/network/webrtc.browser.js')
  if (!existsSync(webrtc)) problems.push('the WebRTC bundle is missing')
  else {
    const found = evaluates(readFileSync(webrtc, 'utf8'))
    if (found) problems.push(`the WebRTC bundle evaluates strings: ${found}`)
  }
  if (problems.length > 0) throw new Error(problems.join('\n  '))
}
