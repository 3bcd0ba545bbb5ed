/** Pages that the browser gives no storage, and no locks: sandboxed frames, and those whose cookies are blocked. */

import { expect, test, vi } from 'vitest'
import { createAgent } from '../../src/agent/create-agent.ts'
import type { Outcome } from './no-storage-frame.ts'
import { failure } from './waiting.ts'

/** What becomes of agents in a sandboxed frame, or what went wrong there. */
async function inFrame(): Promise<Record<string, Outcome> | string> {
  const frame = document.createElement('iframe')
  frame.setAttribute('sandbox', 'allow-scripts')
  // Vitest has its pages load by a function of its own what is loaded later.
  frame.srcdoc = `
    <script>
      const tell = ({ message, reason }) => parent.postMessage(String(message ?? reason), '*')
      addEventListener('error', tell)
      addEventListener('unhandledrejection', tell)
      __vitest_browser_runner__ = { wrapDynamicImport: load => load() }
    </script>
    <script type="module" src="${new URL('./no-storage-frame.ts', import.meta.url)}"></script>`
  const told = Promise.withResolvers<Record<string, Outcome> | string>()
  const listener = ({ source, data }: MessageEvent): void => {
    if (source === frame.contentWindow) told.resolve(data)
  }
  addEventListener('message', listener)
  document.body.append(frame)
  try {
    return await told.promise
  } finally {
    removeEventListener('message', listener)
    frame.remove()
  }
}

test('without storage an agent that needs it is refused with what to do, and one that does not starts', async () => {
  const refused = {
    name: 'AfpDataStoreError',
    code: 'STORE_FAILED',
    message:
      "the browser gives this page no storage: give createAgent() store: memoryStore(), or identity: 'ephemeral'",
    timers: 0,
  }
  expect(await inFrame()).toEqual({
    nothing: refused,
    persistent: refused,
    given: refused,
    database: refused,
    ephemeral: 'done',
    store: 'done',
    'store and identity': 'done',
    'store, in one tab only': 'done',
  })
})

test('without broadcast channels, as in Firefox with cookies blocked, an agent is refused with NETWORK_FAILED', async () => {
  const cause = new DOMException('The operation is insecure.', 'SecurityError')
  vi.stubGlobal('BroadcastChannel', function refuse() {
    throw cause
  })
  try {
    const starting = createAgent({ name: 'ada', mesh: 'page', identity: 'ephemeral' })
    expect(await failure(starting)).toMatchObject({ code: 'NETWORK_FAILED', cause })
  } finally {
    vi.unstubAllGlobals()
  }
})
