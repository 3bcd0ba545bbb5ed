import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

test('The lock file says of this package what its own file does: installing changes neither', async () => {
  const read = async (name: string) => JSON.parse(await readFile(new URL(`../../${name}`, import.meta.url), 'utf8'))
  const [own, lock] = await Promise.all([read('package.json'), read('package-lock.json')])
  const { bin, dependencies, devDependencies, engines, name, version } = own
  const bare = (paths: Record<string, string>) =>
    Object.fromEntries(Object.entries(paths).map(([key, path]) => [key, path.replace(/^\.\//, '')]))
  expect(lock.packages['']).toMatchObject({ name, version, dependencies, devDependencies, engines, bin: bare(bin) })
})
