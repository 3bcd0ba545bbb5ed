/** What every build of browser code here shares. vite.config.ts is the tests' own. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

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
