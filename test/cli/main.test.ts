import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** Runs the command as a process of its own, to its end. */
function command(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['--conditions=afp-source', MAIN, ...args])
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  return new Promise(resolve => child.on('close', code => resolve({ code, stdout, stderr })))
}

describe('agent-flow-protocol', () => {
  test.each([[[]], [['--help']], [['-h']], [['help']]])('%j lists the commands', async args => {
    const { code, stdout, stderr } = await command(...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: agent-flow-protocol <command>/)
    expect(stdout).toContain('relay')
    expect(stdout).toContain('demo')
  })

  test.each(['--version', '-V'])('%s prints the version and nothing else', async flag => {
    expect(await command(flag)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  test.each([['bogus'], ['__proto__'], ['constructor'], ['--bogus'], ['help', 'bogus']])(
    '%j is no command, which ends it with code 2',
    async (...names) => {
      const { code, stdout, stderr } = await command(...names)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(
        /^agent-flow-protocol: there is no command '.*'; the commands are relay, demo; see --help\n$/,
      )
    },
  )

  test.each([
    [['relay', '--bogus'], /--bogus/],
    [['demo', '--bogus'], /--bogus/],
    [['demo', '--port', 'abc'], /'abc'/],
    [['demo', '--port', '65536'], /'65536'/],
    [['demo', '--port='], /''/],
    [['demo', '--host', 'nowhere.example'], /IP address/],
    [['demo', '--data='], /the path of a folder/],
    [['demo', 'more'], /more/],
  ])('%j is refused in one line with code 2', async (args, reason) => {
    const { code, stdout, stderr } = await command(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(reason)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  test.each([
    [['relay', '--help'], /^Usage: afp-relay/],
    [['help', 'relay'], /^Usage: afp-relay/],
    [['demo', '--help'], /^Usage: agent-flow-protocol demo/],
    [['help', 'demo', 'more'], /^Usage: agent-flow-protocol demo/],
  ])('%j tells the options of the command', async (args, usage) => {
    const { code, stdout, stderr } = await command(...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(usage)
    expect(stdout).not.toMatch(/dist\/|\.js\b/)
  })
})
