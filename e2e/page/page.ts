/** A page with nothing on it but the library: tests drive agents in it from outside. */

import { type Counted, Counter, type Word } from './counter.ts'
import * as driver from './driver.ts'

declare global {
  interface Window {
    driver: typeof driver
    Counter: typeof Counter
    counter: Counter
    /** Where a test listens to its counter. */
    said: (what: Word, counted: Counted) => void
    /** When the page's own script had run, ms since it was navigated to. */
    scriptLoaded: number
  }
}

window.driver = driver
window.Counter = Counter
window.scriptLoaded = performance.now()
