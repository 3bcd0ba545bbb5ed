/** What every build of browser code here shares. vite.config.ts is the tests' own. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { minify } from 'terser'

export const root = join(fileURLToPath(import.meta.url), '../..')
export const at = path => join(root, path)

export const viteBase = {
  configFile: false,
  root,
  logLevel: 'error',
  // The project's own sources rather than `dist/`, as a browser would take them.
  resolve: { conditions: ['afp-source', 'module', 'browser', 'production'] },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
}

/** A second look at what the bundler's minifier made: a percent smaller again. */
export const smaller = {
  name: 'smaller',
  async generateBundle(_, bundle) {
    for (const part of Object.values(bundle)) {
      if (part.type !== 'chunk') continue
      const options = { module: true, ecma: 2020, compress: { passes: 3 } }
      part.code = (await minify(part.code, options)).code
    }
  },
}
