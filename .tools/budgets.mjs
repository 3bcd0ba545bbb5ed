/** Measures what was built: bytes a page loads, what it would refuse to run under a strict policy, our own share. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { viteBase } from './vite-base.mjs'

/** KB (1,000 bytes), minified and gzipped. */
const PAGE_BUDGET = 230
const OWN_BUDGET = 35

const kb = bytes => bytes / 1000
const gzip = text => gzipSync(text, { level: 9 }).length
const line = (name, bytes, zipped, note = '') =>
  console.log(
    `  ${name.padEnd(44)} ${kb(bytes).toFixed(1).padStart(8)} KB ${kb(zipped).toFixed(1).padStart(8)} KB gzip${note}`,
  )

/** What a page loads before anything asks for more: entries, what they import statically, and their styles. */
export function initialFiles(manifest) {
  const files = new Set()
  const seen = new Set()
  const visit = key => {
    if (seen.has(key)) return
    seen.add(key)
    const chunk = manifest[key]
    for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file)
    for (const other of chunk.imports ?? []) visit(other)
  }
  for (const [key, chunk] of Object.entries(manifest)) if (chunk.isEntry) visit(key)
  return files
}

/** Evaluation of strings in a script: what `script-src 'self'` forbids. */
export const evaluates = code =>
  /(^|[^.\w$])eval\s*\(|\bnew\s+Function\s*\(|(^|[^.\w$])Function\s*\(\s*["'`]/.exec(code)?.[0]

/** Script, style or handlers written into a page: what a strict policy forbids. */
export const inlined = html =>
  /<script(?![^>]*\ssrc=)[^>]*>\s*\S|<style[\s>]|\s(on\w+|style)\s*=\s*["']/i.exec(html)?.[0]

function checkPage(root) {
  const folder = join(root, 'dist/demo/page')
  const manifest = JSON.parse(readFileSync(join(folder, '.vite/manifest.json'), 'utf8'))
  const first = initialFiles(manifest)
  const all = readdirSync(folder, { recursive: true }).filter(file => /\.(js|css)$/.test(file))
  const problems = []
  const sum = { first: [0, 0], lazy: [0, 0] }
  for (const file of all.sort((a, b) => Number(first.has(b)) - Number(first.has(a)))) {
    const text = readFileSync(join(folder, file), 'utf8')
    const kind = first.has(file) ? 'first' : 'lazy'
    line(file, text.length, gzip(text), kind === 'lazy' ? '  lazy' : '')
    sum[kind][0] += text.length
    sum[kind][1] += gzip(text)
    const found = file.endsWith('.js') && evaluates(text)
    if (found) problems.push(`${file} evaluates strings: ${found}`)
  }
  line('page, at first', ...sum.first, `  (budget ${PAGE_BUDGET})`)
  line('page, loaded when needed', ...sum.lazy)
  if (all.length === 0 || first.size === 0) problems.push('the page has no scripts')
  if (kb(sum.first[1]) > PAGE_BUDGET) problems.push(`the page is over its budget of ${PAGE_BUDGET} KB`)
  const html = inlined(readFileSync(join(folder, 'index.html'), 'utf8'))
  if (html) problems.push(`the page has inline script or style: ${html}`)
  return problems
}

/** Our own code as a browser application gets it, every package left out. */
async function checkOwnShare(root) {
  const result = await build({
    ...viteBase,
    publicDir: false,
    build: {
      write: false,
      minify: true,
      target: 'es2023',
      lib: { entry: join(root, 'src/index.ts'), formats: ['es'], fileName: 'index' },
      rolldownOptions: { external: id => !/^[./#\0]|^[A-Za-z]:/.test(id) && !id.startsWith('agent-flow-protocol') },
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
  const codes = [...first].map(name => chunks.get(name).code)
  const total = [codes.join('').length, codes.reduce((sum, code) => sum + gzip(code), 0)]
  line('our own code in it, at first', ...total, `  (budget ${OWN_BUDGET})`)
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
