/** A page that the browser gives no storage, and no locks: a sandboxed frame, as where cookies are blocked. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Outcome } from './no-storage-frame.ts'

let frame: HTMLIFrameElement
let said: Record<string, Outcome>

beforeEach(async () => {
  frame = document.createElement('iframe')
  frame.setAttribute('sandbox', 'allow-scripts')
  const program = new URL('./no-storage-frame.ts', import.meta.url)
  // Vitest has it load what is loaded later by a function of its own pages.
  frame.srcdoc = `
    <script>
      const tell = ({ message, reason }) => parent.postMessage(String(message ?? reason), '*')
      addEventListener('error', tell)
      addEventListener('unhandledrejection', tell)
      __vitest_browser_runner__ = { wrapDynamicImport: load => load() }
    </script>
    <script type="module" src="${program}"></script>`
  const answer = new Promise<MessageEvent>(resolve =>
    addEventListener('message', event => event.source === frame.contentWindow && resolve(event)),
  )
  document.body.append(frame)
  said = (await answer).data
})
afterEach(() => frame.remove())

test('without storage an agent that needs it is refused with what to do, and one that does not starts', () => {
  const refused = {
    name: 'AfpDataStoreError',
    code: 'STORE_FAILED',
    message:
      "the browser gives this page no storage: give createAgent() store: memoryStore(), or identity: 'ephemeral'",
    timers: 0,
  }
  expect(said).toEqual({
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
