/** Shares a relay's connections between addresses, so that nobody shuts others out from one machine. */

import type { Multiaddr } from '@multiformats/multiaddr'

/** The relay's own machine: a proxy before it, which brings everybody. */
const OWN: ReadonlySet<string | undefined> = new Set(['127.0.0.1', '::1'])

/** Of IPv6 the first half: whoever has one address of a network has them all. Kind and address are the first bytes. */
const IPV4_BYTES = 1 + 4
const IPV6_BYTES = 1 + 8

/**
 * Whether an address has its share: as many connections as are left for all others.
 *
 * @param connections - where each connection that is open comes from
 * @param max - connections of all addresses
 */
export function hasItsShare(address: Multiaddr, connections: readonly Multiaddr[], max: number): boolean {
  if (OWN.has(address.getComponents()[0]?.value)) return false
  const place = placeOf(address)
  const held = connections.filter(other => placeOf(other) === place).length
  return held >= max - connections.length
}

function placeOf(address: Multiaddr): string {
  const isIPv6 = address.getComponents()[0]?.name === 'ip6'
  return address.bytes.subarray(0, isIPv6 ? IPV6_BYTES : IPV4_BYTES).join('.')
}
