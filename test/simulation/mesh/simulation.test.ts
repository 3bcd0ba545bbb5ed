import { describe, expect, it } from 'vitest'
import { primitives } from '#crypto'
import { cipherNews, useCrypto } from './crypto.ts'
import { scarce } from './floors.ts'
import { simulateMesh } from './mesh.ts'
import { noCounters } from './state.ts'

const first = Number(process.env.AFP_SEED ?? 1)
const runs = Number(process.env.AFP_RUNS ?? 100)

describe('A mesh', () => {
  it('loses nothing, does nothing twice, keeps order, uses no nonce twice and leaves nothing over, whatever fails', async () => {
    const sums = noCounters()
    const names = Object.keys(sums) as (keyof typeof sums)[]
    for (let seed = first; seed < first + runs; seed++) {
      const { faults, counters } = await simulateMesh(seed)
      expect(faults.slice(0, 10), `seed ${seed}`).toEqual([])
      for (const name of names) sums[name] += counters[name]
    }
    process.stdout.write(`${runs} seeds from ${first}: ${JSON.stringify(sums)}\n`)
    // What does not happen any more proves nothing. Fewer runs may do without the rarest things.
    if (runs < 100) return
    expect(names.filter(name => sums[name] === 0)).toEqual([])
    expect(scarce(sums, runs)).toEqual([])
  }, 330_000)

  it('does the same for the same seed, to the last thing that happens, one run after the other', async () => {
    // With clones, disks in files and clocks that are far apart; with disks that refuse; with a machine that never returns;
    // with the real cryptography.
    for (const seed of [3, 4, 7, 20]) {
      const one = await simulateMesh(seed)
      await simulateMesh(seed + 100)
      expect(await simulateMesh(seed), `seed ${seed}`).toEqual(one)
    }
    expect((await simulateMesh(3)).digest).not.toBe((await simulateMesh(6)).digest)
  }, 60_000)

  it('can be saved as a timeline, which changes nothing', async () => {
    let lines = ''
    const take = (all: string): void => {
      lines = all
    }
    expect(await simulateMesh(5, { timeline: take })).toEqual(await simulateMesh(5))
    const entries = lines
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    for (const what of ['boot', 'send', 'accepted', 'arrived', 'handler began', 'handler ended', 'network'])
      expect(entries.map(entry => entry.what)).toContain(what)
    const times = entries.map(({ at }) => at)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  }, 60_000)
})

describe('The cipher of the simulation', () => {
  const [nonce, aad] = [new Uint8Array(12), Uint8Array.of(1)]

  it.each(['quick', 'real'] as const)(
    'sees a nonce that is used again for something else, with the %s one',
    async kind => {
      useCrypto(kind)
      // Two machines that have one key do not have one object.
      const [here, there] = [
        await primitives.importKey(new Uint8Array(32)),
        await primitives.importKey(new Uint8Array(32)),
      ]
      const sealed = await here.seal(nonce, aad, Uint8Array.of(7))
      await there.seal(nonce, aad, Uint8Array.of(7))
      expect(cipherNews()).toMatchObject({ seals: 2, reused: [] })
      expect(await there.open(nonce, aad, sealed)).toEqual(Uint8Array.of(7))
      await there.seal(nonce, Uint8Array.of(2), Uint8Array.of(7))
      expect(cipherNews().reused).toHaveLength(1)
      useCrypto(kind)
      expect(cipherNews()).toEqual({ seals: 0, reused: [] })
    },
  )

  it('opens nothing of which a bit has changed', async () => {
    useCrypto('quick')
    const key = await primitives.importKey(new Uint8Array(32))
    const sealed = await key.seal(nonce, aad, Uint8Array.of(1, 2, 3))
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = sealed.slice()
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(() => key.open(nonce, aad, changed), `bit ${bit}`).toThrow('changed on the way')
    }
    expect(() => key.open(nonce, Uint8Array.of(2), sealed)).toThrow('changed on the way')
  })
})
