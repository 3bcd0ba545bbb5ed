/** A page with nothing on it but the library: tests drive agents in it from outside. */

import * as driver from './driver.ts'

declare global {
  interface Window {
    driver: typeof driver
    /** When the page's own script had run, ms since it was navigated to. */
    scriptLoaded: number
  }
}

window.driver = driver
window.scriptLoaded = performance.now()
