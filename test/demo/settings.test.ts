import { describe, expect, it } from 'vitest'
import {
  findMesh,
  forget,
  inviteLink,
  readLink,
  remember,
  remembered,
  rememberedPlace,
  rememberPlace,
  shortAddress,
  whoLeft,
} from '../../demo/settings.ts'

const relay = '/ip4/127.0.0.1/tcp/9090/ws/p2p/12D3KooWJvyP3VJYymTqG7eH4PM5rN4T2agk5cdNCfNymAqwqcvZ'

/** A `Storage` of one's own, which Node has not. */
function storage(): Storage {
  const kept = new Map<string, string>()
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  } as Storage
}

describe('an invite link', () => {
  it('brings whoever opens it to the same mesh and relays', () => {
    const link = inviteLink('http://localhost:8080/#mesh=old', { mesh: 'my & mesh', relays: [relay] })
    expect(link).toBe(`http://localhost:8080/#mesh=my%20%26%20mesh&relay=${relay}`)
    expect(readLink(new URL(link).hash)).toEqual({ mesh: 'my & mesh', relays: [relay], name: undefined, as: undefined })
  })

  it('may say who to be; what makes no sense in it is left out', () => {
    expect(readLink('#name=Ada&as=clock')).toMatchObject({ name: 'Ada', as: 'clock' })
    expect(readLink('#as=constructor')).toMatchObject({ as: 'person' })
    const strange = readLink(`#mesh=${'m'.repeat(65)}&relay=javascript:alert(1)&name=%20&relay=${'/x'.repeat(400)}`)
    expect(strange).toEqual({ mesh: undefined, relays: [], name: undefined, as: undefined })
    expect(readLink(`#${Array(50).fill('relay=/a').join('&')}`).relays.length).toBe(8)
  })
})

describe('the mesh that a page joins', () => {
  const never = (): Promise<unknown> => Promise.reject(new Error('must not be asked'))

  it('is the link’s, else what the server says, else “demo” without relays', async () => {
    expect(await findMesh(readLink(`#mesh=m&relay=${relay}`), never)).toEqual({ mesh: 'm', relays: [relay] })
    const server = async () => ({ mesh: 'served', relays: [relay, 5, 'x'] })
    expect(await findMesh(readLink(''), server)).toEqual({ mesh: 'served', relays: [relay] })
    expect(await findMesh(readLink('#mesh=m'), server)).toEqual({ mesh: 'm', relays: [relay] })
    expect(await findMesh(readLink(''), never)).toEqual({ mesh: 'demo', relays: [] })
    expect(await findMesh(readLink(''), async () => 'nonsense')).toEqual({ mesh: 'demo', relays: [] })
  })
})

describe('what a tab remembers', () => {
  it('is who it was, until it forgets; what is broken counts as nothing', () => {
    const kept = storage()
    expect(remembered(kept)).toBeUndefined()
    remember(kept, { name: 'Ada', as: 'echo' })
    expect(remembered(kept)).toEqual({ name: 'Ada', as: 'echo' })
    expect(whoLeft(kept)).toBeUndefined()
    forget(kept)
    expect(remembered(kept)).toBeUndefined()
    expect(whoLeft(kept)).toBe('Ada')
    remember(kept, { name: 'Eve', as: 'person' })
    expect(whoLeft(kept)).toBeUndefined()
    kept.setItem('agent-flow-demo', '{broken')
    expect(remembered(kept)).toBeUndefined()
  })
})

describe('where a tab was', () => {
  it('is known again in the same mesh, until it becomes somebody else; what is broken counts as nothing', () => {
    const kept = storage()
    expect(rememberedPlace(kept, 'demo')).toBeUndefined()
    rememberPlace(kept, { mesh: 'demo', selected: 'agent:bob-id', view: 'talk' })
    expect(rememberedPlace(kept, 'demo')).toEqual({ mesh: 'demo', selected: 'agent:bob-id', view: 'talk' })
    expect(rememberedPlace(kept, 'other')).toBeUndefined()
    forget(kept)
    expect(rememberedPlace(kept, 'demo')).toBeUndefined()
    for (const broken of ['{broken', '{"mesh":"demo"}', '{"mesh":"demo","selected":"somewhere"}']) {
      kept.setItem('agent-flow-demo-place', broken)
      expect(rememberedPlace(kept, 'demo')).toBeUndefined()
    }
  })
})

describe('an address for people', () => {
  it('is host and port', () => {
    expect(shortAddress(relay)).toBe('127.0.0.1:9090')
  })
})
