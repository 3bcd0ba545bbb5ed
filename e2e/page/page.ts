/** A page with nothing on it but the library: tests drive agents in it from outside. */

import * as afp from 'agent-flow-protocol'

declare global {
  interface Window {
    afp: typeof afp
  }
}

window.afp = afp
