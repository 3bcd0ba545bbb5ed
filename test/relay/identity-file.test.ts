import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readOrCreateSeed } from '../../relay/identity-file.ts'
import { seededRandom } from '../../src/common/random.ts'

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'afp-identity-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

describe('the identity file', () => {
  test('a new one is for its owner only and gives the same seed from then on', async () => {
    const path = join(await folder(), 'relay.key')
    const seed = await readOrCreateSeed(path)
    expect(seed).toHaveLength(32)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readOrCreateSeed(path)).toEqual(seed)
  })

  test('nothing else is left in the folder', async () => {
    const path = await folder()
    await readOrCreateSeed(join(path, 'relay.key'))
    expect(await readdir(path)).toEqual(['relay.key'])
  })

  test('two that make it at once end up with one identity', async () => {
    const path = join(await folder(), 'relay.key')
    const seeds = await Promise.all(Array.from({ length: 8 }, (_, i) => readOrCreateSeed(path, seededRandom(i))))
    expect(new Set(seeds.map(seed => Buffer.from(seed).toString('hex'))).size).toBe(1)
  })

  test.each([
    ['empty', ''],
    ['another file', 'hello'],
    ['too short a seed', `afp-ed25519-seed:${'a'.repeat(62)}\n`],
    ['too long a seed', `afp-ed25519-seed:${'a'.repeat(66)}\n`],
    ['not hexadecimal', `afp-ed25519-seed:${'g'.repeat(64)}\n`],
    ['two lines', `afp-ed25519-seed:${'a'.repeat(64)}\nmore\n`],
    ['large', 'a'.repeat(100_000)],
  ])('a file of a wrong form (%s) is refused and stays as it is', async (_, content) => {
    const path = join(await folder(), 'relay.key')
    await writeFile(path, content)
    await expect(readOrCreateSeed(path)).rejects.toMatchObject({ code: 'INVALID_IDENTITY' })
    expect(await readFile(path, 'utf8')).toBe(content)
  })

  test('a folder in its place and a folder that is not there are refused', async () => {
    const path = await folder()
    await mkdir(join(path, 'relay.key'))
    await expect(readOrCreateSeed(join(path, 'relay.key'))).rejects.toMatchObject({ code: 'INVALID_IDENTITY' })
    await expect(readOrCreateSeed(join(path, 'none', 'key'))).rejects.toMatchObject({ code: 'INVALID_IDENTITY' })
  })

  test('a file that a mounted secret made read-only is read', async () => {
    const path = join(await folder(), 'relay.key')
    await writeFile(path, `afp-ed25519-seed:${'0'.repeat(63)}1\n`)
    await chmod(path, 0o444)
    expect((await readOrCreateSeed(path)).at(-1)).toBe(1)
  })
})
