/** The decoder in Python: a process that reads files of golden frames and says what is in each case. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Case, Outcome, VectorFile } from './cases.ts'

/** Debian's own first: its packages are not there for another that stands before it on the path. */
const PYTHON = process.env.PYTHON_PATH ?? ['/usr/bin/python3'].find(existsSync) ?? 'python3'

const NEEDED = `The decoder of test/interop needs Python 3 with the packages cryptography and cbor2: on Debian
apt-get install python3-cryptography python3-cbor2, elsewhere pip install cryptography cbor2.
PYTHON_PATH names another Python than ${PYTHON}.`

/** What is missing, if anything is. */
let missing: string | undefined

/** @throws where there is no Python, or not what the decoder needs; says what to install */
function checkPython(): void {
  if (missing === undefined) {
    const { status, stderr, error } = spawnSync(PYTHON, ['-c', 'import cbor2, cryptography'], { encoding: 'utf8' })
    missing = status === 0 ? '' : `${NEEDED}\n${error?.message ?? stderr}`
  }
  if (missing !== '') throw new Error(missing)
}

/** A case without what it says: what the decoder is not told it cannot repeat. */
const question = ({ value: _, refused: __, foreign: ___, entropy: ____, ...asked }: Case): Case => asked

/** What the decoder says of every case of a file. @throws where there is no Python, or not what the decoder needs */
export async function askPython(file: VectorFile): Promise<Outcome[]> {
  checkPython()
  const child = spawn(PYTHON, ['-B', join(import.meta.dirname, 'decoder.py')], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  child.stdin.end(`${JSON.stringify({ ...file, cases: file.cases.map(question) })}\n`)
  const [said, wrong] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await ended
  if (code !== 0) throw new Error(`the decoder in Python ended with ${code}: ${wrong}`)
  return JSON.parse(said) as Outcome[]
}
