import { describe, expect, test } from 'vitest'
import { type Dials, peerOf, reachOf, transportOf, validateAddress } from '../../src/network/addresses.ts'

const R = '12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p'
const A = '12D3KooWJpBNhwgvoZ15EB1JwRTRpxgM9D2fwq6NHtUTFdk5bAWA'

const node: Dials = { tcp: true, webrtc: false, insecureWebSocket: true }
const nodeWithWebRtc: Dials = { ...node, webrtc: true }
const page: Dials = { tcp: false, webrtc: true, insecureWebSocket: true }
const securePage: Dials = { tcp: false, webrtc: true, insecureWebSocket: false }

function caught(call: () => unknown): unknown {
  try {
    return call()
  } catch (error) {
    return error
  }
}

describe('Addresses', () => {
  test.each<[string, (string | undefined)[]]>([
    [`/ip4/127.0.0.1/tcp/4001/p2p/${A}`, ['direct', 'direct', undefined, undefined]],
    [`/ip6/::1/tcp/4001/p2p/${A}`, ['direct', 'direct', undefined, undefined]],
    [`/ip4/127.0.0.1/tcp/4001/ws/p2p/${A}`, ['direct', 'direct', 'direct', undefined]],
    [`/dns4/a.example/tcp/443/wss/p2p/${A}`, ['direct', 'direct', 'direct', 'direct']],
    [`/dns4/a.example/tcp/443/tls/ws/p2p/${A}`, ['direct', 'direct', 'direct', 'direct']],
    [`/dns4/r.example/tcp/443/wss/p2p/${R}/p2p-circuit/p2p/${A}`, ['relayed', 'relayed', 'relayed', 'relayed']],
    [`/ip4/127.0.0.1/tcp/1/ws/p2p/${R}/p2p-circuit/webrtc/p2p/${A}`, [undefined, 'direct', 'direct', 'direct']],
    [`/dnsaddr/a.example/tcp/1/ws/p2p/${A}`, [undefined, undefined, undefined, undefined]],
    [`/dnsaddr/a.example/p2p/${R}/p2p-circuit/p2p/${A}`, [undefined, undefined, undefined, undefined]],
    [`/ip4/127.0.0.1/tcp/1/p2p/${R}/p2p-circuit/dnsaddr/a.example/tcp/1/ws/p2p/${A}`, new Array(4).fill(undefined)],
    [`/unix/${encodeURIComponent('/run/a.sock')}/tcp/1/ws/p2p/${A}`, [undefined, undefined, undefined, undefined]],
    [`/webrtc/p2p/${A}`, [undefined, undefined, undefined, undefined]],
    [`/ip4/127.0.0.1/udp/4001/quic-v1/p2p/${A}`, [undefined, undefined, undefined, undefined]],
    ['nonsense', [undefined, undefined, undefined, undefined]],
    ['', [undefined, undefined, undefined, undefined]],
  ])('%s gives Node, Node with WebRTC, a page and a page over https what each can dial', (address, reach) => {
    expect([node, nodeWithWebRtc, page, securePage].map(dials => reachOf(address, dials))).toEqual(reach)
  })

  test('the peer of an address is the one at its end', () => {
    expect(peerOf(`/ip4/127.0.0.1/tcp/1/p2p/${R}/p2p-circuit/p2p/${A}`)).toBe(A)
    expect(peerOf(`/ip4/127.0.0.1/tcp/1/p2p/${R}`)).toBe(R)
    expect(peerOf(`/ip4/127.0.0.1/tcp/1/p2p/${R}/p2p-circuit`)).toBeUndefined()
    expect(peerOf('nonsense')).toBeUndefined()
  })

  test.each([
    [`/ip4/127.0.0.1/tcp/1/p2p/${R}/p2p-circuit/webrtc/p2p/${A}`, 'webrtc'],
    [`/ip4/127.0.0.1/tcp/1/ws/p2p/${R}/p2p-circuit/p2p/${A}`, 'circuit'],
    [`/dns4/a.example/tcp/443/wss/p2p/${A}`, 'websocket'],
    [`/ip4/127.0.0.1/tcp/1/ws`, 'websocket'],
    [`/ip4/127.0.0.1/tcp/1`, 'tcp'],
    ['/ip4/127.0.0.1/udp/1/quic-v1', 'other'],
    ['nonsense', 'other'],
  ])('%s runs on %s', (address, transport) => {
    expect(transportOf(address)).toBe(transport)
  })

  test('an address that an application gives has to say whom to expect there', () => {
    const good = `/ip4/127.0.0.1/tcp/1/p2p/${A}`
    expect(validateAddress(good)).toBe(good)
    for (const bad of ['', 'nonsense', '/ip4/127.0.0.1/tcp/1', '/ip4/300.0.0.1/tcp/1', 7 as never]) {
      expect(() => validateAddress(bad)).toThrow(expect.objectContaining({ code: 'INVALID_ADDRESS' }))
    }
  })

  test.each([
    ['nonsense', '"nonsense" is not a multiaddr'],
    ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/1 has to end in /p2p/<id>'],
    [`/dnsaddr/a.example/p2p/${A}`, `/dnsaddr/a.example/p2p/${A} stands for others`],
  ])('%s is refused in words that say what an address looks like', (bad, why) => {
    const error = caught(() => validateAddress(bad))
    expect(error).toMatchObject({ name: 'AfpSecurityError', message: expect.stringContaining(why) })
    // What it shows would be taken, with the rest of an id.
    const [, shown = ''] = /: an address looks like (\S+)\.\.\., with/.exec(String(error)) ?? []
    expect(validateAddress(shown.replace('12D3KooW', A))).toContain(A)
  })
})
