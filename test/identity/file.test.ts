import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
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

  test("is made with its folder, which is its owner's only", async () => {
    const deep = join(folder, 'keys', 'of', 'ada.key')
    const { id } = await fileIdentity(deep)
    expect((await fileIdentity(deep)).id).toBe(id)
    expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700)
    expect((await stat(join(folder, 'keys', 'of'))).mode & 0o777).toBe(0o700)
  })

  test.each([
    ['a folder', () => folder, 'EISDIR'],
    ['in what is no folder', () => join(path, 'ada.key'), 'ENOTDIR'],
    ['of a name that is too long', () => join(folder, 'a'.repeat(300)), 'ENAMETOOLONG'],
  ])('that is %s is an error with a code, never a new identity', async (_what, where, cause) => {
    await writeFile(path, 'no folder')
    await expect(fileIdentity(where())).rejects.toMatchObject({
      name: 'AfpDataStoreError',
      code: 'STORE_FAILED',
      reference: where(),
      cause: { code: cause },
    })
    expect(await readdir(folder)).toEqual(['ada.key'])
  })

  test.each([
    ['its file', (link: string) => link],
    ['its folder', (link: string) => join(link, 'ada.key')],
  ])('is not made where %s is a link to nowhere', async (_what, where) => {
    const link = join(folder, 'link')
    await symlink(join(folder, 'nowhere', 'at all'), link)
    await expect(fileIdentity(where(link))).rejects.toMatchObject({ code: 'STORE_FAILED', reference: where(link) })
    expect(await readdir(folder)).toEqual(['link'])
  })
})
