import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fileIdentity } from '../../src/identity/file.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'afp-identity-'))
  path = join(folder, 'ada.key')
})
afterEach(() => rm(folder, { recursive: true }))

describe('An identity in a file', () => {
  test('is made once and is the same ever after', async () => {
    const first = await fileIdentity(path)
    const written = await readFile(path, 'utf8')
    expect(written).toBe(`${Buffer.from(first.seed).toString('hex')}\n`)
    expect((await fileIdentity(path)).id).toBe(first.id)
    expect(await readFile(path, 'utf8')).toBe(written)
  })

  test('needs a path', async () => {
    await expect(fileIdentity(undefined as never)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: 'the path of fileIdentity() has to be a string, not undefined',
    })
  })

  test('is readable by its owner only, and nothing else is left beside it', async () => {
    await fileIdentity(path)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['ada.key'])
  })

  test('is one and the same for all that start at once', async () => {
    for (let round = 0; round < 10; round++) {
      const each = join(folder, `round-${round}.key`)
      const ids = new Set((await Promise.all(Array.from({ length: 8 }, () => fileIdentity(each)))).map(({ id }) => id))
      expect([...ids]).toEqual([(await fileIdentity(each)).id])
    }
  })

  test('is made although an earlier start died on the way', async () => {
    await writeFile(`${path}.new`, '')
    await writeFile(`${path}.4f1b4c7e-0000-4000-8000-000000000000`, 'half a k')
    expect((await fileIdentity(path)).id).toBe((await fileIdentity(path)).id)
  })

  test.each([
    ['empty', ''],
    ['too short', 'ab'.repeat(31)],
    ['too long', 'ab'.repeat(33)],
    ['no hexadecimal', `${'zz'.repeat(32)}\n`],
    ['two lines', `${'ab'.repeat(32)}\n${'ab'.repeat(32)}\n`],
  ])('that is %s is refused and left as it is', async (_what, text) => {
    await writeFile(path, text)
    await expect(fileIdentity(path)).rejects.toMatchObject({ name: 'AfpSecurityError', code: 'INVALID_IDENTITY' })
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  test('that cannot be read or made is an error, never a new identity', async () => {
    await expect(fileIdentity(folder)).rejects.toMatchObject({ code: 'EISDIR' })
    await expect(fileIdentity(join(folder, 'nowhere', 'ada.key'))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
