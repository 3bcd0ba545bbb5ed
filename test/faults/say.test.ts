import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'

const LINES = 20_000
/** Says that many, in one turn of its event loop, and is killed. Once anybody has looked at its output, no write waits. */
const SCRIPT = `
process.stdout.isTTY
import { say } from ${JSON.stringify(join(import.meta.dirname, 'say.ts'))}
for (let n = 1; n <= ${LINES}; n++) say('try ' + n)
process.kill(process.pid, 'SIGKILL')
`

it('what a process has said has left it, though it is killed and its reader is slow', async () => {
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], { stdio: [...stdio] })
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) lines.push(line)
  expect(lines).toEqual(Array.from({ length: LINES }, (_, i) => `try ${i + 1}`))
})
