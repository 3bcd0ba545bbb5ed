/** What multiaddrs say about how a peer is reached. */

import { type Component, multiaddr } from '@multiformats/multiaddr'
import { describe } from '../common/check-options.ts'
import { AfpSecurityError } from '../common/errors.ts'
import type { LinkKind, LinkTransport } from './carrier.ts'

/** What a platform can dial. */
export interface Dials {
  readonly tcp: boolean
  readonly webrtc: boolean
  /** WebSockets without TLS: not from pages that were loaded over https. */
  readonly insecureWebSocket: boolean
}

function componentsOf(address: string): Component[] | undefined {
  try {
    return multiaddr(address).getComponents()
  } catch {
    return undefined
  }
}

/** The names of a multiaddr's components, in order; undefined for what is not one. */
export const componentNames = (address: string): string[] | undefined =>
  componentsOf(address)?.map(component => component.name)

/** The peer that an address ends at: the last `/p2p/` part. */
export function peerOf(address: string): string | undefined {
  const last = componentsOf(address)?.at(-1)
  return last?.name === 'p2p' ? last.value : undefined
}

/** What a connection with this remote address runs on. */
export function transportOf(address: string): LinkTransport {
  const names = componentNames(address) ?? []
  if (names.includes('webrtc') || names.includes('webrtc-direct')) return 'webrtc'
  if (names.includes('p2p-circuit')) return 'circuit'
  if (names.includes('ws') || names.includes('wss')) return 'websocket'
  return names.includes('tcp') ? 'tcp' : 'other'
}

/** Where an address begins that names a place on the network, and nothing that stands for other addresses. */
const HOSTS = ['ip4', 'ip6', 'dns', 'dns4', 'dns6']
/** What is said of how it is reached. */
const WAYS = ['tcp', 'udp', 'tls', 'sni', 'ws', 'wss', 'p2p', 'p2p-circuit', 'webrtc']

/**
 * Whether an address names one host, and ways to reach it: a stranger's may. What would be looked up first (`dnsaddr`)
 * may lead to any number of others, and what is no host (`unix`) to whatever this machine has.
 */
export function namesHost(address: string): boolean {
  const [host = '', ...ways] = componentNames(address) ?? []
  return HOSTS.includes(host) && ways.every(way => WAYS.includes(way))
}

/** The best kind of link that dialling an address can give, or undefined where it cannot be dialled from here. */
export function reachOf(address: string, dials: Dials): LinkKind | undefined {
  const names = componentNames(address)
  if (names === undefined || !namesHost(address)) return undefined
  if (names.includes('webrtc')) return dials.webrtc && names.includes('p2p-circuit') ? 'direct' : undefined
  if (names.includes('p2p-circuit')) return 'relayed'
  if (names.includes('wss') || (names.includes('ws') && names.includes('tls'))) return 'direct'
  if (names.includes('ws')) return dials.insecureWebSocket ? 'direct' : undefined
  return names.at(-1) === 'p2p' && names.includes('tcp') && names.length <= 3 && dials.tcp ? 'direct' : undefined
}

/** For those who have never seen one. */
const SHAPE = 'an address looks like /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW..., with the id of who is there at its end'

/**
 * An address that an application gave, checked: a multiaddr that ends in the id of the peer to expect there.
 * @throws AfpSecurityError INVALID_ADDRESS
 */
export function validateAddress(address: string): string {
  if (typeof address !== 'string' || componentNames(address) === undefined) {
    throw new AfpSecurityError('INVALID_ADDRESS', `${describe(address)} is not a multiaddr: ${SHAPE}`)
  }
  if (componentNames(address)?.[0] === 'dnsaddr') {
    throw new AfpSecurityError('INVALID_ADDRESS', `${address} stands for others; look these up and give them: ${SHAPE}`)
  }
  if (peerOf(address) === undefined) {
    throw new AfpSecurityError('INVALID_ADDRESS', `${address} has to end in /p2p/<id>: ${SHAPE}`)
  }
  return address
}
