import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { firefoxPath } from './test/firefox/path.ts'
import { firefox } from './test/firefox/provider.ts'

/** Where Debian and others install Chromium; elsewhere Playwright's own is used. */
const chromium = process.env.CHROMIUM_PATH ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)

const conditions = ['afp-source']

const SIMULATIONS = ['test/**/simulation.test.ts']

/** What stands in the simulations for what `package.json` imports by that name. */
const ours = (name: string): string => join(import.meta.dirname, `test/simulation/mesh/${name}.ts`)

/** What brings a run of tests that draw back. Given this way, since pages have no variables. */
const again = {
  provide: { seed: process.env.AFP_SEED ?? '', path: process.env.AFP_PATH ?? '' },
  setupFiles: ['test/properties.setup.ts'],
}

/** Pages, whatever shows them. */
const pages = {
  // Sandboxed frames, which have no origin, load modules too.
  server: { cors: { origin: 'null' } },
  resolve: { conditions: [...conditions, 'module', 'browser', 'development|production'] },
  // What lies behind `#` imports Vite finds only while pages run, and then it reloads them under their tests.
  optimizeDeps: {
    include: [
      '@hpke/core',
      '@libp2p/circuit-relay-v2',
      '@libp2p/crypto/keys',
      '@libp2p/gossipsub',
      '@libp2p/identify',
      '@libp2p/interface',
      '@libp2p/noise',
      '@libp2p/ping',
      '@libp2p/webrtc',
      '@libp2p/websockets',
      '@libp2p/yamux',
      '@multiformats/multiaddr',
      '@noble/ciphers/aes.js',
      '@noble/curves/ed25519.js',
      '@noble/hashes/hmac.js',
      '@noble/hashes/scrypt.js',
      '@noble/hashes/sha2.js',
      'cborg',
      'fast-check',
      'idb',
      'libp2p',
      'multiformats/bases/base58',
      're2js',
    ],
  },
}

export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: [...conditions, 'module', 'browser', 'development|production'] },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  test: {
    projects: [
      {
        test: {
          name: 'package',
          environment: 'node',
          include: ['test/package/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 150_000,
        },
      },
      {
        test: { name: 'simulation', environment: 'node', include: SIMULATIONS, testTimeout: 120_000 },
        resolve: {
          // Cryptography that is watched, and is the real one unless a run says otherwise.
          alias: { '#crypto': ours('crypto'), '#ed25519': ours('ed25519') },
          conditions: [...conditions, 'node', 'module', 'development|production'],
        },
        ssr: { resolve: { conditions: [...conditions, 'node', 'module', 'development|production'] } },
      },
      {
        test: {
          name: 'faults',
          environment: 'node',
          // What kills processes, and what has to be there when one is killed.
          include: ['test/faults/**/*.test.ts', 'test/firefox/**/*.test.ts'],
          testTimeout: 60_000,
        },
        resolve: { conditions: [...conditions, 'node', 'module', 'development|production'] },
        ssr: { resolve: { conditions: [...conditions, 'node', 'module', 'development|production'] } },
      },
      {
        resolve: { conditions: [...conditions, 'node', 'module', 'development|production'] },
        ssr: { resolve: { conditions: [...conditions, 'node', 'module', 'development|production'] } },
        test: {
          ...again,
          name: 'node',
          environment: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{browser,chromium}.test.ts', 'test/{package,faults,firefox}/**', ...SIMULATIONS],
          testTimeout: 20_000,
          // Some two hundred files that import much the same: a process takes one after the other and imports it once.
          isolate: false,
          // What a file puts in the place of something is not there for the next one.
          restoreMocks: true,
          unstubGlobals: true,
          // Commands that tests start find each source as it was compiled the last time.
          env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/agent-flow-protocol/compiled') },
        },
      },
      {
        ...pages,
        test: {
          ...again,
          name: 'browser',
          // Firefox can be given more room only by taking every database away from the page that has it open.
          include: ['test/**/*.{browser,chromium}.test.ts'],
          testTimeout: 20_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                ...(chromium === undefined ? {} : { executablePath: chromium }),
                args: [
                  '--no-sandbox',
                  '--disable-background-networking',
                  '--disable-component-update',
                  '--disable-sync',
                  '--no-first-run',
                ],
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
      {
        ...pages,
        test: {
          ...again,
          name: 'firefox',
          include: ['test/**/*.browser.test.ts'],
          testTimeout: 20_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: firefox(firefoxPath),
            instances: [{ browser: 'firefox' }],
          },
        },
      },
    ],
  },
})
