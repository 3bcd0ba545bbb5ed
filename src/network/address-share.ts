/** Shares what there is a number of between addresses, so that nobody shuts others out from one machine. */

import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { Shares } from './shares.ts'

/** The own machine: a proxy on it brings everybody. */
const OWN: ReadonlySet<string | undefined> = new Set(['127.0.0.1', '::1'])

/** Of IPv6 the first half: whoever has one address of a network has them all. Kind and address are the first bytes. */
const IPV4_BYTES = 1 + 4
const IPV6_BYTES = 1 + 8

/**
 * Whether an address has its share: as many as are left for all others.
 *
 * @param taken - where each that is taken comes from
 * @param max - how many there are for all addresses
 */
export function hasItsShare(address: Multiaddr, taken: readonly Multiaddr[], max: number): boolean {
  const place = placeOf(address)
  if (place === undefined) return false
  const shares = new Shares()
  for (const other of taken) shares.take(placeOf(other))
  return shares.full(place, max)
}

/** What is one place, for an address of IPv4 or IPv6; undefined for the own machine. */
export function placeOf(address: Multiaddr): string | undefined {
  const host = address.getComponents()[0]
  if (OWN.has(host?.value)) return undefined
  return address.bytes.subarray(0, host?.name === 'ip6' ? IPV6_BYTES : IPV4_BYTES).join('.')
}

/** The same of an address as sockets tell it. */
export function placeOfSocket(host: string): string | undefined {
  // One of IPv4 at a listener for both, and the zone of one that is valid on a link alone.
  const plain = host.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '')
  return placeOf(multiaddr(`/${plain.includes(':') ? 'ip6' : 'ip4'}/${plain}`))
}
