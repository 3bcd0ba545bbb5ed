import { existsSync } from 'node:fs'

/** Where Debian and others install Firefox; the launcher of `npm test` looks in more places, and names what it found. */
export const firefoxPath: string | undefined =
  process.env.FIREFOX_PATH ?? ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find(existsSync)
